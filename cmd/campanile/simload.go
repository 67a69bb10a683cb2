package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/cmd/campanile/bench"
	"campanile.network/internal/config"
	"campanile.network/sdr/sim"
)

// loadFlags are those of sim load beside simFlags.
type loadFlags struct {
	simFlags
	phones, atOnce, procs  int
	attachRate, rate       float64
	length                 time.Duration
	mix, metrics, dir, cpu string
	noStore                bool
}

func simLoadCommand(g *globals) *cobra.Command {
	f := loadFlags{}
	cmd := &cobra.Command{
		Use: "load", Args: cobra.NoArgs,
		Short: "Measure an MME under load: registered phones at many eNBs, and what they do",
		Long: "Register phones at eNBs, let them rest, then begin procedures at a rate for a while.\n" +
			"Times count from when a procedure was due. Without --mme the MME is a process of its\n" +
			"own, with its store, and with a home and a gateway in it that do next to nothing:\n" +
			"what is measured is signalling alone. With --mme and --metrics it is another's, whose\n" +
			"home has the subscribers: campanile subscriber add --count.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := f.measure(cmd.Context(), g)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) { printMeasured(w, r) })
		},
	}
	p := cmd.Flags()
	p.StringVar(&f.mme, "mme", "", "another MME's address; empty: one of our own")
	p.StringVar(&f.metrics, "metrics", "", "where that MME shows its metrics, such as http://127.0.0.1:9100/metrics")
	f.radio(cmd, 20)
	p.StringVar(&f.imsi, "imsi", "999700000000001", "first IMSI")
	p.StringVar(&f.keyFile, "key-file", "", "file with K and OPc of all SIMs, 64 hexadecimal digits; required with --mme")
	p.IntVar(&f.phones, "phones", 10_000, "phones")
	p.IntVar(&f.atOnce, "at-once", 256, "procedures at the same time at most; what is due beyond waits, and that counts")
	p.Float64Var(&f.attachRate, "attach-rate", 0, "phones registered each second; 0: as fast as it goes")
	p.Float64Var(&f.rate, "rate", 1000, "procedures begun each second afterwards")
	p.DurationVar(&f.length, "for", 30*time.Second, "for so long; 0: phones are registered only")
	p.StringVar(&f.mix, "mix", "attach=1,detach=1,service=4,tau=2,page=2", "how often each procedure is begun")
	p.IntVar(&f.procs, "procs", 1, "processors our own MME may use")
	p.StringVar(&f.dir, "store", "", "folder of our own MME's store; empty: one that is removed afterwards")
	p.BoolVar(&f.noStore, "no-store", false, "our own MME keeps nothing")
	p.StringVar(&f.cpu, "cpu-profile", "", "file for a processor profile of our own MME under load")
	return cmd
}

// measured is the result of sim load.
type measured struct {
	Phones int        `json:"phones"`
	ENBs   int        `json:"enbs"`
	Target string     `json:"target"`
	Parts  []loadPart `json:"parts"`
	// Memory of the target for each registered phone at rest, in octets. What the
	// store holds of the heap, whatever the number of phones, is told apart.
	HeapPerPhone float64 `json:"heap_per_phone"`
	RSSPerPhone  float64 `json:"rss_per_phone"`
	StoreHeap    float64 `json:"store_heap,omitempty"` // in all
}

// loadPart is the registration or the mix.
type loadPart struct {
	Name string `json:"name"`
	sim.FleetReport
	CPU      float64           `json:"target_cpu_seconds"`
	OwnCPU   float64           `json:"simulator_cpu_seconds"`
	Counters map[string]uint64 `json:"target_counters"` // what the target has counted meanwhile
	Commits  uint64            `json:"store_commits,omitempty"`
	Records  uint64            `json:"store_records,omitempty"`
	Differ   []string          `json:"differ,omitempty"` // where it and we do not agree
}

// done is how many procedures ended well, releases left aside.
func (p *loadPart) done() (n int) {
	for name, r := range p.Procedures {
		if name != sim.ProcedureRelease {
			n += r.OK
		}
	}
	return n
}

