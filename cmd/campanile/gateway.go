package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/cmd/campanile/town"
	pb "campanile.network/wire/corepb"
)

// gatewayCommands are the verbs below campanile gateway.
func gatewayCommands(g *globals) []*cobra.Command {
	return []*cobra.Command{gatewayStatus(g), gatewayBearers(g), gatewayTop(g), gatewayBearer(g), gatewayCapture(g)}
}

// askGateway asks the home's gateway, alone or with all else.
func askGateway[T any](cmd *cobra.Command, g *globals, f func(context.Context, pb.AdminClient) (T, error)) (out T, err error) {
	asked := false
	once := func(ctx context.Context, c pb.AdminClient) (T, error) {
		v, err := f(ctx, c)
		asked = asked || !away(err)
		return v, err
	}
	for _, role := range []string{"gateway", "up"} {
		if out, err = askAt(cmd, g, town.SocketOf(role), once); asked {
			return out, err
		}
	}
	return out, err
}

func showGateway(cmd *cobra.Command, g *globals, q *pb.GatewayRequest) (v town.GatewayView, err error) {
	r, err := askGateway(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.GatewayReply, error) { return c.ShowGateway(ctx, q) })
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal(r.Json, &v)
}

func gatewayStatus(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "status", Args: cobra.NoArgs, Short: "What the gateway does: sessions, addresses, what is dropped and refused",
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := showGateway(cmd, g, &pb.GatewayRequest{})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), v, func(w io.Writer) { printGateway(w, v) })
		},
	}
}

func printGateway(w io.Writer, v town.GatewayView) {
	fmt.Fprintf(w, "data path  %s\n", v.DataPath)
	for _, why := range v.NotBetter {
		fmt.Fprintf(w, "           %s\n", why)
	}
	if f := v.Fast; f != nil {
		fmt.Fprintf(w, "fast       %d up, %d down; %d up and %d down went the slow way; drivers refused %d, %d reports fit no packet\n", f.ULPackets, f.DLPackets, f.ULPassed, f.DLPassed, f.Refused, f.Unmatched)
	}
	fmt.Fprintf(w, "sessions   %d of %d phones, %d dedicated bearers, %d roaming, %d taken up at the start\n", v.Sessions, v.Phones, v.Dedicated, v.Remote, v.Restored)
	for _, p := range v.Pools {
		fmt.Fprintf(w, "addresses  %s: %d of %d IPv4, %d of %d IPv6\n", cmp.Or(p.APN, "any APN"), p.Used, p.Of, p.Six, p.Of6)
	}
	fmt.Fprintf(w, "packets    %d up, %d down, %d wait for idle phones, %d flows open\n", v.ULPackets, v.DLPackets, v.Buffered, v.Flows)
	for _, s := range v.Services {
		fmt.Fprintf(w, "service    %s, %s: %d octets up, %d down\n", s.Name, s.Terms, s.UL, s.DL)
	}
	printCounts(w, "dropped   ", v.Dropped)
	printCounts(w, "refused   ", v.Refused)
	printCounts(w, "not paged ", v.NotTold)
	if v.Unreported > 0 || v.Lost > 0 {
		fmt.Fprintf(w, "billing    %d records not taken yet, %d given up\n", v.Unreported, v.Lost)
	}
	if v.StoreFailing != "" {
		fmt.Fprintf(w, "store      NOT WRITTEN: %s; sessions since are lost if the gateway ends\n", v.StoreFailing)
	}
}

func printCounts(w io.Writer, what string, counts map[string]uint64) {
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "%s %d %s\n", what, counts[k], k)
	}
}

func gatewayBearers(g *globals) *cobra.Command {
	q := &pb.GatewayRequest{Sessions: true}
	cmd := &cobra.Command{
		Use: "bearers", Args: cobra.NoArgs, Short: "List sessions and their bearers",
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := showGateway(cmd, g, q)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), v.List, func(w io.Writer) { printBearers(w, v) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Imsi, "phone", "", "of the phone with this IMSI")
	f.Uint32Var(&q.Limit, "limit", 1000, "so many sessions at most")
	f.BoolVar(&q.WholeImsi, "imsi", false, "show IMSIs whole")
	return cmd
}

func printBearers(w io.Writer, v town.GatewayView) {
	if len(v.List) == 0 {
		fmt.Fprintln(w, "no session")
		return
	}
	table(w, "IMSI\tAPN\tADDRESS\tBEARER\tQCI\tARP\tPEER\tFILTERS\tUP\tDOWN\tQUOTA LEFT", func(w io.Writer) {
		for _, s := range v.List {
			for _, b := range s.Bearers {
				fmt.Fprintf(w, "%s\t%s\t%v\t%d\t%d\t%d\t%s\t%d\t%d\t%d\t%s\n", s.IMSI, s.APN, s.Address, b.EBI, b.QCI, b.ARP, peerOf(s, b), b.Filters, b.UL, b.DL, left(s))
			}
		}
	})
	if v.More > 0 {
		fmt.Fprintf(w, "and %d sessions more; see --limit\n", v.More)
	}
}

