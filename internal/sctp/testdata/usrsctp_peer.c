/* A peer for tests, over libusrsctp: in UDP, or plain SCTP over raw sockets.
 *
 *   usrsctp_peer server LOCAL PEER SCTPPORT END    echoes every message on its stream with its PPID
 *   usrsctp_peer client LOCAL PEER SCTPPORT END    sends messages of several sizes on all its streams and checks the echo
 *
 * LOCAL and PEER are each IP,UDPPORT; port 0 means plain SCTP. More local addresses may follow LOCAL: IP,UDPPORT,IP...
 * END: wait (for the other side to end), shutdown, abort; a server does it when it receives "BYE", a client when all echoes have come.
 * "hold" (client) stays silent after the echoes until it is killed. What happens is printed as one word per line. Exit 0 if all was well. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <usrsctp.h>

#define PPID 18
#define MAXMSG 200000

static char buf[MAXMSG];
static struct socket *sock;

static void say(const char *s) { printf("%s\n", s); fflush(stdout); }
static void die(const char *s) { perror(s); printf("FAILED %s\n", s); fflush(stdout); exit(1); }

static void must(int r, const char *what) { if (r < 0) die(what); }

/* Reads "IP" into an address with an SCTP port and returns its length. */
static socklen_t address(struct sockaddr_storage *a, const char *ip, int port) {
	struct sockaddr_in *v4 = (struct sockaddr_in *)a;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)a;
	memset(a, 0, sizeof *a);
	if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof *v4;
	}
	if (inet_pton(AF_INET6, ip, &v6->sin6_addr) != 1) die("address");
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return sizeof *v6;
}

/* Cuts the next word off a list with commas. */
static char *word(char **list) {
	char *w = strsep(list, ",");
	return w ? w : "";
}

/* Binds the first local address and adds the others. */
static void bind_all(char *ip, char *more, int port) {
	struct sockaddr_storage a;
	socklen_t n = address(&a, ip, port);
	must(usrsctp_bind(sock, (struct sockaddr *)&a, n), "bind");
	while (more && *more) {
		address(&a, word(&more), port);
		must(usrsctp_bindx(sock, (struct sockaddr *)&a, 1, SCTP_BINDX_ADD_ADDR), "bindx");
	}
}

static void options(int family, int peer_udp) {
	struct sctp_udpencaps enc;
	struct sctp_event ev;
	struct sctp_initmsg init;
	uint16_t types[] = {SCTP_ASSOC_CHANGE, SCTP_SHUTDOWN_EVENT, SCTP_REMOTE_ERROR};
	int on = 1;
	size_t i;

	memset(&enc, 0, sizeof enc);
	enc.sue_address.ss_family = family;
	enc.sue_port = htons(peer_udp);
	if (peer_udp) must(usrsctp_setsockopt(sock, IPPROTO_SCTP, SCTP_REMOTE_UDP_ENCAPS_PORT, &enc, sizeof enc), "encaps port");
	must(usrsctp_setsockopt(sock, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on), "rcvinfo");
	must(usrsctp_setsockopt(sock, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on), "nodelay");
	memset(&init, 0, sizeof init);
	init.sinit_num_ostreams = 10;
	init.sinit_max_instreams = 2048;
	must(usrsctp_setsockopt(sock, IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof init), "initmsg");
	for (i = 0; i < sizeof types / sizeof types[0]; i++) {
		memset(&ev, 0, sizeof ev);
		ev.se_assoc_id = SCTP_ALL_ASSOC;
		ev.se_type = types[i];
		ev.se_on = 1;
		must(usrsctp_setsockopt(sock, IPPROTO_SCTP, SCTP_EVENT, &ev, sizeof ev), "event");
	}
}

/* Prints a notification; 1 if the association is over. */
static int notification(const union sctp_notification *n) {
	if (n->sn_header.sn_type == SCTP_SHUTDOWN_EVENT) {
		say("PEER_SHUTDOWN");
	} else if (n->sn_header.sn_type == SCTP_REMOTE_ERROR) {
		say("REMOTE_ERROR");
	} else if (n->sn_header.sn_type == SCTP_ASSOC_CHANGE) {
		switch (n->sn_assoc_change.sac_state) {
		case SCTP_COMM_UP: say("UP"); break;
		case SCTP_RESTART: say("RESTART"); break;
		case SCTP_COMM_LOST: say("LOST"); return 1;
		case SCTP_SHUTDOWN_COMP: say("CLOSED"); return 1;
		case SCTP_CANT_STR_ASSOC: say("REFUSED"); return 1;
		}
	}
	return 0;
}

