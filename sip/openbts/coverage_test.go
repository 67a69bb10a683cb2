package openbts

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
)

// event is as OpenBTS's description of its API has it, with other values.
func event(imsi string, rssi float64, advance, level int) []byte {
	return fmt.Appendf(nil, `{
	"name" : "PhysicalStatus", "timestamp" : "18446744072283447705", "version" : "0.1",
	"data" : {
		"burst" : {"RSSI" : %g, "RSSP" : -27.4808, "actualMSPower" : 11, "actualMSTimingAdvance" : %d, "timingError" : 1.59709},
		"channel" : {"ARFCN" : 153, "IMSI" : "%s", "carrierNumber" : 0, "timeslotNumber" : 0, "typeAndOffset" : "SDCCH/4-1", "uplinkFrameErrorRate" : 0.25},
		"reports" : {"neighboringCells" : [],
			"servingCell" : {"RXLEVEL_FULL_dBm" : -67, "RXLEVEL_SUB_dBm" : %d, "RXQUALITY_FULL_BER" : 0, "RXQUALITY_SUB_BER" : 0}}}}`, rssi, advance, imsi, level)
}

func TestCoverage(t *testing.T) {
	var ended []Hour
	cell := id.CGI{LAC: 0x3ef, CI: 10}
	c := NewCoverage(cell, func(h Hour) { ended = append(ended, h) })
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	give := func(b []byte) {
		t.Helper()
		if err := c.Take(b, at); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		give(event("001010000000001", -49.4, 0, -67))
		give(event("001010000000002", -20, 2, -80))
	}
	if h, ok := c.Now(at); !ok || h.Reports != 20 || h.Phones != 2 || h.Uplink != nil || h.Advance != nil || !strings.Contains(h.String(), "too few phones") {
		t.Errorf("of two phones: %+v", h)
	}
	give(event("001010000000003", 1e9, -5, 40))
	give(event("001010000000004", -1e9, 1e6, -500))
	h, _ := c.Now(at)
	if h.Phones != 3 || h.Uplink[10] != 10 || h.Uplink[16] != 10 || h.Uplink[0] != 1 || h.Uplink[19] != 1 ||
		h.Advance[0] != 11 || h.Advance[2] != 10 || h.Advance[63] != 1 || h.Downlink[8] != 10 || h.Downlink[6] != 10 || h.FrameErrors != .25 {
		t.Errorf("%+v", h)
	}
	if s := h.String(); s != "22 reports, 25.0 % of frames lost; nine in ten within 1.7 km; heard at -50 dB of full scale, hearing -80 dBm in the middle" {
		t.Error(s)
	}
	at = at.Add(time.Hour)
	if _, ok := c.Now(at); ok || len(ended) != 0 {
		t.Errorf("the next hour has begun without a report: %+v", ended)
	}
	give(event("001010000000001", -49.4, 0, -67))
	c.End()
	c.End()
	if len(ended) != 2 || ended[0].Reports != 22 || ended[0].Cell != cell.String() || !ended[0].Start.Equal(time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)) || ended[1].Phones != 1 {
		t.Errorf("%+v", ended)
	}
	b, _ := json.Marshal(ended)
	if strings.Contains(string(b), "0010100") {
		t.Errorf("an IMSI is kept: %s", b)
	}
	for _, bad := range []string{"", "{}", "[]", `{"name":"PhysicalStatus","version":"0.2","data":{}}`, `{"name":"PhysicalStatus","version":"0.1"}`, `{"name":"PhysicalStatus","version":"0.1","data":{"burst":{"RSSI":"x"}}}`} {
		if err := c.Take([]byte(bad), at); err != ErrEvent {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if c.Dropped != 6 {
		t.Errorf("%d dropped", c.Dropped)
	}
	if err := c.Take([]byte(`{"name":"PhysicalStatus","version":"0.1","data":{}}`), at); err != nil {
		t.Errorf("an event that says nothing: %v", err)
	}
}

func TestLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coverage.jsonl")
	l := NewLog(path)
	for i := range 3 {
		if err := l.Append(Hour{Cell: "x", Reports: uint64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	b, _ := os.ReadFile(path)
	if lines := bytes.Split(bytes.TrimSpace(b), []byte("\n")); len(lines) != 3 || !json.Valid(lines[2]) {
		t.Errorf("%s", b)
	}
	if err := os.Truncate(path, maxLog+1); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(Hour{Reports: 4}); err != nil {
		t.Fatal(err)
	}
	old, err := os.Stat(path + ".1")
	now, err2 := os.Stat(path)
	if err != nil || err2 != nil || old.Size() != maxLog+1 || now.Size() > 200 {
		t.Error(err, err2)
	}
}

// publisher speaks ZMTP as libzmq does, of either version.
func publisher(t *testing.T, conn net.Conn, version byte, events ...[]byte) {
	defer conn.Close()
	hear := func(n int) (b []byte) {
		b = make([]byte, n)
		if _, err := io.ReadFull(conn, b); err != nil {
			t.Errorf("version %d: %v after % x", version, err, b)
		}
		return b
	}
	if got := hear(11); got[10] != 3 {
		t.Errorf("subscriber said % x", got)
	}
	conn.Write([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, version})
	if version >= 3 {
		if got := hear(53 + 27); !bytes.HasSuffix(got, []byte("SUB")) {
			t.Errorf("subscriber said % x", got)
		}
		rest := make([]byte, 53)
		copy(rest[1:], "NULL")
		conn.Write(append(rest, "\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB"...))
	} else {
		hear(3)
		conn.Write([]byte{1, 0, 0})
	}
	if got := hear(3); !bytes.Equal(got, []byte{0, 1, 1}) {
		t.Errorf("subscriber said % x", got)
	}
	for _, e := range events {
		conn.Write(append([]byte{2, 0, 0, 0, 0, 0, 0, byte(len(e) >> 8), byte(len(e))}, e...))
	}
}

// Events are followed, whichever version the publisher speaks; when it is lost, it
// is dialled again after a while.
func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		dials := 0
		began := time.Now()
		dial := func(context.Context) (net.Conn, error) {
			if dials++; dials == 5 {
				cancel()
			}
			if dials == 2 || dials == 5 {
				return nil, fmt.Errorf("connection refused")
			}
			a, b := net.Pipe()
			version, n := byte(3), dials
			if dials == 3 {
				version = 1
			}
			wg.Go(func() {
				if n == 4 { // who is silent is given up, too
					io.Copy(io.Discard, b)
					return
				}
				publisher(t, b, version, event("1", -50, 0, -60), []byte("nonsense"))
			})
			return a, nil
		}
		var took, states []string
		Subscribe(ctx, dial, func(b []byte) { took = append(took, string(b[:1])) }, func(err error) {
			states = append(states, fmt.Sprint(err))
		})
		wg.Wait()
		if got := strings.Join(took, ""); got != "{n{n" || time.Since(began) < 3*redial {
			t.Errorf("%q after %s", took, time.Since(began))
		}
		if got := strings.Join(states, ", "); !strings.HasPrefix(got, "<nil>, EOF, connection refused, <nil>, EOF") {
			t.Error(got)
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add(event("001010000000001", -49.4, 0, -67))
	f.Add([]byte(`{"name":"PhysicalStatus","version":"0.1","data":{"burst":{"RSSI":1e308,"actualMSTimingAdvance":-1e308}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := NewCoverage(id.CGI{}, func(Hour) {})
		c.Take(b, time.Unix(1e9, 0))
		if h, ok := c.Now(time.Unix(1e9, 0)); ok {
			_ = h.String()
		}
		frame(bufio.NewReader(bytes.NewReader(b)))
	})
}
