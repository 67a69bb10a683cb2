package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"campanile.network/cmd/campanile/town"
	"campanile.network/internal/config"
	pb "campanile.network/wire/corepb"
)

// madeHome is the home that make run makes, in the folder of the sources.
const madeHome = "var"

// ask calls the running node over its admin socket.
func ask[T any](cmd *cobra.Command, g *globals, f func(context.Context, pb.AdminClient) (T, error)) (out T, err error) {
	if c, err := town.LoadConfig(g.home); err == nil && c.Role != "up" && c.Role != "hss-chain" {
		return out, fmt.Errorf("%s is a home for %s alone; run this in the operator's main home, hss-chain's", g.home, c.Role)
	}
	return askAt(cmd, g, town.AdminSocket, f)
}

// askAt calls whoever has a socket of the home.
func askAt[T any](cmd *cobra.Command, g *globals, socket string, f func(context.Context, pb.AdminClient) (T, error)) (out T, err error) {
	sock := filepath.Join(g.home, socket)
	c, err := grpc.NewClient("unix:"+sock, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return out, err
	}
	defer c.Close()
	out, err = f(cmd.Context(), pb.NewAdminClient(c))
	if s, ok := status.FromError(err); ok && err != nil {
		switch s.Code() {
		case codes.Unavailable:
			if l, err := net.Dial("unix", sock); errors.Is(err, fs.ErrPermission) {
				return out, fmt.Errorf("you may not open %s: only its owner may; run this as the user who runs the node", sock)
			} else if err == nil {
				l.Close()
			}
			role := "up"
			if c, err := town.LoadConfig(g.home); err == nil {
				role = c.Role
			}
			none := fmt.Sprintf("no node is running in %s; start it with: campanile %s --home %s", g.home, role, g.home)
			if _, err := os.Stat(filepath.Join(madeHome, "campanile.toml")); err == nil && filepath.Clean(g.home) != madeHome {
				none += "; or do you mean the one of make run? add --home " + madeHome
			}
			return out, errors.New(none)
		case codes.InvalidArgument:
			return out, &usageError{err: errors.New(s.Message()), known: true}
		}
		return out, errors.New(s.Message())
	}
	return out, err
}

func statusCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "status", GroupID: "operate", Args: cobra.NoArgs, Short: "What the running node, or each role that runs in this home, does",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []*pb.StatusReply
			var none error
			for _, role := range town.RoleNames()[1:] {
				s, err := askAt(cmd, g, town.SocketOf(role), func(ctx context.Context, c pb.AdminClient) (*pb.StatusReply, error) {
					return c.Status(ctx, &pb.StatusRequest{})
				})
				if err == nil {
					all = append(all, s)
				} else if none == nil {
					none = err
				}
			}
			switch len(all) {
			case 0:
				return none
			case 1:
				return g.print(cmd.OutOrStdout(), all[0], func(w io.Writer) { printStatus(w, all[0]) })
			}
			return g.print(cmd.OutOrStdout(), all, func(w io.Writer) {
				for _, s := range all {
					printStatus(w, s)
				}
			})
		},
	}
}

func printStatus(w io.Writer, s *pb.StatusReply) {
	fmt.Fprintf(w, "role       %s\n", s.Role)
	chain := s.Role == "up" || s.Role == "hss-chain"
	if chain {
		ledger := "private ledger: 1 validator, proves nothing to others"
		if s.Validators != 1 {
			ledger = fmt.Sprintf("%d validators", s.Validators)
		}
		if !s.Running {
			ledger += "; consensus is halted"
		}
		fmt.Fprintf(w, "ledger     %s at block %d (%s)\n", s.ChainId, s.Height, ledger)
	}
	if s.Role == "up" || s.Role == "mme" {
		fmt.Fprintf(w, "eNBs       %d on the air\n", s.TowersOnAir)
		fmt.Fprintf(w, "phones     %d registered, %d connected\n", s.PhonesRegistered, s.PhonesConnected)
	}
	if s.Role == "up" || s.Role == "billing" {
		fmt.Fprintf(w, "carried    %d octets up, %d down\n", s.UlOctets, s.DlOctets)
	}
	if chain {
		fmt.Fprintf(w, "claimable  %s\nowner has  %s\n", town.Bell(s.Claimable), town.Bell(s.OwnerBalance))
	}
	for _, p := range s.Parts {
		fmt.Fprintf(w, "%-9s  %s\n", p.Name, p.Text)
	}
	if s.Console != "" {
		fmt.Fprintf(w, "console    http://%s\n", s.Console)
	}
}

