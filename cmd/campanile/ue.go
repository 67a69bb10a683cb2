package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/cmd/campanile/town"
	"campanile.network/console"
	pb "campanile.network/wire/corepb"
)

func ueCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use: "ue", GroupID: "operate", Short: "List, show, page, renew, detach and trace phones",
		Long: "List, show, page, renew, detach and trace phones, where the MME runs. A phone is named by\n" +
			"its IMSI, or by the id that ue list gives, which holds until the MME ends. With\n--json the answers are those of docs/api.md.",
	}
	cmd.AddCommand(ueList(g), ueShow(g), uePage(g), ueRenew(g), ueDetach(g), ueTrace(g))
	return cmd
}

// askMME asks the home's MME, alone or with all else.
func askMME[T any](cmd *cobra.Command, g *globals, f func(context.Context, pb.AdminClient) (T, error)) (out T, err error) {
	if c, err := town.LoadConfig(g.home); err == nil && c.Role != "up" && c.Role != "mme" {
		return out, fmt.Errorf("%s is a home for %s alone; phones are the MME's: run this in the home of campanile mme", g.home, c.Role)
	}
	return askFirst(cmd, g, []string{"mme", "up"}, f)
}

// askFirst asks the first of a home's roles that runs.
func askFirst[T any](cmd *cobra.Command, g *globals, roles []string, f func(context.Context, pb.AdminClient) (T, error)) (out T, err error) {
	asked := false
	once := func(ctx context.Context, c pb.AdminClient) (T, error) {
		v, err := f(ctx, c)
		asked = asked || !away(err)
		return v, err
	}
	for _, role := range roles {
		if out, err = askAt(cmd, g, town.SocketOf(role), once); asked {
			return out, err
		}
	}
	return out, err
}

func ueList(g *globals) *cobra.Command {
	q := &pb.ListPhonesRequest{}
	all := false
	cmd := &cobra.Command{
		Use: "list", Args: cobra.NoArgs, Short: "List the phones the MME knows",
		RunE: func(cmd *cobra.Command, _ []string) error {
			list := console.PhoneList{Phones: []console.PhoneLine{}}
			if all {
				q.Limit = console.MaxPage
			}
			for {
				page, err := askPhones[console.PhoneList](cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.PhonesReply, error) { return c.ListPhones(ctx, q) })
				if err != nil {
					return err
				}
				page.Phones = append(list.Phones, page.Phones...)
				list, q.After = page, page.Next
				if !all || list.Next == "" {
					break
				}
			}
			return g.print(cmd.OutOrStdout(), list, func(w io.Writer) { printPhones(w, list) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.State, "state", "", "deregistered, attaching, connected or idle")
	f.StringVar(&q.Enb, "enb", "", "of this eNB, such as 999/70-macro-0x19b or 0x19b")
	f.StringVar(&q.Tower, "tower", "", "of this tower: its name, or its key's first digits")
	f.StringVar(&q.Imsi, "imsi-prefix", "", "whose IMSI begins so")
	f.StringVar(&q.After, "after", "", "go on behind this id")
	f.Int32Var(&q.Limit, "limit", 50, "so many at a time, at most 1000")
	f.BoolVar(&all, "all", false, "all at once")
	f.BoolVar(&q.WholeImsi, "imsi", false, "show IMSIs whole")
	return cmd
}

// askPhones asks and reads the JSON that comes.
func askPhones[T any](cmd *cobra.Command, g *globals, f func(context.Context, pb.AdminClient) (*pb.PhonesReply, error)) (out T, err error) {
	r, err := askMME(cmd, g, f)
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(r.Json, &out)
}

func printPhones(w io.Writer, l console.PhoneList) {
	if len(l.Phones) == 0 {
		fmt.Fprintf(w, "no phone; the MME knows %d\n", l.Known)
		return
	}
	table(w, "ID\tIMSI\tSTATE\tFOR\tADDRESS\tTOWER\tCELL\tLAST", func(w io.Writer) {
		for _, p := range l.Phones {
			last := "-"
			if p.Last != nil {
				last = p.Last.Procedure + " " + outcome(*p.Last)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.IMSI, p.State, ago(p.Since), dash(addr(p)), dash(p.Tower), dash(p.Cell), last)
		}
	})
	if l.Next != "" {
		fmt.Fprintf(w, "%d of %d; go on with --after %s, or see --all\n", len(l.Phones), l.Matched, l.Next)
	}
}

func addr(p console.PhoneLine) string {
	if !p.Address.IsValid() {
		return ""
	}
	return p.Address.String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return time.Since(t).Round(time.Second).String()
}

func outcome(p console.Procedure) string {
	if p.OK {
		return "ok"
	}
	return p.Cause
}

func ueShow(g *globals) *cobra.Command {
	q := &pb.PhoneRequest{}
	cmd := &cobra.Command{
		Use: "show PHONE", Args: cobra.ExactArgs(1), Short: "All there is to tell of a phone, and what it did last",
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Phone = args[0]
			p, err := askPhones[console.PhoneDetail](cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.PhonesReply, error) { return c.ShowPhone(ctx, q) })
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), p, func(w io.Writer) { printPhone(w, p) })
		},
	}
	cmd.Flags().BoolVar(&q.WholeImsi, "imsi", false, "show IMSI, number and IMEI whole")
	return cmd
}

