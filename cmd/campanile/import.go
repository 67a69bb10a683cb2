package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"campanile.network/cmd/campanile/town"
	"campanile.network/sip/openbts"
	pb "campanile.network/wire/corepb"
)

// imported is what an import says, for programs.
type imported struct {
	Subscribers []importedSubscriber `json:"subscribers"`
	Refused     []openbts.Refused    `json:"refused"`
	Added       bool                 `json:"added"`
	Height      int64                `json:"height,omitempty"`
}

type importedSubscriber struct {
	IMSI      string   `json:"imsi"`
	MSISDN    string   `json:"msisdn,omitempty"`
	Algorithm string   `json:"algorithm"`
	Notes     []string `json:"notes,omitempty"`
}

func subscriberImport(g *globals) *cobra.Command {
	var file, algorithm, plan string
	var yes bool
	cmd := &cobra.Command{
		Use: "import --openbts FILE", Args: cobra.NoArgs, Short: "Take over the subscribers of an OpenBTS",
		Long: "Take over the subscribers of an OpenBTS: IMSI, Ki and telephone number, out of the SQLite\nfile of sipauthserve and Asterisk, usually /var/lib/asterisk/sqlite3dir/sqlite3.db. It shows\nwho would come and who cannot, and why; with --yes it adds them. The file is not changed.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := openbts.ReadRegistry(file, algorithm)
			if err != nil {
				return err
			}
			c, _, err := g.load()
			if err != nil {
				return err
			}
			withoutForeign(c, r)
			out := imported{Refused: r.Refused, Added: yes}
			if !yes {
				out.take(r.Subscribers)
			} else if err := out.add(cmd, g, r.Subscribers, plan); err != nil {
				return err
			}
			if err := g.print(cmd.OutOrStdout(), out, func(w io.Writer) { printImported(w, out) }); err != nil {
				return err
			}
			if len(out.Subscribers) == 0 {
				return errors.New("nobody of that file can be taken over")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "openbts", "", "the SQLite file (required)")
	f.StringVar(&algorithm, "algorithm", "comp128v1", "what cards compute of which the file does not say it: "+strings.Join(openbts.Algorithms, ", "))
	f.StringVar(&plan, "plan", "open", "plan, as the ledger shows it")
	f.BoolVar(&yes, "yes", false, "add them")
	cmd.MarkFlagRequired("openbts")
	return cmd
}

// withoutForeign refuses whom this network would not have.
func withoutForeign(c *town.Config, r *openbts.Registry) {
	keep := r.Subscribers[:0]
	for _, s := range r.Subscribers {
		why := ""
		if !slices.ContainsFunc(c.Network.Ranges, func(first string) bool { return strings.HasPrefix(s.IMSI.Digits(), first) }) {
			why = fmt.Sprintf("is in none of this network's ranges %v (network.ranges)", c.Network.Ranges)
		} else if s.Algorithm == "comp128v1" && !c.HSS.AllowCOMP128v1 {
			why = "computes COMP128v1, which gives a card's key away to whoever may ask it often enough; change the card, or set hss.allow_comp128v1; or say with --algorithm what it really computes"
		}
		if why == "" {
			keep = append(keep, s)
		} else {
			r.Refused = append(r.Refused, openbts.Refused{Who: "IMSI" + s.IMSI.Digits(), Why: why})
		}
	}
	r.Subscribers = keep
}

// add adds subscribers, up to 1000 at once. Where the node refuses some, for it
// takes all or none, halves are tried, down to the one who is refused.
func (o *imported) add(cmd *cobra.Command, g *globals, all []openbts.Subscriber, plan string) error {
	if len(all) > 1000 {
		return errors.Join(o.add(cmd, g, all[:1000], plan), o.add(cmd, g, all[1000:], plan))
	}
	q := &pb.AddSubscribersRequest{Plan: plan}
	for _, s := range all {
		q.Subscribers = append(q.Subscribers, &pb.NewSubscriber{
			Imsi: s.IMSI.Digits(), Msisdn: s.MSISDN.Digits(), K: s.Ki[:], Algorithm: s.Algorithm, Qci: 9, Arp: 8, AmbrUl: 50e6, AmbrDl: 100e6,
		})
	}
	r, err := ask(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.AddSubscribersReply, error) {
		return c.AddSubscribers(ctx, q)
	})
	var refused *usageError
	switch {
	case err == nil:
		o.Height = r.Height
		o.take(all)
	case !errors.As(err, &refused):
		return err
	case len(all) == 1:
		o.Refused = append(o.Refused, openbts.Refused{Who: "IMSI" + all[0].IMSI.Digits(), Why: strings.TrimPrefix(refused.Error(), "subscriber 1: ")})
	default:
		if err := o.add(cmd, g, all[:len(all)/2], plan); err != nil {
			return err
		}
		return o.add(cmd, g, all[len(all)/2:], plan)
	}
	return nil
}

func (o *imported) take(all []openbts.Subscriber) {
	for _, s := range all {
		o.Subscribers = append(o.Subscribers, importedSubscriber{s.IMSI.Digits(), s.MSISDN.Digits(), s.Algorithm, s.Notes})
	}
}

func printImported(w io.Writer, r imported) {
	if len(r.Subscribers) > 0 {
		table(w, "IMSI\tNUMBER\tCARD\tNOTES", func(w io.Writer) {
			for _, s := range r.Subscribers {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.IMSI, s.MSISDN, s.Algorithm, strings.Join(s.Notes, "; "))
			}
		})
	}
	for _, x := range r.Refused {
		fmt.Fprintf(w, "refused    %s: %s\n", x.Who, x.Why)
	}
	switch {
	case len(r.Subscribers) == 0:
	case r.Added:
		fmt.Fprintf(w, "%d subscribers on the ledger since block %d\n", len(r.Subscribers), r.Height)
	default:
		fmt.Fprintf(w, "%d would be added; do it with --yes\n", len(r.Subscribers))
	}
}
