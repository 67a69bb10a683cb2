package sms

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func peer(number string) Peer { return Peer{From: must(NewAddress(number))} }

// TestJoiner: messages of several senders with the same reference, their parts
// mixed and repeated.
func TestJoiner(t *testing.T) {
	type sent struct {
		peer Peer
		part Part
	}
	texts := map[Peer]string{peer("+491"): strings.Repeat("one ", 100), peer("+492"): strings.Repeat("two ", 100), peer("+493"): strings.Repeat("три ", 100), peer("+494"): "short"}
	for round := range 30 {
		r := rand.New(rand.NewPCG(1, uint64(round)))
		var all []sent
		for p, text := range texts {
			for _, part := range must(Split(text, SplitOptions{Reference: 7, Wide: round%2 == 0})) {
				all = append(all, sent{p, part})
			}
		}
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		j := NewJoiner(JoinLimits{})
		got := map[Peer]string{}
		for i, s := range all {
			whole, lost := j.Add(t0, s.peer, s.part)
			if len(lost) > 0 {
				t.Fatal("something was lost")
			}
			if whole == nil && r.IntN(2) == 0 {
				if again, _ := j.Add(t0, s.peer, all[i].part); again != nil {
					t.Fatal("a repeated part made a message whole")
				}
			}
			if whole != nil {
				got[s.peer] = must(Join(whole))
			}
		}
		for p, text := range texts {
			if got[p] != text {
				t.Errorf("%s: %q", p.From.Number(), got[p])
			}
		}
		if j.Len() != 0 || len(j.byKey) != 0 || len(j.peers) != 0 || j.order.Len() != 0 {
			t.Error("something is left")
		}
	}
}

func TestJoinerConflicts(t *testing.T) {
	p := peer("+491")
	a := must(Split(strings.Repeat("a", 400), SplitOptions{Reference: 7})) // 3 parts
	b := must(Split(strings.Repeat("b", 400), SplitOptions{Reference: 7}))
	c := must(Split(strings.Repeat("c", 200), SplitOptions{Reference: 7})) // 2 parts
	j := NewJoiner(JoinLimits{})
	add := func(part Part, wantWhole string, wantLost int) []Incomplete {
		t.Helper()
		whole, lost := j.Add(t0, p, part)
		text := ""
		if whole != nil {
			text = must(Join(whole))
		}
		if text != wantWhole || len(lost) != wantLost {
			t.Errorf("whole %q, %d lost", text, len(lost))
		}
		return lost
	}
	add(a[0], "", 0)
	add(a[1], "", 0)
	add(c[0], "", 0) // another total: another message
	lost := add(b[1], "", 1)
	if len(lost) == 1 && (len(lost[0].Parts) != 2 || !lost[0].Parts[0].equal(a[0]) || lost[0].Total != 3 || lost[0].Reference != 7 || lost[0].Peer != p) {
		t.Errorf("lost %+v", lost[0])
	}
	add(b[0], "", 0)
	add(c[1], strings.Repeat("c", 200), 0)
	add(b[2], strings.Repeat("b", 400), 0)
	if j.Len() != 0 {
		t.Error(j.Len())
	}
}

func TestJoinerForgets(t *testing.T) {
	j := NewJoiner(JoinLimits{Age: time.Hour})
	parts := must(Split(strings.Repeat("a", 400), SplitOptions{}))
	j.Add(t0, peer("+491"), parts[0])
	j.Add(t0.Add(30*time.Minute), peer("+492"), parts[0])
	j.Add(t0.Add(40*time.Minute), peer("+491"), parts[1])
	if lost := j.Expire(t0.Add(89 * time.Minute)); len(lost) != 0 {
		t.Error("too early")
	}
	lost := j.Expire(t0.Add(90 * time.Minute))
	if len(lost) != 1 || lost[0].Peer != peer("+492") || !lost[0].Last.Equal(t0.Add(30*time.Minute)) {
		t.Errorf("%+v", lost)
	}
	if whole, lost := j.Add(t0.Add(100*time.Minute), peer("+491"), parts[2]); whole != nil || len(lost) != 1 || j.Len() != 1 {
		t.Errorf("a part that came too late: %d parts whole, %d lost, %d kept", len(whole), len(lost), j.Len())
	}
	if lost := j.Expire(t0); len(lost) != 0 { // a clock that was set back
		t.Error("lost before its time")
	}
}

// TestJoinerBounds: whatever is sent, no more than the limits is kept, a
// sender pushes out its own messages first, and all that goes is told.
func TestJoinerBounds(t *testing.T) {
	const limit, perPeer = 100, 10
	j := NewJoiner(JoinLimits{Parts: limit, PerPeer: perPeer})
	g := newGen(3)
	in, out := 0, 0
	for i := range 20000 {
		p := Peer{From: must(NewAddress(g.digits(2)))}
		total := uint8(2 + g.IntN(254))
		h := UDH{}.WithConcatenation(Concatenation{uint16(g.IntN(4)), g.bool(), total, uint8(1 + g.IntN(int(total)))})
		before := j.Len()
		whole, lost := j.Add(t0.Add(time.Duration(i)*time.Second), p, Part{DCS8Bit, must(New8Bit(h, g.octets(1)))})
		left := len(whole)
		for _, l := range lost {
			left += len(l.Parts)
		}
		if grown := j.Len() - before + left; grown == 1 {
			in++
		}
		out += left
		if j.Len() > limit || j.peers[p] > perPeer || j.order.Len() != len(j.byKey) {
			t.Fatalf("%d parts, %d of one sender", j.Len(), j.peers[p])
		}
	}
	if in != out+j.Len() {
		t.Errorf("%d in, %d out, %d kept", in, out, j.Len())
	}
	victim := peer("+4999")
	parts := must(Split(strings.Repeat("v", 200), SplitOptions{}))
	quiet := NewJoiner(JoinLimits{Parts: limit, PerPeer: perPeer})
	quiet.Add(t0, victim, parts[0])
	for i := range 1000 {
		h := UDH{}.WithConcatenation(Concatenation{uint16(i), true, 2, 1})
		quiet.Add(t0, peer("+4911"), Part{DCS8Bit, must(New8Bit(h, []byte{1}))})
	}
	if whole, _ := quiet.Add(t0, victim, parts[1]); whole == nil {
		t.Error("one sender pushed out another's message")
	}
}

// References of 8 and of 16 bits are different, and a limit is what may be kept.
func TestJoinerTellsReferencesApart(t *testing.T) {
	p := peer("+491")
	short := must(Split(strings.Repeat("a", 300), SplitOptions{Reference: 7}))
	wide := must(Split(strings.Repeat("b", 300), SplitOptions{Reference: 7, Wide: true}))
	j := NewJoiner(JoinLimits{PerPeer: 2})
	if len(short) != 2 || len(wide) != 2 {
		t.Fatal("two parts each are wanted")
	}
	for _, part := range []Part{short[0], wide[0]} {
		if whole, lost := j.Add(t0, p, part); whole != nil || lost != nil {
			t.Fatalf("%d parts whole, %d lost", len(whole), len(lost))
		}
	}
	for _, c := range []struct {
		last Part
		want string
	}{{wide[1], strings.Repeat("b", 300)}, {short[1], strings.Repeat("a", 300)}} {
		whole, lost := j.Add(t0, p, c.last)
		if lost != nil || whole == nil || must(Join(whole)) != c.want {
			t.Errorf("%d parts whole, %d lost", len(whole), len(lost))
		}
	}
	if j.Len() != 0 {
		t.Error(j.Len())
	}
}
