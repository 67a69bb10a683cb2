package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"campanile.network/3gpp/id"
	"campanile.network/cmd/campanile/town"
	"campanile.network/internal/config"
	pb "campanile.network/wire/corepb"
)

func subscriberCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "subscriber", GroupID: "operate", Short: "Add, list, bar and erase subscribers"}
	cmd.AddCommand(subscriberAdd(g), subscriberList(g), subscriberSet(g), subscriberPassword(g), subscriberImport(g))
	for verb, state := range map[string]string{"bar": "barred", "unbar": "active", "erase": "erased"} {
		short := map[string]string{"bar": "Keep a subscriber out until he is let in again", "unbar": "Let a subscriber in again", "erase": "Forget a subscriber, for good"}[verb]
		cmd.AddCommand(&cobra.Command{
			Use: verb + " IMSI", Args: cobra.ExactArgs(1), Short: short,
			RunE: func(cmd *cobra.Command, args []string) error {
				r, err := ask(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.SetSubscriberReply, error) {
					return c.SetSubscriber(ctx, &pb.SetSubscriberRequest{Imsi: args[0], State: state})
				})
				if err != nil {
					return err
				}
				return g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
					fmt.Fprintf(w, "%s since block %d\n", state, r.Height)
					if state != "active" {
						fmt.Fprintln(w, "a phone that is attached is detached now, or as soon as its MME asks again")
					}
				})
			},
		})
	}
	return cmd
}

func subscriberAdd(g *globals) *cobra.Command {
	s := &pb.NewSubscriber{}
	var keyFile, plan string
	var apns []string
	var up, down uint64
	var count int
	cmd := &cobra.Command{
		Use: "add IMSI", Args: cobra.ExactArgs(1), Short: "Add a subscriber",
		Long: "Add a subscriber. The key file holds 64 hexadecimal digits, K then OPc, or of a SIM of\nCOMP128 32 digits, its Ki; only its owner may read it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := id.ParseIMSI(args[0]); err != nil {
				return &usageError{err: err}
			}
			var err error
			if s.Apns, err = town.ParseAccessPoints(apns); err != nil {
				return &usageError{err: fmt.Errorf("--apn %w", err)}
			}
			octets := 32
			if s.Algorithm != "milenage" {
				octets = 16
			}
			k, err := config.Secret(keyFile, octets)
			if err != nil {
				return err
			}
			s.Imsi, s.K, s.Opc, s.AmbrUl, s.AmbrDl = args[0], k[:16], k[16:], up*1e6, down*1e6
			r, err := addSubscribers(cmd, g, s, count, plan)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
				if len(r.Ids) == 1 {
					fmt.Fprintf(w, "subscriber %s on the ledger since block %d\n", r.Ids[0], r.Height)
				} else {
					fmt.Fprintf(w, "%d subscribers on the ledger since block %d\n", len(r.Ids), r.Height)
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&keyFile, "key-file", "", "file with K and OPc, or Ki (required)")
	f.StringVar(&s.Algorithm, "algorithm", "milenage", "what the card computes: milenage, comp128v1, comp128v2 or comp128v3")
	f.StringVar(&s.Msisdn, "msisdn", "", "telephone number")
	f.StringArrayVar(&apns, "apn", nil, apnHelp+"; none: the network's")
	f.Uint32Var(&s.Qci, "qci", 9, "QoS class")
	f.Uint32Var(&s.Arp, "arp", 8, "allocation priority, 1 (first) to 15")
	f.Uint64Var(&s.Sqn, "seq", 0, "sequence number the card has reached")
	f.Uint64Var(&up, "up", 50, "Mbit/s uplink")
	f.Uint64Var(&down, "down", 100, "Mbit/s downlink")
	f.StringVar(&plan, "plan", "open", "plan, as the ledger shows it")
	f.IntVar(&count, "count", 1, "so many, with consecutive IMSIs and one key: a batch of test SIMs")
	cmd.MarkFlagRequired("key-file")
	return cmd
}

// addSubscribers asks for count subscribers like s, in parts that the node
// takes at once.
func addSubscribers(cmd *cobra.Command, g *globals, s *pb.NewSubscriber, count int, plan string) (*pb.AddSubscribersReply, error) {
	if count < 1 || count > 100_000 {
		return nil, &usageError{err: fmt.Errorf("--count %d: want 1 to 100000", count)}
	}
	first, err := strconv.ParseUint(s.Imsi, 10, 64)
	if err != nil {
		return nil, &usageError{err: err}
	}
	out := &pb.AddSubscribersReply{}
	for done := 0; done < count; {
		q := &pb.AddSubscribersRequest{Plan: plan}
		for ; done < count && len(q.Subscribers) < 1000; done++ {
			n := proto.CloneOf(s)
			n.Imsi = fmt.Sprintf("%0*d", len(s.Imsi), first+uint64(done))
			q.Subscribers = append(q.Subscribers, n)
		}
		r, err := ask(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.AddSubscribersReply, error) {
			return c.AddSubscribers(ctx, q)
		})
		if err != nil {
			return nil, err
		}
		out.Ids, out.Height = append(out.Ids, r.Ids...), r.Height
	}
	return out, nil
}

func subscriberList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "list", Args: cobra.NoArgs, Short: "List subscribers",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := ask(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.ListSubscribersReply, error) {
				return c.ListSubscribers(ctx, &pb.ListSubscribersRequest{})
			})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
				table(w, "IMSI\tNUMBER\tSTATE\tPLAN\tACCESS POINTS\tLEDGER ID", func(w io.Writer) {
					for _, s := range r.Subscribers {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Imsi, s.Msisdn, s.State, s.Plan, accessPointNames(s.Apns), s.Id)
					}
				})
			})
		},
	}
}

func subscriberPassword(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "app-password IMSI", Args: cobra.ExactArgs(1), Short: "Make a subscriber's password for SIP applications",
		Long: "Make a password with which a SIP application is one of the subscriber's phones. It is\nshown this once; whoever made one before has the new one to enter.",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := ask(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.SetSubscriberReply, error) {
				return c.SetSubscriber(ctx, &pb.SetSubscriberRequest{Imsi: args[0], AppPassword: true})
			})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
				fmt.Fprintf(w, "user      %s, or the telephone number\nrealm     %s\npassword  %s\ngood since block %d; it is not shown again\n", args[0], r.Realm, r.AppPassword, r.Height)
			})
		},
	}
}
