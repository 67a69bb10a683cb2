/* Peers for tests, over the SCTP of the Linux kernel. What happens is printed line by line.
 *
 *   kernel_peer tower LOCAL PEER PORT   what srsRAN's eNB does: one one-to-many socket, subscribed to data, shutdown and address events only; says
 *                                       "hello" on stream 0 and "ue" on stream 1, and "tick" whenever it has heard nothing for 300 ms
 *   kernel_peer echo LOCAL PORT         echoes every message of any number of one-to-one sockets from one epoll loop */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sctp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PPID 18
#define MAXMSG 65536

static char buf[MAXMSG];

static void die(const char *s) { printf("FAILED %s: %s\n", s, strerror(errno)); fflush(stdout); exit(1); }

static struct sockaddr_in address(const char *ip, int port) {
	struct sockaddr_in a;
	memset(&a, 0, sizeof a);
	a.sin_family = AF_INET;
	a.sin_port = htons(port);
	if (inet_pton(AF_INET, ip, &a.sin_addr) != 1) die("address");
	return a;
}

static void option(int s, int opt, const void *p, socklen_t n) {
	if (setsockopt(s, IPPROTO_SCTP, opt, p, n)) die("setsockopt");
}

/* Receives one message or part of one; the stream and PPID come in info. */
static ssize_t receive(int s, struct sctp_sndrcvinfo *info, int *flags) {
	char ctl[CMSG_SPACE(sizeof *info)];
	struct iovec v = {buf, sizeof buf};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl};
	struct cmsghdr *c;
	ssize_t n = recvmsg(s, &m, 0);
	*flags = m.msg_flags;
	for (c = n < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_type == SCTP_SNDRCV) memcpy(info, CMSG_DATA(c), sizeof *info);
	return n;
}

static ssize_t transmit(int s, struct sockaddr_in *to, int stream, unsigned ppid, const void *p, size_t n) {
	char ctl[CMSG_SPACE(sizeof(struct sctp_sndrcvinfo))];
	struct iovec v = {(void *)p, n};
	struct msghdr m = {.msg_name = to, .msg_namelen = to ? sizeof *to : 0, .msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	struct sctp_sndrcvinfo *info = (void *)CMSG_DATA(c);
	memset(ctl, 0, sizeof ctl);
	c->cmsg_level = IPPROTO_SCTP;
	c->cmsg_type = SCTP_SNDRCV;
	c->cmsg_len = CMSG_LEN(sizeof *info);
	info->sinfo_stream = stream;
	info->sinfo_ppid = htonl(ppid);
	return sendmsg(s, &m, MSG_NOSIGNAL);
}

static void tower(const char *local, const char *peer, int port) {
	struct sctp_event_subscribe ev = {.sctp_data_io_event = 1, .sctp_address_event = 1, .sctp_shutdown_event = 1};
	struct sctp_initmsg init = {10, 65535, 3, 5000};
	struct sctp_rtoinfo rto = {.srto_max = 6000};
	struct sockaddr_in own = address(local, 0), to = address(peer, port);
	struct sctp_sndrcvinfo info;
	int flags, s = socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
	if (s < 0) die("socket");
	option(s, SCTP_EVENTS, &ev, sizeof ev);
	option(s, SCTP_RTOINFO, &rto, sizeof rto);
	option(s, SCTP_INITMSG, &init, sizeof init);
	if (bind(s, (void *)&own, sizeof own)) die("bind");
	if (connect(s, (void *)&to, sizeof to)) die("connect");
	if (transmit(s, &to, 0, PPID, "hello", 5) < 0 || transmit(s, &to, 1, PPID, "ue", 2) < 0) die("send");
	for (;;) {
		struct pollfd p = {s, POLLIN, 0};
		ssize_t n;
		if (poll(&p, 1, 300) == 0) {
			if (transmit(s, &to, 1, PPID, "tick", 4) < 0) printf("tick: %s\n", strerror(errno));
			fflush(stdout);
			continue;
		}
		n = receive(s, &info, &flags);
		if (n < 0) printf("error: %s\n", strerror(errno));
		else if (flags & MSG_NOTIFICATION) {
			union sctp_notification *u = (void *)buf;
			if (u->sn_header.sn_type == SCTP_SHUTDOWN_EVENT) printf("event: shutdown\n");
			else if (u->sn_header.sn_type != SCTP_PEER_ADDR_CHANGE) printf("event: %04x\n", u->sn_header.sn_type);
		} else printf("rx: stream %d ppid %u %.*s\n", info.sinfo_stream, ntohl(info.sinfo_ppid), (int)n, buf);
		fflush(stdout);
	}
}

static void echo(const char *local, int port) {
	struct sctp_event_subscribe ev = {.sctp_data_io_event = 1};
	struct sockaddr_in own = address(local, port);
	struct sctp_sndrcvinfo info;
	struct epoll_event e = {.events = EPOLLIN}, ready[64];
	int i, n, k, flags, on = 1, q = epoll_create1(0), s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_SCTP);
	if (s < 0 || q < 0) die("socket");
	option(s, SCTP_EVENTS, &ev, sizeof ev);
	option(s, SCTP_NODELAY, &on, sizeof on);
	if (bind(s, (void *)&own, sizeof own) || listen(s, 128)) die("listen");
	e.data.fd = s;
	if (epoll_ctl(q, EPOLL_CTL_ADD, s, &e)) die("epoll");
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		n = epoll_wait(q, ready, 64, -1);
		for (i = 0; i < n; i++) {
			int fd = ready[i].data.fd;
			if (fd == s) {
				if ((e.data.fd = accept4(s, NULL, NULL, SOCK_NONBLOCK)) < 0) continue;
				option(e.data.fd, SCTP_NODELAY, &on, sizeof on);
				if (epoll_ctl(q, EPOLL_CTL_ADD, e.data.fd, &e)) die("epoll");
				continue;
			}
			for (k = 0; k < 64; k++) { /* as much as is there, but others have their turn */
				ssize_t got = receive(fd, &info, &flags);
				if (got < 0 && errno == EAGAIN) break;
				if (got <= 0) { close(fd); break; }
				while (transmit(fd, NULL, info.sinfo_stream, ntohl(info.sinfo_ppid), buf, got) < 0) {
					struct pollfd p = {fd, POLLOUT, 0};
					if (errno != EAGAIN) { close(fd); break; }
					poll(&p, 1, -1);
				}
			}
		}
	}
}

int main(int argc, char **argv) {
	if (argc == 5 && !strcmp(argv[1], "tower")) tower(argv[2], argv[3], atoi(argv[4]));
	if (argc == 4 && !strcmp(argv[1], "echo")) echo(argv[2], atoi(argv[3]));
	return 2;
}
