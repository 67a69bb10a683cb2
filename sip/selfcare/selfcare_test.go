package selfcare_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sip/selfcare"
	"campanile.network/sip/smsc"
	"campanile.network/wire/home"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// book is a directory of two subscribers.
type book struct {
	of     map[id.IMSI]id.MSISDN
	broken error
}

func (b *book) ByNumber(_ context.Context, n id.MSISDN) (id.IMSI, error) {
	for i, m := range b.of {
		if m == n {
			return i, b.broken
		}
	}
	return id.IMSI{}, home.ErrNobody
}

func (b *book) Number(_ context.Context, i id.IMSI) (id.MSISDN, error) { return b.of[i], b.broken }

func (b *book) Assign(ctx context.Context, i id.IMSI, n id.MSISDN) error {
	if _, known := b.of[i]; !known {
		return home.ErrNobody
	}
	if who, err := b.ByNumber(ctx, n); err == nil && who != i {
		return home.ErrNumberTaken
	}
	b.of[i] = n
	return b.broken
}

type purse selfcare.Balance

func (p purse) Balance(context.Context, id.IMSI) (selfcare.Balance, error) {
	return selfcare.Balance(p), nil
}

var (
	anna = smsc.Sender{IMSI: must(id.ParseIMSI("001010000000001"))}
	bert = smsc.Sender{IMSI: must(id.ParseIMSI("001010000000002"))}
)

func desk(t *testing.T, change func(*selfcare.Options)) (*selfcare.Desk, *book) {
	t.Helper()
	b := &book{of: map[id.IMSI]id.MSISDN{anna.IMSI: {}, bert.IMSI: {}}}
	o := selfcare.Options{Directory: b, Numbers: selfcare.Range{Prefix: "88299", Digits: 5}}
	if change != nil {
		change(&o)
	}
	d, err := selfcare.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d, b
}

// A subscriber gives himself a number by 101, once; nobody gets another's.
func TestRegister(t *testing.T) {
	d, b := desk(t, nil)
	for _, c := range []struct {
		from       smsc.Sender
		text, want string
	}{
		{anna, "hello", "5 digits, they follow +88299"},
		{anna, "1234", "5 digits"},
		{anna, "123456", "5 digits"},
		{anna, "+49 12345", "5 digits"},
		{anna, "١٢٣٤٥", "5 digits"},
		{anna, " 123-45 ", "Your number is +8829912345. Welcome!"},
		{anna, "12345", "you cannot change it"}, // again, or after a crash
		{anna, "55555", "you cannot change it"},
		{bert, "12345", "Somebody has this number"},
		{bert, "+88299 54321", "Your number is +8829954321"},
		{smsc.Sender{IMSI: must(id.ParseIMSI("001010000000003"))}, "11111", "does not know your SIM card"},
	} {
		got, ok, err := d.Answer(t.Context(), c.from, "101", c.text)
		if err != nil || !ok || !strings.Contains(got, c.want) {
			t.Errorf("%q: %q, %t, %v; want %q", c.text, got, ok, err, c.want)
		}
	}
	if b.of[anna.IMSI].Digits() != "8829912345" || b.of[bert.IMSI].Digits() != "8829954321" {
		t.Errorf("%v", b.of)
	}
	b.broken = errors.New("the ledger is away")
	if _, _, err := d.Answer(t.Context(), anna, "101", "12345"); err == nil {
		t.Error("answered without a directory")
	}
	d, _ = desk(t, func(o *selfcare.Options) { o.Numbers.Digits = 0 })
	if got, _, _ := d.Answer(t.Context(), anna, "101", "12345"); !strings.Contains(got, "operator") {
		t.Errorf("%q", got)
	}
}

func TestBalanceAndStatus(t *testing.T) {
	d, _ := desk(t, func(o *selfcare.Options) {
		o.Account = purse{Octets: 1_560_000_000, Seconds: 3599, Messages: -1}
		o.Network = func() selfcare.Network { return selfcare.Network{Name: "Valley", Phones: 12} }
		o.Codes.Balance = "700"
	})
	for text, want := range map[string]string{
		"*700#": "Data: 1.5 GB\nMinutes: 59\nMessages: unlimited",
		"*411#": "Valley: 12 phones, all is well.",
		"*100#": "You have no number yet.\nNumber: text the one you want to 101.\nBalance: text or call *700#.\nNetwork: 411.",
		"*999#": "You have no number yet.\nNumber: text the one you want to 101.\nBalance: text or call *700#.\nNetwork: 411.",
		"":      "You have no number yet.\nNumber: text the one you want to 101.\nBalance: text or call *700#.\nNetwork: 411.",
	} {
		if got, err := d.USSD(t.Context(), anna, text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if got, err := d.USSD(t.Context(), anna, "*101*12345#"); err != nil || !strings.Contains(got, "+8829912345") {
		t.Errorf("%q, %v", got, err)
	}
	if _, ok, _ := d.Answer(t.Context(), anna, "102", ""); ok {
		t.Error("102 is answered")
	}
}

// Every language says everything, in one message each.
func TestLanguages(t *testing.T) {
	for _, l := range []string{"en", "de"} {
		d, _ := desk(t, func(o *selfcare.Options) {
			o.Language = l
			o.Account = purse{1e12, 1e9, 1e9}
			o.Network = func() selfcare.Network {
				return selfcare.Network{Name: "Valley", Phones: 12, Trouble: "the ledger is halted"}
			}
		})
		for _, q := range []string{"*100#", "*102#", "*411#", "*101*1#", "*101*12345#", "*101*1#"} {
			got := must(d.USSD(t.Context(), anna, q))
			if strings.Contains(got, "%!") || got == "" || len(must(sms.Split(got, sms.SplitOptions{}))) != 1 {
				t.Errorf("%s: %s gives %q", l, q, got)
			}
		}
	}
	if _, err := selfcare.New(selfcare.Options{Directory: &book{}, Language: "fr"}); err == nil || !strings.Contains(err.Error(), "en and de") {
		t.Errorf("%v", err)
	}
	if _, err := selfcare.New(selfcare.Options{Directory: &book{}, Codes: selfcare.Codes{Help: "101"}}); err == nil {
		t.Error("one code for two things")
	}
}
