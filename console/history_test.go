package console

import (
	"slices"
	"testing"
	"time"
)

func phone(t *testing.T, number string, ul, dl uint64) Phone {
	return Phone{IMSI: imsi(t, number), Bearers: []Bearer{{EBI: 5, Octets: Octets{ul, dl}}}}
}

const one, two = "001010000000001", "001010000000002"

// A transcript of looks: what was counted and which rates come of it.
func TestRates(t *testing.T) {
	h := newHistory()
	now := time.Now()
	look := func(after time.Duration, phones ...Phone) { now = now.Add(after); h.put(now, phones) }

	look(0, phone(t, one, 5000, 9000)) // carried before anybody looked: no rate
	if r := h.total.rates(); len(r.UL) != 0 || r.UL == nil {
		t.Fatalf("after the first look: %v", r)
	}
	look(time.Second, phone(t, one, 5100, 10_000))
	look(2*time.Second, phone(t, one, 5300, 12_000))                      // a late look: the rate is per second
	look(time.Second, phone(t, one, 5300, 12_000), phone(t, two, 40, 60)) // a new phone begins at nothing
	look(time.Second, phone(t, one, 10, 20), phone(t, two, 40, 60))       // attached anew: the count has fallen
	look(time.Second, Phone{IMSI: imsi(t, one)}, phone(t, two, 40, 61))   // no bearer for a look
	look(time.Second, phone(t, one, 15, 20), phone(t, two, 40, 61))       // and there again
	look(0, phone(t, one, 900, 900), phone(t, two, 40, 61))               // no time has passed
	check := func(what string, got, want []uint64) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	p1, p2 := phone(t, one, 0, 0), phone(t, two, 0, 0)
	check("one up", h.rates(&p1).UL, []uint64{100, 100, 0, 10, 0, 5, 0})
	check("one down", h.rates(&p1).DL, []uint64{1000, 1000, 0, 20, 0, 0, 0})
	check("two down", h.rates(&p2).DL, []uint64{60, 0, 1, 0, 0})
	check("all up", h.total.rates().UL, []uint64{100, 100, 40, 10, 0, 5, 0})
}

// Two minutes are kept, of phones that are there.
func TestHistoryIsBounded(t *testing.T) {
	h := newHistory()
	now := time.Now()
	for i := range uint64(1000) {
		now = now.Add(time.Second)
		h.put(now, []Phone{phone(t, one, i*i, 0)})
	}
	p := phone(t, one, 0, 0)
	r := h.rates(&p)
	if len(r.UL) != points || len(r.DL) != points {
		t.Fatalf("%d and %d points", len(r.UL), len(r.DL))
	}
	if first, last := r.UL[0], r.UL[points-1]; first != 2*(1000-points)-1 || last != 2*999-1 {
		t.Errorf("from %d to %d", first, last)
	}
	h.put(now.Add(time.Second), nil)
	if len(h.phones) != 0 {
		t.Errorf("%d phones are remembered that are gone", len(h.phones))
	}
}

// Phones with the same masked number are told apart by id, which stays.
func TestPhoneIDs(t *testing.T) {
	h := newHistory()
	a, b, c := phone(t, "001010000100001", 0, 0), phone(t, "001010000200001", 0, 0), Phone{}
	ids := []uint64{h.id(&a), h.id(&b), h.id(&c)}
	h.put(time.Now(), []Phone{b, a, c})
	if again := []uint64{h.id(&a), h.id(&b), h.id(&c)}; !slices.Equal(ids, again) || ids[0] == ids[1] || ids[1] == ids[2] {
		t.Errorf("%v then %v", ids, again)
	}
}