// peerOf is where a bearer goes.
func peerOf(s town.SessionView, b town.BearerView) string {
	peer := "idle"
	if b.Peer.IsValid() {
		peer = b.Peer.String()
	}
	if s.PGW.IsValid() {
		peer += ", PGW " + s.PGW.String()
	}
	if b.Capture {
		peer += ", captured"
	}
	return peer
}

func left(s town.SessionView) string {
	if s.Quota == nil {
		return "-"
	}
	return strconv.FormatUint(*s.Quota-min(s.Charged, *s.Quota), 10)
}

// gatewayTop shows who moves most, again and again.
func gatewayTop(g *globals) *cobra.Command {
	var every time.Duration
	rounds := 0
	q := &pb.GatewayRequest{Sessions: true, Limit: 100_000}
	cmd := &cobra.Command{
		Use: "top", Args: cobra.NoArgs, Short: "Show the bearers that move most, live",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every < 100*time.Millisecond {
				return &usageError{err: fmt.Errorf("--every %v: want 100ms or more", every)}
			}
			var before town.GatewayView
			for n := 0; rounds == 0 || n <= rounds; n++ {
				v, err := showGateway(cmd, g, q)
				if err != nil {
					return err
				}
				if n > 0 {
					printTop(cmd.OutOrStdout(), before, v, rounds == 0)
				}
				before = v
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(every):
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.DurationVar(&every, "every", 2*time.Second, "time between two looks")
	f.IntVar(&rounds, "rounds", 0, "so many, then end; 0: until Ctrl-C")
	f.BoolVar(&q.WholeImsi, "imsi", false, "show IMSIs whole")
	return cmd
}

// mover is a bearer and what it has moved.
type mover struct {
	s        town.SessionView
	b        town.BearerView
	up, down float64 // bit/s
}

func printTop(w io.Writer, before, now town.GatewayView, live bool) {
	type name struct {
		session uint64
		bearer  uint8
	}
	was := map[name]town.BearerView{}
	for _, s := range before.List {
		for _, b := range s.Bearers {
			was[name{s.Number, b.EBI}] = b
		}
	}
	took := max(now.At.Sub(before.At).Seconds(), 0.001)
	var list []mover
	up, down := 0.0, 0.0
	for _, s := range now.List {
		for _, b := range s.Bearers {
			o := was[name{s.Number, b.EBI}]
			m := mover{s, b, float64(b.UL-min(o.UL, b.UL)) * 8 / took, float64(b.DL-min(o.DL, b.DL)) * 8 / took}
			up, down = up+m.up, down+m.down
			list = append(list, m)
		}
	}
	slices.SortStableFunc(list, func(a, b mover) int { return cmp.Compare(b.up+b.down, a.up+a.down) })
	if live {
		fmt.Fprint(w, "\x1b[H\x1b[2J")
	}
	fmt.Fprintf(w, "%d sessions, %s up, %s down, %.0f packets/s; %s\n", now.Sessions, rate(up), rate(down),
		float64(now.ULPackets+now.DLPackets-before.ULPackets-before.DLPackets)/took, now.DataPath)
	served := map[string]town.ServiceView{}
	for _, s := range before.Services {
		served[s.Name] = s
	}
	for _, s := range now.Services {
		o := served[s.Name]
		fmt.Fprintf(w, "  %s, %s: %s up, %s down\n", s.Name, s.Terms, rate(float64(s.UL-min(o.UL, s.UL))*8/took), rate(float64(s.DL-min(o.DL, s.DL))*8/took))
	}
	table(w, "IMSI\tAPN\tADDRESS\tBEARER\tQCI\tUP\tDOWN\tPEER", func(w io.Writer) {
		for _, m := range list[:min(len(list), 30)] {
			fmt.Fprintf(w, "%s\t%s\t%v\t%d\t%d\t%s\t%s\t%s\n", m.s.IMSI, m.s.APN, m.s.Address, m.b.EBI, m.b.QCI, rate(m.up), rate(m.down), peerOf(m.s, m.b))
		}
	})
}

// rate writes bits a second.
func rate(v float64) string {
	for _, u := range []struct {
		least float64
		name  string
	}{{1e9, "Gbit/s"}, {1e6, "Mbit/s"}, {1e3, "kbit/s"}} {
		if v >= u.least {
			return fmt.Sprintf("%.1f %s", v/u.least, u.name)
		}
	}
	return fmt.Sprintf("%.0f bit/s", v)
}

// gatewayBearer makes, changes and ends bearers.
func gatewayBearer(g *globals) *cobra.Command {
	q := &pb.BearerOrder{}
	cmd := &cobra.Command{
		Use: "bearer create|update|delete IMSI", Args: cobra.ExactArgs(2), Short: "Make, change or end a bearer of a phone",
		Long: "Make, change or end a bearer of a phone. It is done when the phone has agreed; an\nidle phone is paged. A filter is a line of words, such as\n" +
			"  --filter \"down udp remote 203.0.113.7 port 5060-5070\"\n  --filter \"both tcp local-port 8080\"\nand the first one that fits a packet has it. Update replaces all filters.",
		RunE: func(cmd *cobra.Command, args []string) error {
			q.What, q.Imsi = args[0], args[1]
			r, err := askGateway(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.BearerOrderReply, error) {
				return c.OrderBearer(ctx, q)
			})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) { fmt.Fprintf(w, "bearer %d: %sd\n", r.Bearer, q.What) })
		},
	}
	f := cmd.Flags()
	f.Uint32Var(&q.Bearer, "bearer", 0, "EPS bearer identity; of create: the default bearer of the session, if the phone has several")
	f.Uint32Var(&q.Qci, "qci", 0, "QCI; 1 to 4 and 65 to 67 need the guaranteed rates too")
	f.Uint32Var(&q.Arp, "arp", 8, "priority level of allocation and retention, 1 (highest) to 15")
	f.Uint64Var(&q.MbrUl, "mbr-up", 0, "largest rate up, bit/s")
	f.Uint64Var(&q.MbrDl, "mbr-down", 0, "and down")
	f.Uint64Var(&q.GbrUl, "gbr-up", 0, "guaranteed rate up, bit/s")
	f.Uint64Var(&q.GbrDl, "gbr-down", 0, "and down")
	f.StringArrayVar(&q.Filters, "filter", nil, "packets that the bearer takes; up to 15 times")
	f.BoolVar(&q.Reactivate, "reactivate", false, "of delete: have the phone ask anew")
	return cmd
}

