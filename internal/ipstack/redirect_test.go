package ipstack_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"campanile.network/internal/ipstack"
)

// Whatever page a phone asks for, of either IP version, it is sent to one; other
// ports are closed, and one phone has so many connections.
func TestRedirect(t *testing.T) {
	const page = "http://10.45.0.1:8080/topup"
	r := must(ipstack.NewRedirect(ipstack.RedirectOptions{To: page, Router: router, MaxPerPhone: 3, Logger: slog.New(slog.DiscardHandler)}))
	h4, h6 := must(ipstack.NewHost(phone, 0)), must(ipstack.NewHost(phone6, 0))
	up := join(h4, half{r})
	up6 := join(h6, half{r})
	split := make(chan struct{})
	go func() { defer close(split); share(r, h4, h6) }()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- r.Serve(ctx) }()
	for _, c := range []struct {
		h   *ipstack.Host
		url string
	}{{h4, "http://93.184.216.34/news?x=1"}, {h4, "http://10.9.9.9/"}, {h6, "http://[2606:4700::1111]/"}} {
		web := client(c.h)
		web.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		res, err := web.Get(c.url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusFound || res.Header.Get("Location") != page || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s to %q", c.url, res.Status, res.Header.Get("Location"))
		}
	}
	dial := func(address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return h4.DialContext(ctx, "tcp", address)
	}
	if c, err := dial("93.184.216.34:443"); err == nil {
		c.Close()
		t.Error("port 443 is open")
	}
	refused := 0
	for range 6 {
		if _, err := dial("93.184.216.34:80"); err != nil {
			refused++
		}
	}
	if refused < 3 {
		t.Errorf("%d of 6 idle connections refused, at most 3 are for one phone", refused)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	<-split
	h4.Close()
	h6.Close()
	up.Wait()
	up6.Wait()
}

// half is one direction of a network that several hosts share: what it gives is
// shared out elsewhere.
type half struct{ r *ipstack.Redirect }

func (h half) WritePacket(b []byte) error     { return h.r.WritePacket(b) }
func (h half) ReadPacket([]byte) (int, error) { return 0, net.ErrClosed }

func share(r *ipstack.Redirect, four, six *ipstack.Host) {
	buf := make([]byte, 65536)
	for {
		n, err := r.ReadPacket(buf)
		if err != nil {
			return
		}
		if netip.AddrFrom4([4]byte(buf[16:20])) == phone && buf[0]>>4 == 4 {
			four.WritePacket(buf[:n])
		} else {
			six.WritePacket(buf[:n])
		}
	}
}
