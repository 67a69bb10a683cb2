package radio

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one srsenb from beginning to end.
type process struct {
	*Supervisor
	cmd     *exec.Cmd
	stdin   io.WriteCloser // kept open: srsenb reads its keyboard
	lines   chan string    // of the console
	objects chan string    // of the report
	ended   chan error     // the program's own end

	air, core bool      // samples flow; S1 is set up
	onAir     time.Time // since both
	lastFault string
	shown     int  // faults logged
	rf        bool // trouble of this kind was told
}

// once runs the program until it ends, and says how long it was on the air and
// why it has ended: it is nil only when ctx has.
func (s *Supervisor) once(ctx context.Context) (on time.Duration, err error) {
	p := &process{Supervisor: s, lines: make(chan string), objects: make(chan string), ended: make(chan error, 1)}
	s.set(func(h *Health) {
		h.State, h.RF, h.Warnings, h.Errors, h.RACH, h.MetricsAt = Starting, RF{}, 0, 0, 0, time.Time{}
	})
	console, err := openTerminal()
	if err != nil {
		return 0, err
	}
	report, err := openTerminal()
	if err != nil {
		console.close()
		return 0, err
	}
	if err = p.start(console, report); err != nil {
		console.close()
		report.close()
		return 0, err
	}
	var readers sync.WaitGroup
	readers.Go(func() { readLines(console.master, p.lines) })
	var f framer
	readers.Go(func() { readObjects(report.master, &f, p.objects) })
	readers.Go(func() {
		p.ended <- p.cmd.Wait()
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // what it has left behind
		console.slave.Close()
		report.slave.Close() // and with that, both readers end when all is read
	})
	err = p.watch(ctx)
	p.stdin.Close()
	readers.Wait()
	console.master.Close()
	report.master.Close()
	if !p.onAir.IsZero() {
		on = time.Since(p.onAir)
	}
	return on, err
}

// start writes the configuration and starts the program.
func (p *process) start(console, report terminal) error {
	if err := p.Plan.WriteFiles(p.Dir, report.name()); err != nil {
		return err
	}
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return err
	}
	p.cmd = exec.Command(p.program, filepath.Join(dir, MainFile))
	p.cmd.Dir = dir
	p.cmd.Env = p.Plan.environ(dir)
	p.cmd.Stdout, p.cmd.Stderr = console.slave, console.slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.program, err)
	}
	p.Logger.Info("radio started", "program", p.program, "pid", p.cmd.Process.Pid, "files", dir)
	return nil
}

// environ is what the program sees: its home is its folder, where it keeps
// what FFTW has learnt.
func (p *Plan) environ(dir string) []string {
	return append(append(os.Environ(), "HOME="+dir), p.Environment...)
}