/* Receives one whole message; -1 when the association is over. */
static ssize_t receive(struct sctp_rcvinfo *info) {
	size_t have = 0;
	for (;;) {
		struct sockaddr_in from;
		socklen_t flen = sizeof from, ilen = sizeof *info;
		unsigned int type = 0;
		int flags = 0;
		ssize_t n = usrsctp_recvv(sock, buf + have, MAXMSG - have, (struct sockaddr *)&from, &flen, info, &ilen, &type, &flags);
		if (n <= 0) return -1;
		if (flags & MSG_NOTIFICATION) {
			if (notification((union sctp_notification *)(buf + have))) return -1;
			continue;
		}
		have += n;
		if (flags & MSG_EOR) return have;
	}
}

static void transmit(const void *p, size_t n, uint16_t stream, sctp_assoc_t id, int flags, uint32_t ppid) {
	struct sctp_sndinfo s;
	memset(&s, 0, sizeof s);
	s.snd_sid = stream;
	s.snd_ppid = htonl(ppid);
	s.snd_assoc_id = id;
	s.snd_flags = flags;
	must(usrsctp_sendv(sock, p, n, NULL, 0, &s, sizeof s, SCTP_SENDV_SNDINFO, 0), "send");
}

static void finish(const char *end, sctp_assoc_t id) {
	struct sctp_rcvinfo info;
	if (!strcmp(end, "shutdown")) transmit("", 0, 0, id, SCTP_EOF, PPID);
	if (!strcmp(end, "abort")) transmit("tired", 5, 0, id, SCTP_ABORT, PPID);
	if (!strcmp(end, "hold")) pause();
	while (receive(&info) >= 0) say("UNEXPECTED");
}

static void serve(const char *end) {
	struct sctp_rcvinfo info;
	ssize_t n;
	while ((n = receive(&info)) >= 0) {
		if (ntohl(info.rcv_ppid) != PPID) die("PPID");
		if (n == 3 && !memcmp(buf, "BYE", 3)) { finish(end, info.rcv_assoc_id); return; }
		transmit(buf, n, info.rcv_sid, info.rcv_assoc_id, 0, PPID);
	}
}

static void ask(const char *end) {
	static const int sizes[] = {1, 2, 3, 100, 1371, 1372, 1373, 5000, 20000, 60000};
	struct sctp_rcvinfo info;
	struct sctp_status st;
	socklen_t len = sizeof st;
	static char msg[MAXMSG];
	int i, n, streams;

	memset(&st, 0, sizeof st);
	must(usrsctp_getsockopt(sock, IPPROTO_SCTP, SCTP_STATUS, &st, &len), "status");
	streams = st.sstat_outstrms;
	printf("STREAMS %d %d\n", st.sstat_outstrms, st.sstat_instrms);
	for (i = 0; i < 100; i++) {
		n = sizes[i % 10];
		memset(msg, 'a' + i % 26, n);
		transmit(msg, n, i % streams, st.sstat_assoc_id, 0, PPID);
		if (receive(&info) != n || memcmp(msg, buf, n) || info.rcv_sid != i % streams || ntohl(info.rcv_ppid) != PPID) die("echo");
	}
	for (i = 0; i < 500; i++) transmit(msg, 100, i % streams, st.sstat_assoc_id, 0, PPID);
	for (i = 0; i < 500; i++) if (receive(&info) != 100) die("burst");
	say("ECHOED");
	finish(end, st.sstat_assoc_id);
}

int main(int argc, char **argv) {
	struct sockaddr_storage a;
	char *local_ip, *peer_ip, *local, *peer;
	int client, local_udp, peer_udp, port;
	socklen_t n;

	if (argc != 6) return 2;
	client = !strcmp(argv[1], "client");
	local = argv[2];
	local_ip = word(&local);
	local_udp = atoi(word(&local));
	peer = argv[3];
	peer_ip = word(&peer);
	peer_udp = atoi(word(&peer));
	port = atoi(argv[4]);
	usrsctp_init(local_udp, NULL, NULL);
	usrsctp_sysctl_set_sctp_blackhole(2);
	usrsctp_sysctl_set_sctp_rto_min_default(50);
	usrsctp_sysctl_set_sctp_rto_initial_default(200);
	usrsctp_sysctl_set_sctp_rto_max_default(1000);
	n = address(&a, peer_ip, port);
	sock = usrsctp_socket(a.ss_family, client ? SOCK_STREAM : SOCK_SEQPACKET, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	if (!sock) die("socket");
	options(a.ss_family, peer_udp);
	if (client) {
		bind_all(local_ip, local, 40000);
		must(usrsctp_connect(sock, (struct sockaddr *)&a, n), "connect");
		ask(argv[5]);
	} else {
		bind_all(local_ip, local, port);
		must(usrsctp_listen(sock, 1), "listen");
		say("READY");
		serve(argv[5]);
	}
	say("END");
	return 0;
}
