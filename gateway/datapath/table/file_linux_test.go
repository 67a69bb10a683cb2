package table

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"campanile.network/gateway/datapath"
)

func TestFileKeepsWhatWasCharged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table")
	open := func() *Table {
		t.Helper()
		tab, err := Open(path, 4, 8, true)
		if err != nil {
			t.Fatal(err)
		}
		return tab
	}
	a := open()
	s := a.TakeSession(2, 77, true)
	s.Charge(123)
	s.UL.SetRate(1000)
	s.UL.Pass(a.Now(), 65535) // nine minutes ahead
	b := a.TakeBearer(5, 0x100005, 2, true)
	b.Counters.Add(ULOctets, 100)
	b.Counters.Add(LostOctets, 23)
	a.Class(5, 3).Add(ULOctets, 40)
	if _, err := Open(path, 4, 8, true); err == nil {
		t.Error("two have it at a time")
	}
	if err := errors.Join(a.Sync(), a.Close()); err != nil {
		t.Fatal(err)
	}
	a = open()
	want := datapath.Count{ULOctets: 100, ULPackets: 1, LostOctets: 23, LostPackets: 1}
	if s := a.TakeSession(2, 77, true); s.Charged() != 123 || !s.UL.Pass(a.Now(), 100) {
		t.Errorf("%d charged; the time of another run holds packets back", s.Charged())
	}
	a.TakeBearer(5, 0x100005, 2, true)
	if u := a.Usage(5); u.Count != want || u.Class[3].ULOctets != 40 || u.Class[0].ULOctets != 60 {
		t.Errorf("%+v", u)
	}
	a.TakeBearer(5, 0x200005, 2, true) // another generation
	if u := a.Usage(5); u != (datapath.Usage{}) {
		t.Errorf("%+v", u)
	}
	if s := a.TakeSession(2, 77, false); s.Charged() != 0 {
		t.Errorf("%d charged of a session that was not to be resumed", s.Charged())
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sessions, bearers int
		classes           bool
	}{{4, 16, true}, {4, 8, false}, {2, 8, true}} {
		if _, err := Open(path, c.sessions, c.bearers, c.classes); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), path) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestRoomThatCannotBeReservedIsWritten(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "table"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteString("kept")
	if err := zero(f, 4, 200_000); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil || len(b) != 200_000 || string(b[:5]) != "kept\x00" {
		t.Errorf("%d octets, %q, %v", len(b), b[:5], err)
	}
}

// TestKilledWriterLosesNothing kills a process that counts as fast as it can: what
// it had told of is in the file.
func TestKilledWriterLosesNothing(t *testing.T) {
	if path := os.Getenv("TABLE_WRITER"); path != "" {
		writeForever(path)
	}
	path := filepath.Join(t.TempDir(), "table")
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWriterLosesNothing$")
	cmd.Env = append(os.Environ(), "TABLE_WRITER="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100_000) // one octet for each packet counted
	_, err = io.ReadFull(out, buf)
	kill := cmd.Process.Kill()
	rest, _ := io.Copy(io.Discard, out)
	cmd.Wait()
	if err != nil || kill != nil {
		t.Fatal(err, kill)
	}
	tab, err := Open(path, 1, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	told := uint64(len(buf)) + uint64(rest)
	if c := tab.Usage(0); c.ULPackets < told || c.ULPackets > told+1 || c.ULOctets < 7*c.ULPackets || c.ULOctets > 7*(c.ULPackets+1) {
		t.Errorf("%+v after %d packets were told of", c.Count, told)
	}
}

func writeForever(path string) {
	tab, err := Open(path, 1, 1, false)
	if err != nil {
		os.Exit(3)
	}
	b := tab.TakeBearer(0, 1<<20, 0, true)
	for {
		b.Counters.Add(ULOctets, 7)
		if _, err := os.Stdout.Write([]byte{1}); err != nil {
			os.Exit(4)
		}
	}
}
