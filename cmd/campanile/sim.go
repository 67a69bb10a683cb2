package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/internal/config"
	"campanile.network/internal/sctp"
	"campanile.network/sdr/sim"
)

// simFlags are what a load run needs of any MME.
type simFlags struct {
	mme, local, plmn, enb, imsi, keyFile string
	transport, fetch, post               string
	pdn                                  string
	ping                                 []string
	pingOctets                           int
	octets                               int64
	tac                                  uint16
	ues, enbs                            int
	rate                                 float64
	detach                               bool
}

func simCommand(g *globals) *cobra.Command {
	f := simFlags{}
	cmd := &cobra.Command{
		Use: "sim", GroupID: "run", Args: cobra.NoArgs,
		Short: "eNBs and phones against an MME, ours or anybody's",
		Long: "Attach phones with consecutive IMSIs and one key to an MME, and report rates and\n" +
			"times. S1AP goes in SCTP in UDP (RFC 6951), or with --sctp as the MME has it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var d []moved
			r, err := f.run(cmd.Context(), g, func(ctx context.Context, o sim.LoadOptions) (r sim.LoadReport, err error) {
				if !f.moves() {
					return sim.Load(ctx, o)
				}
				d, err = f.move(ctx, o)
				return r, err
			})
			if err != nil {
				return err
			}
			if d != nil {
				return g.print(cmd.OutOrStdout(), d, func(w io.Writer) { printMoved(w, d) })
			}
			err = g.print(cmd.OutOrStdout(), r, func(w io.Writer) { printLoad(w, r) })
			if err == nil && r.Failed > 0 {
				err = fmt.Errorf("%d of %d phones failed", r.Failed, r.Failed+r.Attached)
			}
			return err
		},
	}
	cmd.AddCommand(simLoadCommand(g), simCoreCommand(g))
	p := cmd.Flags()
	f.radio(cmd, 1)
	p.StringVar(&f.mme, "mme", "127.0.0.20", "the MME's address")
	p.StringVar(&f.imsi, "imsi", "", "first IMSI (required)")
	p.StringVar(&f.keyFile, "key-file", "", "file with K and OPc of all SIMs, 64 hexadecimal digits (required)")
	p.IntVar(&f.ues, "ues", 100, "phones")
	p.Float64Var(&f.rate, "rate", 50, "attaches begun each second")
	p.BoolVar(&f.detach, "detach", false, "detach after attaching")
	p.StringVar(&f.fetch, "fetch", "", "each phone fetches this http URL, one after the other, instead of the load run")
	p.StringVar(&f.post, "post", "", "each phone sends --octets to this http URL")
	p.Int64Var(&f.octets, "octets", 100_000, "what --post sends")
	p.StringVar(&f.pdn, "pdn", "ipv4", "what such a phone asks for: ipv4, ipv6 or ipv4v6")
	p.StringSliceVar(&f.ping, "ping", nil, "each phone has an echo from these addresses, before that")
	p.IntVar(&f.pingOctets, "ping-octets", 56, "octets of data in --ping")
	for _, name := range []string{"imsi", "key-file"} {
		cmd.MarkFlagRequired(name)
	}
	return cmd
}

// radio gives a command the flags that say what eNBs there are.
func (f *simFlags) radio(cmd *cobra.Command, enbs int) {
	p := cmd.Flags()
	p.StringVar(&f.local, "local", "127.0.0.40", "our address; each further eNB takes the next")
	p.StringVar(&f.transport, "sctp", "udp", "the SCTP that S1AP goes by: udp, kernel, raw or auto")
	p.StringVar(&f.plmn, "plmn", "999/70", "network")
	p.StringVar(&f.enb, "enb", "999/70-macro-0x200", "global eNB id of the first eNB")
	p.Uint16Var(&f.tac, "tac", 7, "tracking area code")
	p.IntVar(&f.enbs, "enbs", enbs, "eNBs")
}