// table prints rows in columns.
func table(w io.Writer, head string, rows func(io.Writer)) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, head)
	rows(t)
	t.Flush()
}

func towerCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "tower", GroupID: "operate", Short: "Register and list towers"}
	cmd.AddCommand(towerRegister(g), &cobra.Command{
		Use: "list", Args: cobra.NoArgs, Short: "List towers",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := ask(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.ListTowersReply, error) {
				return c.ListTowers(ctx, &pb.ListTowersRequest{})
			})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
				table(w, "TOWER\tNAME\tENB\tON AIR\tPRICE OF A GB\tA MINUTE\tA MESSAGE\tCHANNEL\tRESERVE\tPAID\tITS RADIO, AS IT SAID LAST", func(w io.Writer) {
					for _, t := range r.Towers {
						fmt.Fprintf(w, "%.8s\t%s\t%s\t%t\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", t.Key, t.Name, t.Enb, t.OnAir, town.Bell(t.PricePerGb), town.Bell(t.PricePerMinute), town.Bell(t.PricePerMessage), t.Channel, town.Bell(t.Reserve), town.Bell(t.Paid), town.SayTold(t.Health))
					}
				})
			})
		},
	})
	return cmd
}

func towerRegister(g *globals) *cobra.Command {
	var keyFile, key, proof string
	q := &pb.RegisterTowerRequest{}
	var cells []uint
	cmd := &cobra.Command{
		Use: "register NAME", Args: cobra.ExactArgs(1), Short: "Register a tower and open its channel",
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Name = args[0]
			for _, v := range cells {
				q.Cells = append(q.Cells, uint32(v))
			}
			var err, err2 error
			switch {
			case (key == "") != (proof == "") || (key == "") == (keyFile == ""):
				return &usageError{err: errors.New("give --key and --proof, as the tower's campanile init printed them, or --key-file")}
			case keyFile != "":
				q.KeySeed, err = config.Secret(keyFile, 32)
			default:
				q.Key, err = hex.DecodeString(key)
				q.KeyProof, err2 = hex.DecodeString(proof)
			}
			if err := errors.Join(err, err2); err != nil {
				return &usageError{err: err, known: keyFile != ""}
			}
			r, err := ask(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.RegisterTowerReply, error) {
				return c.RegisterTower(ctx, q)
			})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
				fmt.Fprintf(w, "tower %s registered in block %d", hexShort(r.Key), r.Height)
				if r.Channel != 0 {
					fmt.Fprintf(w, ", channel %d open", r.Channel)
				}
				fmt.Fprintln(w)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&keyFile, "key-file", "", "file with the tower's key, 64 hexadecimal digits")
	f.StringVar(&key, "key", "", "the tower's public key, 64 hexadecimal digits")
	f.StringVar(&proof, "proof", "", "that the tower wants to be registered here")
	f.StringVar(&q.Enb, "enb", "", "global eNB id, such as 999/70-macro-0x19c (required)")
	f.UintSliceVar(&cells, "cell", nil, "E-UTRAN cell identity; may be repeated (required)")
	f.StringVar(&q.PricePerGb, "price", "500000000000000000", "abell for 10^9 octets")
	f.StringVar(&q.PricePerMinute, "price-per-minute", "10000000000000000", "abell for a minute of voice")
	f.StringVar(&q.PricePerMessage, "price-per-message", "1000000000000000", "abell for a short message")
	f.StringVar(&q.Reserve, "reserve", "100000000000000000000", "abell locked in its channel; 0: open none")
	for _, name := range []string{"enb", "cell"} {
		cmd.MarkFlagRequired(name)
	}
	return cmd
}

func hexShort(s string) string {
	if _, err := hex.DecodeString(s); err != nil || len(s) < 8 {
		return s
	}
	return s[:8]
}

func claimCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "claim", GroupID: "operate", Args: cobra.NoArgs, Short: "Claim what your tower has earned",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := ask(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.ClaimReply, error) {
				return c.Claim(ctx, &pb.ClaimRequest{})
			})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
				if r.Amount == "0" {
					fmt.Fprintf(w, "nothing to claim; the owner has %s\n", town.Bell(r.Balance))
				} else {
					fmt.Fprintf(w, "claimed %s in block %d; the owner has %s\n", town.Bell(r.Amount), r.Height, town.Bell(r.Balance))
				}
			})
		},
	}
}
