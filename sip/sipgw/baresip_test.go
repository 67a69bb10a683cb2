package sipgw

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/loopback"
	"campanile.network/sip/calls"
	"campanile.network/sip/media"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip/txn"
)

// Two baresip register with passwords and call each other; each plays a tone of
// its own, and what each hears is the other's. Where they speak different formats,
// the gateway turns them into each other.
func TestBaresip(t *testing.T) {
	if _, err := exec.LookPath("baresip"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("baresip is not installed: apt install baresip-core")
		}
		t.Skip("baresip is not installed: apt install baresip-core")
	}
	for _, c := range []struct {
		name           string
		caller, called string // formats
		secure         bool   // the caller is behind TLS and insists on SRTP (RFC 4568)
	}{
		{"the same format", "PCMA/8000/1", "PCMA/8000/1", false},
		{"GSM and PCM", "GSM/8000/1", "PCMU/8000/1", false},
		{"SRTP and RTP", "PCMA/8000/1", "PCMU/8000/1", true},
	} {
		t.Run(c.name, func(t *testing.T) { toneBothWays(t, c.caller, c.called, c.secure) })
	}
}

func toneBothWays(t *testing.T, callerSpeaks, calledSpeaks string, secure bool) {
	ended := make(chan calls.Record, 4)
	w := bareGateway(t, func(r calls.Record) { ended <- r })
	called := startBaresip(t, bare{imsi: "001010000000002", password: "shutsesame", speaks: calledSpeaks, tone: 1000, at: w.udp, more: ";answermode=auto"})
	called.awaits("registered successfully")
	turns := []string{"calls"}
	own := bare{imsi: "001010000000001", password: "opensesame", speaks: callerSpeaks, tone: 440, at: w.udp}
	if secure {
		own.at, own.more = w.tls, ";mediaenc=srtp-mand"
		turns = append(turns, "is called")
	}
	for _, turn := range turns {
		caller := startBaresip(t, own)
		caller.awaits("registered successfully")
		if turn == "calls" {
			caller.does("/dial sip:2102@" + own.at.String())
		} else {
			called.does("/dial sip:2101@" + w.udp.String())
			caller.awaits("Incoming call")
			caller.does("/accept")
		}
		caller.awaits("Call established")
		caller.hears(t, 1000, 440)
		called.hears(t, 440, 1000)
		caller.does("/hangup")
		select {
		case r := <-ended:
			if r.Why != "hung up" || r.Voice() <= 0 || r.Media[0].In.Packets == 0 || r.Media[1].In.Packets == 0 {
				t.Errorf("the record is %+v", r)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("the call does not end\n%s\n%s", caller.said(), called.said())
		}
		called.awaits("session closed")
		caller.ends()
		called.forgets()
	}
}

// bareWorld is a gateway with calls, and speech for them.
type bareWorld struct{ udp, tls netip.AddrPort }

func bareGateway(t *testing.T, record func(calls.Record)) bareWorld {
	t.Helper()
	at := loopback.Addr(t, 5060)
	w := bareWorld{udp: netip.AddrPortFrom(at, 5060), tls: netip.AddrPortFrom(at, 5061)}
	e, err := txn.Listen(txn.Options{UDP: []netip.AddrPort{w.udp}, TLS: []netip.AddrPort{w.tls}, TLSConfig: &tls.Config{Certificates: []tls.Certificate{selfSigned(t, at)}}})
	if err != nil {
		t.Fatal(err)
	}
	relay, err := media.New(media.Options{Address: loopback.Addr(t, 30000), Low: 30000, High: 30100})
	if err != nil {
		t.Fatal(err)
	}
	h := newFakeHome()
	h.add(t, "001010000000001", "2101", "opensesame")
	h.add(t, "001010000000002", "2102", "shutsesame")
	plmn, err := id.ParsePLMN("00101")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Endpoint: e, Home: h, Directory: h, PLMN: plmn, Serving: proof.OperatorKey{1}, Realm: testRealm,
		Policy: Policy{MD5: true, OnlyMD5: true}, // baresip 1.0 knows nothing else
		Calls:  CallsBy(calls.Options{Media: calls.Relay(relay), Record: record})}
	if testing.Verbose() {
		o.Logger = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = relay.Serve(ctx) })
	serving.Go(func() {
		if err := g.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		serving.Wait()
	})
	return w
}