func (f *loadFlags) measure(ctx context.Context, g *globals) (*measured, error) {
	weights, err := parseMix(f.mix)
	if err != nil {
		return nil, &usageError{err: err}
	}
	t, first, err := f.target(ctx, g)
	if err != nil {
		return nil, err
	}
	defer t.close()
	var out *measured
	err = f.onAir(ctx, g, func(ctx context.Context, enbs []*sim.ENB) error {
		o := first
		o.ENBs, o.Phones, o.AtOnce = enbs, f.phones, f.atOnce
		if t.page != nil {
			o.Page = t.page
		} else {
			delete(weights, sim.ProcedurePage)
		}
		fleet, err := sim.NewFleet(o)
		if err != nil {
			return &usageError{err: err}
		}
		defer fleet.Close()
		out, err = f.parts(ctx, t, fleet, weights)
		return err
	})
	return out, err
}

// parts registers the phones, lets them rest, and begins the mix.
func (f *loadFlags) parts(ctx context.Context, t *target, fleet *sim.Fleet, weights map[string]int) (*measured, error) {
	m := &measured{Phones: f.phones, ENBs: f.enbs, Target: t.name}
	empty, err := t.report()
	if err != nil {
		return nil, err
	}
	if err := f.part(t, m, "registration", func() (sim.FleetReport, error) { return fleet.Attach(ctx, f.attachRate) }); err != nil {
		return nil, err
	}
	full, err := t.report()
	if err != nil {
		return nil, err
	}
	if n := full.Registered - empty.Registered; n > 0 {
		m.HeapPerPhone = (float64(full.Heap) - float64(empty.Heap)) / float64(n)
		m.RSSPerPhone = (float64(full.RSS) - float64(empty.RSS)) / float64(n)
		m.StoreHeap = float64(full.StoreHeap) - float64(empty.StoreHeap)
	}
	if f.length == 0 {
		return m, nil
	}
	return m, f.part(t, m, "mix", func() (sim.FleetReport, error) { return fleet.Mix(ctx, f.rate, f.length, weights) })
}

// part runs one part between two looks at the target.
func (f *loadFlags) part(t *target, m *measured, name string, run func() (sim.FleetReport, error)) error {
	before, err := t.report()
	if err != nil {
		return err
	}
	if err := t.profile(); err != nil {
		return err
	}
	own := bench.Used()
	r, err := run()
	if err != nil {
		return err
	}
	p := loadPart{Name: name, FleetReport: r, OwnCPU: bench.Used() - own, Counters: map[string]uint64{}}
	if err := t.profile(); err != nil {
		return err
	}
	after, err := t.settled()
	if err != nil {
		return err
	}
	p.CPU, p.Commits, p.Records = after.CPU-before.CPU, after.Commits-before.Commits, after.Records-before.Records
	for k, n := range after.Procedures {
		if d := n - before.Procedures[k]; d > 0 {
			p.Counters[k] = d
		}
	}
	p.compare()
	m.Parts = append(m.Parts, p)
	return nil
}

// compare notes where the target's counters are not ours.
func (p *loadPart) compare() {
	ok := func(name string) uint64 { return uint64(p.Procedures[name].OK) }
	for _, c := range []struct {
		theirs string
		ours   uint64
	}{
		{"attach ok", ok(sim.ProcedureAttach)},
		{"detach ok", ok(sim.ProcedureDetach)},
		{"tracking area update ok", ok(sim.ProcedureUpdate)},
		{"service request ok", ok(sim.ProcedureService) + ok(sim.ProcedurePage)},
		{"paging ok", ok(sim.ProcedurePage)},
	} {
		if n := p.Counters[c.theirs]; n != c.ours {
			p.Differ = append(p.Differ, fmt.Sprintf("%s: %d there, %d here", c.theirs, n, c.ours))
		}
	}
}

