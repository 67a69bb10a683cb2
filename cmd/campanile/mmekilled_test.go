package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An MME that is killed with kill -9 while a phone moves data, and again at once
// when it is back: the phone goes on with the keys and the address it has, and
// attaches no second time. The key of the MME's store is lost then: the phone is
// told to attach, and does.
func TestMMEKilled(t *testing.T) {
	w := newWorld(t)
	w.internet()
	w.homeRouter()
	mme := w.core()[3]
	w.tower()
	key := w.subscriber("999700000000001")
	p := w.phone("tower", "127.0.0.40", "999/70-macro-0x19b", "999700000000001", key)
	p.gets(1, 30*time.Second, "at first")
	for _, when := range []string{"after kill -9 of the MME", "after another"} {
		w.kill(mme)
		mme = w.start("core", "mme")
		w.up(mme)
		p.gets(1, 60*time.Second, when)
		w.says(mme, "phones=1 registered=1 lost=0")
		if n := w.attaches(mme); n != 1 {
			t.Errorf("%s: the phone has attached %d times", when, n)
		}
	}
	w.kill(mme)
	if err := os.Remove(filepath.Join(w.home("mme"), "keys", "store")); err != nil {
		t.Fatal(err)
	}
	mme = w.start("core", "mme")
	w.says(mme, "sealed under another key")
	w.up(mme)
	w.until(60*time.Second, "the phone attaches anew", func() bool { return w.attaches(mme) == 2 })
	p.gets(1, 60*time.Second, "after the key was lost")
}

// attaches is how many attaches the log of a role's processes has.
func (w *world) attaches(p *process) int {
	w.t.Helper()
	b, err := os.ReadFile(p.log)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Count(string(b), `msg="procedure done" role=mme procedure=attach `)
}