func printLoad(w io.Writer, r sim.LoadReport) {
	fmt.Fprintf(w, "attached  %d in %.1f s, %.0f each second\n", r.Attached, r.Seconds, r.Rate)
	if r.Attached > 0 {
		fmt.Fprintf(w, "times     p50 %.1f  p90 %.1f  p99 %.1f  max %.1f ms\n", r.P50, r.P90, r.P99, r.Max)
	}
	for why, n := range r.Causes {
		fmt.Fprintf(w, "failed    %d: %s\n", n, why)
	}
}

// setUp waits for S1 Setup; an MME that refuses or says nothing ends it.
func setUp(ctx context.Context, e *sim.ENB, who id.GlobalENBID, mme netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	refused := make(chan struct{})
	go func() {
		defer close(refused)
		for ctx.Err() == nil && e.Refused() == nil {
			time.Sleep(20 * time.Millisecond)
		}
		cancel()
	}()
	err := e.WaitReady(ctx)
	cancel()
	<-refused
	switch {
	case err == nil:
		return nil
	case e.Refused() != nil:
		return fmt.Errorf("the MME refuses eNB %v (%w); ours admits registered towers: campanile tower register", who, e.Refused())
	}
	return fmt.Errorf("no S1 Setup with an MME at %v (%w); does it listen there, and over what --sctp says?", mme, err)
}

func (f *simFlags) run(ctx context.Context, g *globals, do func(context.Context, sim.LoadOptions) (sim.LoadReport, error)) (sim.LoadReport, error) {
	o := sim.LoadOptions{UEs: f.ues, Rate: f.rate, Detach: f.detach}
	var err error
	if o.First, err = id.ParseIMSI(f.imsi); err != nil {
		return sim.LoadReport{}, &usageError{err: err}
	}
	k, err := config.Secret(f.keyFile, 32)
	if err != nil {
		return sim.LoadReport{}, err
	}
	o.K, o.OPc = secret.Key128(k[:16]), secret.Key128(k[16:])
	var r sim.LoadReport
	err = f.onAir(ctx, g, func(ctx context.Context, enbs []*sim.ENB) (err error) {
		o.ENBs = enbs
		r, err = do(ctx, o)
		return err
	})
	return r, err
}

// onAir does something while eNBs have S1 with the MME.
func (f *simFlags) onAir(ctx context.Context, g *globals, do func(context.Context, []*sim.ENB) error) error {
	log, err := g.logger()
	if err != nil {
		return err
	}
	plmn, err1 := id.ParsePLMN(f.plmn)
	first, err2 := id.ParseGlobalENBID(f.enb)
	local, err3 := netip.ParseAddr(f.local)
	mme, err4 := netip.ParseAddr(f.mme)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return &usageError{err: err}
	}
	// eNBs outlast an interruption, so that phones can still say that they leave.
	air, stop := context.WithCancel(context.WithoutCancel(ctx))
	var done []chan struct{}
	defer func() {
		stop()
		for _, d := range done {
			<-d
		}
	}()
	var enbs []*sim.ENB
	for i := range f.enbs {
		e, err := sim.NewENB(sim.ENBOptions{ID: id.GlobalENBID{PLMN: first.PLMN, Type: first.Type, ID: first.ID + uint32(i)}, Name: fmt.Sprintf("sim %d", i+1),
			TAI: id.TAI{PLMN: plmn, TAC: id.TAC(f.tac)}, Cell: id.ECI((first.ID+uint32(i))<<8 | 1), GTPU: f.userPlane(local), Log: log})
		if err != nil {
			return &usageError{err: err}
		}
		ep, _, err := sctp.Open(sctp.OpenOptions{Transport: sctp.Transport(f.transport), Local: []netip.Addr{local}, Logger: log})
		if err != nil {
			return err
		}
		local = local.Next()
		d := make(chan struct{})
		done = append(done, d)
		go func() {
			defer close(d)
			e.Serve(air, func(ctx context.Context) (sctp.Association, error) {
				return ep.Dial(ctx, netip.AddrPortFrom(mme, 36412), sctp.DialOptions{})
			})
			ep.Close()
		}()
		if err := setUp(ctx, e, id.GlobalENBID{PLMN: first.PLMN, Type: first.Type, ID: first.ID + uint32(i)}, mme); err != nil {
			return err
		}
		enbs = append(enbs, e)
	}
	return do(ctx, enbs)
}