// parseMix reads "attach=1,tau=2".
func parseMix(s string) (map[string]int, error) {
	m := map[string]int{}
	for _, part := range strings.Split(s, ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.Atoi(weight)
		if err != nil {
			return nil, fmt.Errorf("--mix %q: want name=weight: %w", part, err)
		}
		m[name] = n
	}
	return m, nil
}

// keys of the phones: those in the file, or for our own MME any.
func (f *loadFlags) keys() (k []byte, err error) {
	if f.keyFile != "" {
		return config.Secret(f.keyFile, 32)
	}
	if f.mme != "" {
		return nil, &usageError{err: errors.New("--mme without --key-file: which key do its subscribers have?")}
	}
	k = make([]byte, 32)
	_, err = rand.Read(k)
	return k, err
}

// target is the MME and how it is asked.
func (f *loadFlags) target(ctx context.Context, g *globals) (*target, sim.FleetOptions, error) {
	var o sim.FleetOptions
	k, err := f.keys()
	if err != nil {
		return nil, o, err
	}
	o.K, o.OPc = secret.Key128(k[:16]), secret.Key128(k[16:])
	if o.First, err = id.ParseIMSI(f.imsi); err != nil {
		return nil, o, &usageError{err: err}
	}
	if f.mme != "" {
		return &target{name: "the MME at " + f.mme, report: func() (bench.Report, error) { return scrape(ctx, f.metrics) }}, o, nil
	}
	f.mme = "127.0.0.20"
	plmn, err1 := id.ParsePLMN(f.plmn)
	listen, err2 := netip.ParseAddr(f.mme)
	if err := errors.Join(err1, err2); err != nil {
		return nil, o, &usageError{err: err}
	}
	t, err := f.ownTarget(ctx, g, bench.Options{Listen: listen, PLMN: plmn, K: o.K, OPc: o.OPc}, k)
	return t, o, err
}

func printMeasured(w io.Writer, m *measured) {
	fmt.Fprintf(w, "%d phones at %d eNBs, against %s\n", m.Phones, m.ENBs, m.Target)
	for i := range m.Parts {
		p := &m.Parts[i]
		fmt.Fprintf(w, "\n%s: %d procedures in %.1f s, %.0f each second\n", p.Name, p.done(), p.Seconds, float64(p.done())/p.Seconds)
		table(w, "PROCEDURE\tOK\tFAILED\tP50 ms\tP99 ms\tMAX ms", func(w io.Writer) {
			for _, name := range slices.Sorted(maps.Keys(p.Procedures)) {
				r := p.Procedures[name]
				fmt.Fprintf(w, "%s\t%d\t%d\t%.2f\t%.2f\t%.2f\n", name, r.OK, r.Failed, r.P50, r.P99, r.Max)
			}
		})
		if n := p.done(); n > 0 && p.CPU > 0 {
			fmt.Fprintf(w, "processor  target %.2f s, %.0f us each procedure (%.0f each second and core); simulator %.2f s\n", p.CPU, p.CPU*1e6/float64(n), float64(n)/p.CPU, p.OwnCPU)
		}
		if p.Commits > 0 {
			fmt.Fprintf(w, "store      %d records in %d commits\n", p.Records, p.Commits)
		}
		for _, name := range slices.Sorted(maps.Keys(p.Counters)) {
			fmt.Fprintf(w, "counted    %d %s\n", p.Counters[name], name)
		}
		for _, why := range slices.Sorted(maps.Keys(p.Causes)) {
			fmt.Fprintf(w, "failed     %d: %s\n", p.Causes[why], why)
		}
		for _, d := range p.Differ {
			fmt.Fprintf(w, "DIFFERS    %s\n", d)
		}
	}
	fmt.Fprintf(w, "\nmemory     %.0f octets of heap for each phone at rest, %.0f of the process\n", m.HeapPerPhone, m.RSSPerPhone)
	if m.StoreHeap > 0 && m.Phones > 0 {
		fmt.Fprintf(w, "           %.0f of the heap are each phone's own; %.1f MiB in all are the store's, which do not grow with phones\n",
			m.HeapPerPhone-m.StoreHeap/float64(m.Phones), m.StoreHeap/(1<<20))
	}
}