// selfSigned is a certificate for an address.
func selfSigned(t *testing.T, at netip.Addr) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{at.AsSlice()}}
	der, err := x509.CreateCertificate(rand.Reader, x, x, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// bare is how a baresip is set up.
type bare struct {
	imsi, password, speaks, more string
	tone                         float64
	at                           netip.AddrPort // the gateway; port 5061: over TLS
}

// baresip is one that runs. What it hears it writes into files in dir.
type baresip struct {
	t    *testing.T
	dir  string
	at   netip.AddrPort
	in   *os.File
	end  func()
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func startBaresip(t *testing.T, o bare) *baresip {
	t.Helper()
	b := &baresip{t: t, dir: t.TempDir(), at: freePort(t), more: make(chan struct{}, 1)}
	tone, transport := filepath.Join(b.dir, "tone.wav"), ""
	if o.at.Port() == 5061 {
		transport = ";transport=tls"
	}
	files := map[string]string{
		"config": strings.Join([]string{
			"module_path /usr/lib/baresip/modules", "sip_listen " + b.at.String(), "net_interface " + b.at.Addr().String(), "rtp_ports 20000-29999",
			"audio_source aufile," + tone, "audio_player aubridge,nobody", "ausrc_srate 8000", "auplay_srate 8000",
			"snd_path " + b.dir, "module stdio.so", "module g711.so", "module gsm.so", "module srtp.so", "module aufile.so", "module aubridge.so", "module sndfile.so",
			"module_app account.so", "module_app menu.so", "",
		}, "\n"),
		"accounts": fmt.Sprintf("<sip:%s@%s%s>;auth_user=%s;auth_pass=%s;regint=600;audio_codecs=%s%s\n", o.imsi, o.at, transport, o.imsi, o.password, o.speaks, o.more),
		"contacts": "\n",
		"tone.wav": wave(o.tone, 60),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b.in = out
	cmd := exec.Command("baresip", "-f", b.dir, "-4")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, b, b
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	b.end = sync.OnceFunc(func() {
		out.Close()
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	t.Cleanup(b.ends)
	return b
}

// freePort is a port of 127.0.0.1: baresip sends speech from there wherever it is
// told to be.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Write takes what it says.
func (b *baresip) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Write(p)
	select {
	case b.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (b *baresip) ends() { b.end() }

// forgets removes what was heard in a call that is over.
func (b *baresip) forgets() {
	files, _ := filepath.Glob(filepath.Join(b.dir, "dump-*.wav"))
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			b.t.Error(err)
		}
	}
}

func (b *baresip) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return ticks.ReplaceAllString(b.text.String(), "")
}

// ticks is what it says of a call several times a second.
var ticks = regexp.MustCompile(`\s*\[[0-9:]+\] audio=\S* \(bit/s\)`)

func (b *baresip) awaits(what string) {
	b.t.Helper()
	end := time.After(30 * time.Second)
	for !strings.Contains(b.said(), what) {
		select {
		case <-b.more:
		case <-end:
			b.t.Fatalf("baresip does not say %q:\n%s", what, b.said())
		}
	}
}

func (b *baresip) does(command string) {
	b.t.Helper()
	if _, err := b.in.WriteString(command + "\n"); err != nil {
		b.t.Fatal(err)
	}
}

// hears waits until two seconds of what came have the one tone in them, and not
// the other.
func (b *baresip) hears(t *testing.T, tone, not float64) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	var has, hasNot float64
	for {
		files, _ := filepath.Glob(filepath.Join(b.dir, "dump-*-dec.wav"))
		if len(files) > 0 {
			if octets, err := os.ReadFile(files[0]); err == nil && len(octets) > 44+2*16000 {
				last := samples(octets[len(octets)-2*8000:])
				has, hasNot = share(last, tone), share(last, not)
				if has > 0.6 && hasNot < 0.05 {
					return
				}
			}
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("of what is heard %.0f %% are at %.0f Hz and %.0f %% at %.0f Hz (%v)\n%s", 100*has, tone, 100*hasNot, not, files, b.said())
		}
	}
}

// wave is a RIFF file with a tone: one channel, 8000 samples a second, 16 bits.
func wave(hz float64, seconds int) string {
	var data bytes.Buffer
	for i := range 8000 * seconds {
		v := int16(8000 * math.Sin(2*math.Pi*hz*float64(i)/8000))
		data.Write(binary.LittleEndian.AppendUint16(nil, uint16(v)))
	}
	b := []byte("RIFF")
	b = binary.LittleEndian.AppendUint32(b, uint32(36+data.Len()))
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	for _, v := range []uint16{1, 1} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, 8000)
	b = binary.LittleEndian.AppendUint32(b, 16000)
	for _, v := range []uint16{2, 16} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(data.Len()))
	return string(b) + data.String()
}

func samples(b []byte) []float64 {
	s := make([]float64, len(b)/2)
	for i := range s {
		s[i] = float64(int16(binary.LittleEndian.Uint16(b[2*i:])))
	}
	return s
}

// share is how much of the power of s is at a frequency and 20 Hz beside it
// (Goertzel's algorithm).
func share(s []float64, hz float64) float64 {
	var all, at float64
	for _, v := range s {
		all += v * v
	}
	for f := hz - 20; f <= hz+20; f++ {
		w := 2 * math.Cos(2*math.Pi*f/8000)
		var a, b float64
		for _, v := range s {
			a, b = v+w*a-b, a
		}
		at += a*a + b*b - w*a*b
	}
	if all == 0 {
		return 0
	}
	return 2 * at / (all * float64(len(s)))
}
