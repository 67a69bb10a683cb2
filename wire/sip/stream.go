package sip

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Limits bound a message of a stream, in octets.
type Limits struct {
	Header int // start line and header fields; 0: 65535
	Body   int // 0: 65535
}

// ErrPing is a double CRLF between messages of a stream: answer it with a
// single one, and read on (RFC 5626 §4.4.1).
var ErrPing = errors.New("sip: ping")

// ReadStream reads the next message of a stream (RFC 3261 §18.3): a *Message,
// ErrPing, an *Error as Parse has it, or what r said; io.EOF between messages
// only. After an *Error with Lost the stream is to be closed, after any other
// the next message can be read.
func ReadStream(r *bufio.Reader, l Limits) (*Message, error) {
	if l.Header == 0 {
		l.Header = 65535
	}
	if l.Body == 0 {
		l.Body = 65535
	}
	head, err := readHead(r, l.Header)
	if err != nil {
		return nil, err
	}
	var p parser
	p.read(head)
	if p.size > l.Body {
		p.failed(&Error{Where: "Content-Length", Offset: -1, What: "the body is larger than allowed", Status: 513})
		p.unsure = true
	} else if p.size > 0 && !p.unsure {
		p.m.Body = make([]byte, p.size)
		if _, err := io.ReadFull(r, p.m.Body); err != nil {
			return nil, unexpected(err)
		}
	}
	return p.result(true)
}

// readHead reads up to the empty line behind the header fields.
func readHead(r *bufio.Reader, limit int) (head []byte, err error) {
	empty := 0
	head = make([]byte, 0, 1024)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			if len(head)+len(line) > 0 {
				err = unexpected(err)
			}
			return nil, err
		}
		if len(head) == 0 && bytes.Equal(line, crlf) {
			if empty++; empty == 2 {
				return nil, ErrPing
			}
			continue
		}
		end := bytes.Equal(line, crlf) && bytes.HasSuffix(head, crlf)
		head = append(head, line...)
		if len(head) > limit {
			return nil, &Error{Where: "message", Offset: -1, What: "the header is larger than allowed", Status: 513, Fatal: true, Lost: true}
		}
		if end {
			return head, nil
		}
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
