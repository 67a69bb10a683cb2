package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"campanile.network/cmd/campanile/town"
	pb "campanile.network/wire/corepb"
)

const apnHelp = "access point name, with ,qci= ,arp= ,pdn=ipv4|ipv6|ipv4v6|either or ,ip= where it differs; may be repeated, the first is the default one, '*' is any other of the network's"

func accessPointNames(list []*pb.AccessPoint) string {
	var names []string
	for _, a := range list {
		name := a.Name
		if a.Ipv4 != "" {
			name += " (" + a.Ipv4 + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

func subscriberSet(g *globals) *cobra.Command {
	var words []string
	q := &pb.SetSubscriberRequest{}
	cmd := &cobra.Command{
		Use: "set IMSI", Args: cobra.ExactArgs(1), Short: "Give a subscriber other access points or another number",
		Long: "Give a subscriber other access points, in the place of those there are, or another\ntelephone number. A phone has them when it attaches anew, or when its ticket is\nrenewed; campanile ue detach --reattach makes it attach anew at once.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.Imsi = args[0]; len(words) == 0 && q.Msisdn == "" {
				return &usageError{err: errors.New("nothing to set: give --apn or --msisdn")}
			}
			var err error
			if q.Apns, err = town.ParseAccessPoints(words); err != nil {
				return &usageError{err: fmt.Errorf("--apn %w", err)}
			}
			r, err := ask(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.SetSubscriberReply, error) {
				return c.SetSubscriber(ctx, q)
			})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
				what := accessPointNames(q.Apns)
				if q.Msisdn != "" {
					what = strings.TrimPrefix(what+", number "+q.Msisdn, ", ")
				}
				fmt.Fprintf(w, "%s since block %d; a phone that is attached has it from its next attach on\n", what, r.Height)
			})
		},
	}
	cmd.Flags().StringArrayVar(&words, "apn", nil, apnHelp)
	cmd.Flags().StringVar(&q.Msisdn, "msisdn", "", "telephone number, which nobody else has")
	return cmd
}
