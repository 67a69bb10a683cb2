package sdp

import "strings"

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

// samples are descriptions as real peers write them.
var samples = map[string]string{
	"openbts": `v=0
o=IMSI001010002220002 0 0 IN IP4 127.0.0.1
s=Talk Time
t=0 0
m=audio 16484 RTP/AVP 3 101
c=IN IP4 127.0.0.1
a=rtpmap:3 GSM/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
`,
	"openbts amr": `v=0
o=IMSI001010002220002 0 0 IN IP4 192.0.2.20
s=Talk Time
t=0 0
m=audio 16486 RTP/AVP 96 3
c=IN IP4 192.0.2.20
a=rtpmap:96 AMR/8000
a=fmtp:96 octet-align=1;mode-set=0,2,4,7
a=rtpmap:3 GSM/8000
`,
	"openbts ussd": `v=0
o=IMSI001010002220002 0 0 IN IP4 127.0.0.1
s=Talk Time
t=0 0
m=audio 0 RTP/AVP 3
c=IN IP4 127.0.0.1
`,
	"yatebts": `v=0
o=yate 1394 1394 IN IP4 192.0.2.21
s=SIP Call
c=IN IP4 192.0.2.21
t=0 0
m=audio 25678 RTP/AVP 3 8 0 101
a=rtpmap:3 GSM/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
`,
	"baresip": `v=0
o=- 3884637461 512368216 IN IP4 192.0.2.30
s=-
c=IN IP4 192.0.2.30
t=0 0
a=tool:baresip 1.0.0
m=audio 20044 RTP/AVP 96 0 8 97
b=AS:125
a=rtpmap:96 opus/48000/2
a=fmtp:96 stereo=1;sprop-stereo=1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:97 telephone-event/8000
a=fmtp:97 0-15
a=rtcp:20045
a=sendrecv
a=label:1
a=rtcp-rsize
a=ssrc:2519470217 cname:sip:a@192.0.2.30
a=ptime:20
`,
	"linphone": `v=0
o=alice 1234 5678 IN IP6 2001:db8::30
s=Talk
c=IN IP6 2001:db8::30
b=AS:380
t=0 0
a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics
a=group:BUNDLE as vs
m=audio 7078 RTP/SAVP 96 97 98 0 101 99
c=IN IP6 2001:db8::31
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1
a=rtpmap:97 speex/16000
a=fmtp:97 vbr=on
a=rtpmap:98 speex/8000
a=rtpmap:101 telephone-event/48000
a=rtpmap:99 telephone-event/8000
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 FEC_ORDER=FEC_SRTP
a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20
a=rtcp-mux
m=video 0 RTP/SAVP 96
a=rtpmap:96 VP8/90000
`,
	"RFC 8866 §5": `v=0
o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1
s=Call to John Smith
i=SDP Offer #1
u=http://www.jdoe.example.com/home.html
e=Jane Doe <jane@jdoe.example.com>
p=+1 617 555-6011
c=IN IP4 198.51.100.1
t=0 0
m=audio 49170 RTP/AVP 0
m=audio 49180 RTP/AVP 0
m=video 51372 RTP/AVP 99
c=IN IP6 2001:db8::2
a=rtpmap:99 h263-1998/90000
`,
	"multicast": `v=0
o=- 1 1 IN IP4 host.example.com
s= 
c=IN IP4 233.252.0.1/127/3
b=X-YZ:128
t=3724394400 3724398000
r=604800 3600 0 90000
z=3730928400 -1h 3749680800 0
a=recvonly
m=audio 49170/2 RTP/AVP 0
i=A stream
`,
}
