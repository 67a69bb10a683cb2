package mme

import "testing"

func TestMailboxIsBoundedForPeersOnly(t *testing.T) {
	b := newMailbox(2)
	for i, want := range []putResult{putOK, putOK, putFull} {
		if got := b.put(inbound{msg: i}, false); got != want {
			t.Fatalf("item %d: %v, want %v", i, got, want)
		}
	}
	if got := b.put(inbound{msg: "word"}, true); got != putOK {
		t.Fatalf("word of the MME itself was refused: %v", got)
	}
	for _, want := range []any{0, 1} {
		if in, ok := b.take(); !ok || in.msg != want {
			t.Fatalf("took %v %v, want %v", in.msg, ok, want)
		}
	}
	if got := b.put(inbound{msg: 3}, false); got != putOK {
		t.Fatalf("there was room: %v", got)
	}
	select {
	case <-b.wake:
	default:
		t.Fatal("no wake token though items are left")
	}
	rest := b.close()
	if len(rest) != 2 || rest[0].msg != "word" || rest[1].msg != 3 {
		t.Fatalf("rest %v", rest)
	}
	if got := b.put(inbound{}, true); got != putClosed {
		t.Fatalf("a closed mailbox took an item: %v", got)
	}
}
