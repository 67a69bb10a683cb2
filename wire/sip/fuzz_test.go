package sip

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
)

// FuzzParse: a message or an *Error, never a panic. What is read can be written
// and is read as the same again; an error can be answered, or says that it
// cannot; its place is in the message.
func FuzzParse(f *testing.F) {
	order, messages := published(f)
	for _, id := range order {
		f.Add(messages[id], false)
	}
	for _, text := range samples {
		f.Add(lines(text), true)
	}
	f.Fuzz(func(t *testing.T, input []byte, stream bool) {
		b := bytes.Clone(input)
		m, err := Parse(b, stream)
		if !bytes.Equal(input, b) {
			t.Fatal("what was read is changed")
		}
		clear(b) // nothing of it may be kept
		if err != nil {
			refused(t, m, err, len(b))
			return
		}
		for _, err := range []error{m.Validate(), Check(m, phone)} {
			if err != nil {
				refused(t, m, err, len(b))
			}
		}
		text, err := m.Bytes()
		if err != nil {
			if m.Validate() == nil {
				t.Fatalf("cannot be written: %v", err)
			}
			return
		}
		again, err := Parse(text, true)
		if err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		if !reflect.DeepEqual(m, again) {
			t.Fatalf("%q\ngot  %+v\nwant %+v", text, again, m)
		}
		_ = m.URI.Equal(m.From.URI)
		_ = m.URI.Number()
		r := m.Response(200, "")
		r.To.SetTag("t")
		if _, err := r.Bytes(); err != nil {
			t.Fatalf("the answer: %v", err)
		}
	})
}

// refused checks an error and its answer.
func refused(t *testing.T, m *Message, e error, size int) {
	var err *Error
	if !errors.As(e, &err) || err.Where == "" || err.What == "" || err.Offset < -1 || err.Offset > size {
		t.Fatalf("%#v", e)
	}
	r := err.Response(m)
	if (r == nil) != err.Fatal {
		t.Fatalf("%+v is answered with %v", err, r)
	}
	if r == nil {
		return
	}
	r.To.SetTag("t")
	text, e := r.Bytes()
	if e != nil {
		t.Fatalf("the answer: %v", e)
	}
	// An answer that repeats what could not be read cannot be read.
	if again, e := Parse(text, true); e == nil && again.Status != err.Status {
		t.Fatalf("%q", text)
	}
}

// FuzzStream: a stream comes to its end, and what is read from it does not
// depend on how it arrives.
func FuzzStream(f *testing.F) {
	order, messages := published(f)
	for _, id := range order {
		f.Add(append(append(bytes.Clone(messages[id]), "\r\n\r\n"...), messages["dblreq"]...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		limits := Limits{Header: 4096, Body: 1024}
		read := func(r *bufio.Reader) (all []*Message, errs []string) {
			for n := 0; ; n++ {
				m, err := ReadStream(r, limits)
				if n > len(b)+1 {
					t.Fatal("no end")
				}
				if err != nil {
					errs = append(errs, err.Error())
				}
				if m != nil {
					all = append(all, m)
				}
				var e *Error
				if errors.As(err, &e) && e.Lost || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
					return all, errs
				}
				if err == nil && (len(m.Body) > limits.Body) {
					t.Fatal("a body larger than allowed")
				}
			}
		}
		whole, errs := read(bufio.NewReader(bytes.NewReader(b)))
		slow, errs2 := read(bufio.NewReaderSize(&trickle{b}, 16))
		if !reflect.DeepEqual(whole, slow) || !reflect.DeepEqual(errs, errs2) {
			t.Fatalf("%+v %q\n%+v %q", whole, errs, slow, errs2)
		}
	})
}

// trickle gives one octet at a time.
type trickle struct{ b []byte }

func (r *trickle) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b[:1])
	r.b = r.b[n:]
	return n, nil
}

// FuzzURI: what is read as a URI or an address is written and read as the same.
func FuzzURI(f *testing.F) {
	for _, s := range []string{"sip:a:b@h:1;lr;x=%41?y=z&w=", "tel:+1-2;ext=3", "urn:service:sos", "sip:[::1]:5060", `"a\"b" <sip:h>;tag=1;x="\""`, "a b <sips:u@h>;q=0.5", "sip:h;tag=a", "sip:*1#;p=q@h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := ParseURI(s); err == nil {
			again, err := ParseURI(u.String())
			if err != nil || !reflect.DeepEqual(u, again) || !u.Equal(again) {
				t.Fatalf("%q: %q: %+v, %+v, %v", s, u, u, again, err)
			}
		}
		if list, err := ParseAddresses(s); err == nil {
			for _, a := range list {
				again, err := ParseAddress(a.String())
				if err != nil || !reflect.DeepEqual(a, again) {
					t.Fatalf("%q: %q: %+v, %+v, %v", s, a, a, again, err)
				}
			}
		}
	})
}