func printPhone(w io.Writer, p console.PhoneDetail) {
	when := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Local().Format(time.DateTime)
	}
	say := func(name string, parts ...string) {
		if text := strings.TrimSpace(strings.Join(parts, " ")); text != "" {
			fmt.Fprintf(w, "%-10s %s\n", name, text)
		}
	}
	say("phone", p.ID, p.IMSI)
	say("number", p.MSISDN)
	say("IMEI", p.IMEI)
	say("M-TMSI", p.TMSI)
	say("state", p.State, "for", ago(p.Since)+because(p.Reason))
	say("notice", p.Notice)
	say("tower", p.Tower, p.ENB)
	say("cell", p.Cell, "tracking area", p.TAI)
	say("security", p.Security)
	if p.Ticket != "" {
		say("ticket", p.Ticket, "until", when(p.TicketUntil)+fmt.Sprintf(", segment %d", p.Segment))
	}
	say("heard", when(p.Heard))
	say("update due", when(p.UpdateDue))
	say("detached", when(p.DetachAt))
	if p.DRX != 0 {
		say("DRX", fmt.Sprintf("%d radio frames", p.DRX))
	}
	say("eDRX", p.EDRX)
	say("PSM", p.PSM)
	for _, b := range p.Bearers {
		state := "no radio bearer"
		if b.ENB != "" {
			state = "eNB " + b.ENB
		}
		say(fmt.Sprintf("bearer %d", b.EBI), fmt.Sprintf("%s, %v, QCI %d, gateway %s, %s, %d octets up, %d down", b.APN, b.Address, b.QCI, b.Gateway, state, b.UL, b.DL))
	}
	if len(p.History) == 0 {
		return
	}
	fmt.Fprintln(w)
	table(w, "ENDED\tPROCEDURE\tOUTCOME\tTOOK\tCELL\tWHY", func(w io.Writer) {
		for _, h := range p.History {
			fmt.Fprintf(w, "%s\t%s\t%s\t%.1f ms\t%s\t%s\n", when(h.At), h.Procedure, outcome(h), h.TookMs, dash(h.Cell), h.Why)
		}
	})
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func uePage(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "page PHONE", Args: cobra.ExactArgs(1), Short: "Page an idle phone and wait for it",
		RunE: func(cmd *cobra.Command, args []string) error {
			return act(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.PhoneActionReply, error) {
				return c.PagePhone(ctx, &pb.PhoneRequest{Phone: args[0]})
			})
		},
	}
}

func ueRenew(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "renew PHONE", Args: cobra.ExactArgs(1), Short: "Have a phone's home grant it a new ticket at once, as after a top-up",
		Long: "Have a phone's home grant it a new ticket at once, as after its subscriber has paid for\nmore. A connected phone goes on meanwhile, also one whose ticket is used up and which\n" +
			"gateway.redirect has sent to the page; an idle one is paged.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return act(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.PhoneActionReply, error) {
				return c.RenewPhone(ctx, &pb.PhoneRequest{Phone: args[0]})
			})
		},
	}
}

func ueDetach(g *globals) *cobra.Command {
	q := &pb.DetachPhoneRequest{}
	cmd := &cobra.Command{
		Use: "detach PHONE", Args: cobra.ExactArgs(1), Short: "Detach a phone, paging it first if it is idle",
		Long: "Detach a phone. An idle one is paged first and detached without its knowing if it\n" +
			"does not come. Without --reattach it stays away until it is switched off and on, or\nby cause; its home is asked anew before it is served.",
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Phone = args[0]
			return act(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.PhoneActionReply, error) {
				return c.DetachPhone(ctx, q)
			})
		},
	}
	cmd.Flags().BoolVar(&q.Reattach, "reattach", false, "it is to attach again at once")
	cmd.Flags().Uint32Var(&q.Cause, "cause", 0, "EMM cause that the phone is told (TS 24.301 §9.9.3.9); 0: none")
	return cmd
}

func act(cmd *cobra.Command, g *globals, f func(context.Context, pb.AdminClient) (*pb.PhoneActionReply, error)) error {
	r, err := askMME(cmd, g, f)
	if err != nil {
		return err
	}
	return g.print(cmd.OutOrStdout(), r, func(w io.Writer) { fmt.Fprintln(w, r.Text) })
}

// away says that nobody answered at a socket.
func away(err error) bool { return status.Code(err) == codes.Unavailable }
