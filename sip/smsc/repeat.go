package smsc

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"time"

	"campanile.network/3gpp/sms"
)

// again is how long the very same RP-DATA of a phone counts as a repetition by its
// lower layers, which have not got the answer. A phone whose references do not move
// may mean the same text anew after that.
const again = 2 * time.Minute

// once does what a sender asks for, unless he has asked for it before: then he gets
// what came of it. A repetition is the same RP-DATA within a short while, and for a
// mark with a Key within the whole window. With reject the sender says himself that
// it may be one; if it is, that is what he is told (TS 23.040 §9.2.3.25; that it says
// the same is asked for, too: no text is lost to a phone that counts badly). f goes
// on when ctx ends.
func (c *Centre) once(ctx context.Context, k *mark, reject bool, f func(context.Context) error) (int64, error) {
	k.At, k.done = time.Now().Unix(), make(chan struct{})
	for {
		former, err := c.claim(k, reject, f)
		if err != nil {
			return 0, err
		}
		if former == nil {
			return k.wait(ctx)
		}
		stamp, err := former.wait(ctx)
		switch {
		case former.sameAs(k):
			if err == nil {
				c.noteRepeat()
			}
			return stamp, err
		case err == nil:
			c.noteRepeat()
			return 0, refuse(sms.RPCauseTransferRejected, sms.FailureDuplicate, "the message was taken already")
		case ctx.Err() != nil:
			return 0, err
		}
	}
}

// claim makes k the mark of its name and begins f, or gives the mark of which k is
// a repetition.
func (c *Centre) claim(k *mark, reject bool, f func(context.Context) error) (former *mark, err error) {
	select {
	case c.takes <- struct{}{}:
	default:
		return nil, refuse(sms.RPCauseCongestion, sms.FailureBusy, "too much is sent at a time")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.marks[k.Of]
	fresh := old != nil && time.Duration(k.At-old.At)*time.Second < c.o.Limits.RepeatWindow
	if fresh && (old.sameAs(k) || reject && bytes.Equal(old.Body, k.Body)) {
		<-c.takes
		return old, nil
	}
	c.marks[k.Of] = k
	if !c.spawn(func() {
		defer func() { <-c.takes }()
		ctx, cancel := context.WithTimeout(c.ctx, intakeFor)
		defer cancel()
		c.settle(k, f(ctx))
	}) {
		delete(c.marks, k.Of)
		<-c.takes
		return nil, errClosed
	}
	return nil, nil
}

// intakeFor is how long directory and short codes may take for a submission.
const intakeFor = 30 * time.Second

// settle tells what became of a submission. One that was not taken leaves no mark.
func (c *Centre) settle(k *mark, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.marks[k.Of] == k {
		delete(c.marks, k.Of)
	}
	k.err = err
	close(k.done)
}

// sameAs says that k and a later mark of the same name are of one submission.
func (k *mark) sameAs(later *mark) bool {
	if !bytes.Equal(k.Body, later.Body) || k.Ref != later.Ref {
		return false
	}
	return k.Lasts || later.At-k.At < int64(again/time.Second)
}

func (k *mark) wait(ctx context.Context) (int64, error) {
	select {
	case <-k.done:
		return k.Stamp, k.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (k *mark) settled() bool {
	select {
	case <-k.done:
		return true
	default:
		return false
	}
}

func digest(b []byte) []byte {
	d := sha256.Sum256(b)
	return d[:16]
}

func newKey() (k Key) {
	rand.Read(k[:])
	return k
}

// firstReference is where the references of texts of several parts begin: a phone
// must not take parts of one text for those of another.
func firstReference() uint8 { return newKey()[0] }

// rawAddress is an address as records have it.
func rawAddress(a sms.Address) []byte { return sms.AppendCentre(nil, a) }
