package sip

// samples are messages as real peers write them.
var samples = map[string]string{
	"openbts register": openBTS,
	"openbts new register": `REGISTER sip:127.0.0.1 SIP/2.0
To: <sip:IMSI001010002220002@127.0.0.1>
From: <sip:IMSI001010002220002@127.0.0.1>;tag=OBTSuvmksfzxrrgvctnr
Via: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKOBTSu0k7HgcnIxkTGPkF
Call-ID: 196117285@127.0.0.1
CSeq: 226 REGISTER
Contact: <sip:IMSI001010002220002@127.0.0.1:5062>;expires=5400
Max-Forwards: 70
P-Preferred-Identity: <sip:IMSI001010002220002@127.0.0.1>
P-PHY-Info: OpenBTS; IMSI=001010002220002 TA=1 TE=0.392578 UpRSSI=-26.000000 TxPwr=33 DnRSSIdBm=-111 time=1394
P-Access-Network-Info: 3GPP-GERAN; cgi-3gpp=0010103ef000a
Authorization: Digest nonce="0123456789abcdef0123456789abcdef", uri="001010002220002", response="12345678"
User-Agent: OpenBTS 5.0
Content-Length: 0

`,
	"openbts invite": `INVITE sip:2105551234@127.0.0.1 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKOBTSu0k7HgcnIxkTGPkG
Max-Forwards: 70
From: <sip:IMSI001010002220002@127.0.0.1>;tag=OBTSuvmksfzxrrgvctns
To: <sip:2105551234@127.0.0.1>
Call-ID: 1961172850@127.0.0.1
CSeq: 117 INVITE
Contact: <sip:IMSI001010002220002@127.0.0.1:5062>
P-Associated-URI: <tel:2105550001>
P-Asserted-Identity: <sip:IMSI001010002220002@127.0.0.1>
P-Preferred-Identity: <sip:IMSI001010002220002@127.0.0.1>
P-PHY-Info: OpenBTS; IMSI=001010002220002 TA=1 TE=0.392578 UpRSSI=-26.000000 TxPwr=33 DnRSSIdBm=-111 time=1394
P-Access-Network-Info: 3GPP-GERAN; cgi-3gpp=0010103ef000a
User-Agent: OpenBTS 5.0
Content-Type: application/sdp
Content-Length: 215

v=0
o=IMSI001010002220002 0 0 IN IP4 127.0.0.1
s=Talk Time
t=0 0
m=audio 16484 RTP/AVP 3 101
c=IN IP4 127.0.0.1
a=rtpmap:3 GSM/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendrecv
`,
	"yatebts register": `REGISTER sip:192.0.2.10 SIP/2.0
Contact: <sip:001010002220003@192.0.2.20:5060>;+g.3gpp.smsip;+sip.instance="<urn:gsma:imei:35714500-123456-0>"
P-PHY-Info: YateBTS; TA=0 TE=0.0 UpRSSI=-40 TxPwr=25 DnRSSIdBm=-60
P-Access-Network-Info: 3GPP-GERAN; cgi-3gpp=0010103ef000a
Authorization: Digest uri="001010002220003", nonce="ASNFZ4mrze8BI0VniavN7w==", response="12345678", algorithm=AKAv1-MD5
Supported: auth-gsm, auth-umts, reg-tmsi
Expires: 3600
Via: SIP/2.0/UDP 192.0.2.20:5060;rport;branch=z9hG4bK1207359811
From: <sip:001010002220003@192.0.2.10>;tag=461571938
To: <sip:001010002220003@192.0.2.10>
Call-ID: 1379152811@192.0.2.20
CSeq: 7 REGISTER
User-Agent: YATE/6.1.0
Max-Forwards: 70
Allow: ACK, MESSAGE, INVITE, BYE, CANCEL, OPTIONS, INFO
Content-Length: 0

`,
	"200 with a path": `SIP/2.0 200 OK
Via: SIP/2.0/TLS [2001:db8::5]:5061;branch=z9hG4bK-1;received=2001:db8::6;rport=40000
Record-Route: <sip:p2.example.net;lr>,<sip:p1.example.net;lr;transport=tls>
From: "Zoë \"Z\" Ba" <sips:zoe@example.net>;tag=a
To: <sip:+4930123456@example.net;user=phone>;tag=b
Call-ID: 9b2@x
CSeq: 2147483647 INVITE
Contact: "B" <sip:b@[2001:db8::7]:5061;transport=tls>;q=0.5;expires=60
Supported: timer,path
k: 100rel
Content-Length: 0

`,
	"options": `OPTIONS sip:a@b.example SIP/2.0
Via: SIP/2.0/UDP h1;branch=z9hG4bK1
Via: SIP/2.0/UDP h2;branch=z9hG4bK2
Via: SIP/2.0/UDP h3;branch=z9hG4bK3
Via: SIP/2.0/UDP h4;branch=z9hG4bK4
Via: SIP/2.0/UDP h5;branch=z9hG4bK5
From: <sip:u@h5>;tag=1
To: <sip:a@b.example>
Call-ID: 1@h5
CSeq: 1 OPTIONS
Max-Forwards: 66
Accept: application/sdp
Content-Length: 0

`,
}