// gatewayCapture writes a bearer's packets to a file.
func gatewayCapture(g *globals) *cobra.Command {
	q := &pb.CaptureRequest{}
	var most time.Duration
	var file string
	var megabytes uint64
	cmd := &cobra.Command{
		Use: "capture IMSI", Args: cobra.ExactArgs(1), Short: "Record what a bearer of a phone carries, as pcapng",
		Long: "Record what a bearer of a phone carries: a person's own packets. It needs a reason,\nends by itself, and who asked for it and why is noted in audit.log in the gateway's home.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if most < time.Second || most > time.Hour {
				return &usageError{err: fmt.Errorf("--for %v: want 1s to 1h", most)}
			}
			if file == "" || q.Why == "" {
				return &usageError{err: errors.New("--pcapng FILE and --why REASON are required")}
			}
			q.Imsi, q.ForMs, q.Octets = args[0], most.Milliseconds(), megabytes<<20
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = askGateway(cmd, g, func(ctx context.Context, c pb.AdminClient) (struct{}, error) {
				return struct{}{}, takeCapture(ctx, c, q, cmd.ErrOrStderr(), f)
			})
			return err
		},
	}
	f := cmd.Flags()
	f.Uint32Var(&q.Bearer, "bearer", 5, "EPS bearer identity")
	f.DurationVar(&most, "for", time.Minute, "how long, at most 1h")
	f.Uint64Var(&megabytes, "megabytes", 64, "how much at most")
	f.Uint32Var(&q.Snap, "snap", 0, "so many octets of each packet; 0: all")
	f.StringVar(&file, "pcapng", "", "file to write; it must not be there yet (required)")
	f.StringVar(&q.Why, "why", "", "the reason, which is noted (required)")
	return cmd
}

// takeCapture writes what comes until the capture ends or ctx does.
func takeCapture(ctx context.Context, c pb.AdminClient, q *pb.CaptureRequest, text, file io.Writer) error {
	s, err := c.CaptureBearer(ctx, q)
	for err == nil {
		var r *pb.CaptureReply
		if r, err = s.Recv(); err != nil {
			break
		}
		if r.Ended != "" {
			fmt.Fprintln(text, "the capture has ended:", r.Ended)
		}
		if _, err := file.Write(r.Pcapng); err != nil {
			return err
		}
	}
	if errors.Is(err, io.EOF) || ctx.Err() != nil && status.Code(err) == codes.Canceled {
		return nil
	}
	return err
}