// watch follows the program until it has ended; it reads all that it says.
func (p *process) watch(ctx context.Context) error {
	ready, silence := time.NewTimer(p.Ready), time.NewTimer(p.Silence)
	defer ready.Stop()
	defer silence.Stop()
	silence.Stop()
	lines, objects, ended, done := p.lines, p.objects, p.ended, ctx.Done()
	var why, exit error
	var kill <-chan time.Time
	end := func(reason error) { // once
		if why == nil && kill == nil {
			why = reason
			p.signal(syscall.SIGINT)
			kill = time.After(p.Stop)
		}
	}
	for lines != nil || objects != nil || ended != nil {
		select {
		case line, ok := <-lines:
			if !ok {
				lines = nil
				continue
			}
			was := p.core
			if err := p.hear(understand(line)); err != nil {
				p.signal(syscall.SIGKILL) // at once
				end(err)
			}
			if p.core != was {
				ready.Reset(p.Ready)
			}
		case o, ok := <-objects:
			if !ok {
				objects = nil
				continue
			}
			p.count(o)
			silence.Reset(p.Silence)
		case exit = <-ended:
			ended = nil
		case <-ready.C:
			if !p.air {
				end(fmt.Errorf("no samples flow after %v", p.Ready))
			} else if !p.core && p.Plan.Kit.Virtual { // its clock stands while no phone is there, and it does not try again
				end(fmt.Errorf("the core has not answered for %v", p.Ready))
			}
		case <-silence.C:
			end(fmt.Errorf("it hangs: it has reported nothing for %v", p.Silence))
		case <-done:
			done = nil
			end(nil)
		case <-kill:
			kill = make(chan time.Time)
			p.signal(syscall.SIGKILL)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if why != nil {
		return why
	}
	return p.exited(exit)
}

func (p *process) signal(n syscall.Signal) {
	if err := syscall.Kill(-p.cmd.Process.Pid, n); err != nil && !errors.Is(err, syscall.ESRCH) {
		p.Logger.Warn("signal to the radio", "signal", n.String(), "err", err)
	}
}

// exited says how the program has ended, with the last that it complained of.
func (p *process) exited(err error) error {
	text := "it ended by itself"
	if err != nil {
		text = err.Error()
	}
	if p.lastFault != "" {
		text += ": " + p.lastFault
	}
	return errors.New(text)
}

// count takes an object of the report.
func (p *process) count(object string) {
	m, err := parseMetrics([]byte(object))
	if err != nil {
		if !errors.Is(err, errNoMetrics) {
			p.Logger.Debug("report is not understood", "err", err)
		}
		return
	}
	p.set(func(h *Health) {
		h.Users, h.DL, h.UL, h.Phones, h.MetricsAt = m.users, m.dl, m.ul, m.phones, time.Now()
		h.RACH = max(h.RACH, m.rach)
	})
}

// maxShown bounds the faults of one run that are logged one by one.
const maxShown = 20

// hear takes a line of the console. Its error means that the program must not
// go on.
func (p *process) hear(s said) error {
	p.Logger.Debug("srsenb", "says", s.text)
	switch s.meaning {
	case frequency:
		if c := p.Plan.Channel; s.dl != c.DLCentre || s.ul != c.ULCentre {
			return fmt.Errorf("%w: %v and %v, not %v and %v", errElsewhere, s.dl, s.ul, c.DLCentre, c.ULCentre)
		}
	case started:
		p.air = true
		io.WriteString(p.stdin, "t\n") // tell RF trouble; it ends if it cannot read
	case coreUp, coreLost:
		p.core = s.meaning == coreUp
	case version:
		p.set(func(h *Health) { h.Version = s.text })
	case rfTrouble:
		p.set(func(h *Health) {
			h.RF.Overflows += s.rf.Overflows
			h.RF.Underflows += s.rf.Underflows
			h.RF.Late += s.rf.Late
		})
		if !p.rf {
			p.rf = true
			p.Event("trouble", "samples come too late for the radio ("+s.text+"): is the machine busy, the cable short, the port USB 3?")
		}
	case slowUSB:
		if p.Plan.Kit.NeedsUSB3(p.Plan.Channel.Width, p.Plan.Antennas) {
			p.Event("trouble", fmt.Sprintf("the kit is at a USB 2 port, which is too slow for %v", p.Plan.Channel.Width))
		}
	case warning:
		p.set(func(h *Health) { h.Warnings++ })
	case fault:
		p.lastFault = s.text[:min(len(s.text), 300)]
		p.set(func(h *Health) { h.Errors++ })
		if p.shown++; p.shown <= maxShown {
			p.Logger.Warn("srsenb", "says", p.lastFault)
		}
	}
	p.tellState(s)
	return nil
}

// tellState makes the state out of what is known.
func (p *process) tellState(s said) {
	switch {
	case p.air && p.core && (s.meaning == started || s.meaning == coreUp):
		if p.onAir.IsZero() {
			p.onAir = time.Now()
		}
		c := p.Plan.Channel
		p.set(func(h *Health) { h.State = Running })
		p.Event("cell", fmt.Sprintf("%s: band %d, downlink %v, uplink %v, %v wide", map[bool]string{true: "virtual radio", false: "on the air"}[p.Plan.Kit.Virtual], c.Band.Number, c.DLCentre, c.ULCentre, c.Width))
	case s.meaning == coreLost && p.Health().State != NoCore:
		p.set(func(h *Health) { h.State, h.LastError = NoCore, s.text })
		p.Event("trouble", "the radio has no core: "+s.text)
	}
}

// maxLine bounds a line of the console, in octets; the rest is cut off.
const maxLine = 4096

// readLines sends what r says line by line until it ends, and closes to.
func readLines(r io.Reader, to chan<- string) {
	defer close(to)
	eachLine(r, func(s string) { to <- s })
}

func readObjects(r io.Reader, f *framer, to chan<- string) {
	defer close(to)
	eachLine(r, func(s string) {
		if o, ok := f.line(s); ok {
			to <- o
		}
	})
}

func eachLine(r io.Reader, f func(string)) {
	b := bufio.NewReaderSize(r, maxLine)
	for {
		line, more, err := b.ReadLine()
		if err != nil {
			return // a terminal without writers gives EIO
		}
		f(strings.TrimRight(string(line), "\r"))
		for more && err == nil {
			_, more, err = b.ReadLine()
		}
	}
}
