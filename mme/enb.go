package mme

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
)

// ppid is S1AP's payload protocol identifier (TS 36.412 §7).
const ppid = 18

// errNoSetup says that an eNB does not set up S1.
var errNoSetup = errors.New("no S1 Setup")

// errReplaced says that an eNB has another association.
var errReplaced = errors.New("the eNB has another association")

// enb is one association with an eNB, owned by the goroutine of serve.
type enb struct {
	m   *MME
	a   sctp.Association
	no  uint64          // later associations have higher ones
	out uint16          // streams this side may send on
	ctx context.Context // ends with the association
	log *slog.Logger

	said  []byte      // the message that is being dealt with, of serve's goroutine
	unset *time.Timer // ends an association that has no S1 Setup
	quit  context.CancelCauseFunc

	resets          resets
	announcing      announcement  // of the MME's configuration
	errors, errands allowance     // Error Indications, and what is passed on for the eNB
	warnings        allowance     // lines in the log about what it says
	probing         sync.Mutex    // held by who asks whether the eNB answers
	heard           chan struct{} // holds one token when it has said something

	mu          sync.Mutex
	ready       bool // S1 Setup is done
	held        bool // was told to hold phones back
	configuring bool // its new tracking areas are being admitted
	info        ENBInfo
	peer        *Peer // who is to be called back if it does not know of the end; nil: nobody
}

func newENB(m *MME, a sctp.Association, no uint64, called *Peer) *enb {
	out, _ := a.Streams()
	return &enb{m: m, a: a, no: no, out: out, log: m.log.With("remote", a.RemoteAddr().String()),
		resets: newResets(), announcing: announcement{answers: make(chan s1ap.Message, 1)}, heard: make(chan struct{}, 1), info: ENBInfo{Remote: a.RemoteAddr(), Since: time.Now()}, peer: called}
}

// ueStream spreads UE-associated signalling over the streams above 0, which is
// for the rest (TS 36.412 §7).
func (e *enb) ueStream(n id.MMEUEID) uint16 {
	if e.out < 2 {
		return 0
	}
	return 1 + uint16(uint32(n)%uint32(e.out-1))
}

// serve reads until the association ends, or until quit says that this side
// ends it: with SHUTDOWN, for there are eNBs that do not notice an ABORT. When
// the MME stops, it goes on until the phones' last words are sent.
func (e *enb) serve() {
	own, cancel := context.WithCancel(context.Background())
	defer cancel()
	reading, quit := context.WithCancelCause(own)
	e.ctx, e.quit = own, quit
	wait := setupWait
	if e.peer != nil {
		wait = recalledWait
	}
	e.unset = time.AfterFunc(wait, func() {
		if !e.up() {
			quit(errNoSetup)
		}
	})
	defer e.unset.Stop()
	defer context.AfterFunc(e.m.quiet, func() { quit(errStopping) })()

	why := e.read(reading)
	told := known(why)
	if cause := context.Cause(reading); cause != nil {
		why = cause
		e.log.Info("association is shut down", "reason", why.Error())
		bounded, done := context.WithTimeout(own, shutdownWait)
		err := e.a.Shutdown(bounded)
		if err != nil {
			e.log.Warn("shutdown of the association failed", "err", err)
		}
		told = err == nil || known(err)
		done()
	}
	e.gone(why, told)
}

func (e *enb) read(ctx context.Context) error {
	for {
		msg, err := e.a.Recv(ctx)
		if err != nil {
			return err
		}
		select {
		case e.heard <- struct{}{}:
		default:
		}
		if msg.PPID != ppid {
			e.m.count.drop(dropPPID)
			continue
		}
		e.handle(msg.Data)
	}
}

// gone tells the phones that this eNB's S1 connections are no more; told says
// that the eNB knows it.
func (e *enb) gone(why error, told bool) {
	reason := why.Error()
	if errors.Is(why, io.EOF) {
		reason = "eNB shut the association down"
	}
	e.drop("association lost: " + reason)
	e.mu.Lock()
	ready, info, peer := e.ready, e.info, e.peer
	e.ready = false
	e.mu.Unlock()
	if ready {
		last := e.m.legs.leave(e, info.ID)
		e.log.Info("eNB gone", "enb", info.ID.String(), "reason", reason)
		if last {
			e.m.o.Events(ENBChanged{ENB: info, Reason: reason})
		}
	}
	if peer != nil {
		e.m.ended(*peer, told)
	}
}

// drop ends every S1 connection of the eNB here and says how many there were.
func (e *enb) drop(why string) int {
	legs := e.m.legs.of(e)
	for _, l := range legs {
		e.m.legs.close(l)
		l.tell(legGone{why})
	}
	return len(legs)
}

func (e *enb) up() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ready
}

func (e *enb) show() ENBInfo {
	ues := e.m.legs.count(e)
	e.mu.Lock()
	i := e.info
	e.mu.Unlock()
	i.UEs, i.Notice = ues, e.m.notice(i.Tower)
	return i
}

// send encodes and sends a message. An encoding error is this MME's fault and
// logged; a sending error means that the association is ending, which read
// will learn too. An eNB that takes nothing for sendWait is given up: it must
// not hold up its phones, nor the paging of others'.
func (e *enb) send(stream uint16, msg s1ap.Message) error {
	b, err := s1ap.Append(make([]byte, 0, 256), msg)
	if err != nil {
		e.log.Error("message not encoded", "message", msg.Header().Name, "err", err)
		return err
	}
	e.tapDown(msg, b)
	stuck := time.AfterFunc(sendWait, func() {
		e.log.Warn("association ended", "reason", "the eNB takes nothing")
		e.a.Abort("the eNB takes nothing")
	})
	defer stuck.Stop()
	return e.a.Send(e.ctx, stream, ppid, b)
}

// errorIndication tells the eNB what was wrong (TS 36.413 §8.7.2). One that is wrong
// all the time is not told all the time.
func (e *enb) errorIndication(m *s1ap.ErrorIndication) {
	if !e.errors.take() {
		e.m.count.drop(dropErrors)
		return
	}
	stream := uint16(0)
	if m.MMEUES1APID != nil {
		stream = e.ueStream(id.MMEUEID(*m.MMEUES1APID))
	}
	if e.send(stream, m) == nil {
		e.log.Warn("error indication sent", "cause", m.Cause.String())
	}
}

// warn logs what is wrong with what the eNB says. One that is wrong all the time does
// not fill the log: what is dropped is counted.
func (e *enb) warn(msg string, args ...any) {
	if e.warnings.take() {
		e.log.Warn(msg, args...)
	}
}

// allowance is how often something may be: allowanceBurst times at once, and
// allowanceRate times a second.
type allowance struct {
	mu   sync.Mutex
	left float64
	at   time.Time
}

const allowanceBurst, allowanceRate = 64, 16

func (a *allowance) take() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.at.IsZero() {
		a.left = allowanceBurst
	}
	a.left, a.at = min(a.left+now.Sub(a.at).Seconds()*allowanceRate, allowanceBurst), now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}
