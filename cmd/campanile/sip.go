package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"campanile.network/cmd/campanile/town"
	"campanile.network/console"
	pb "campanile.network/wire/corepb"
)

// sipCommands are the verbs below campanile sip.
func sipCommands(g *globals) []*cobra.Command {
	var limit uint32
	registrations := &cobra.Command{
		Use: "registrations", Args: cobra.NoArgs, Short: "Phones in GSM cells and apps that are registered, the newest first",
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := showSIP(cmd, g, limit)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), v.Phones, func(w io.Writer) { printRegistrations(w, v) })
		},
	}
	registrations.Flags().Uint32Var(&limit, "limit", 100, "at most so many")
	calls := &cobra.Command{
		Use: "calls", Args: cobra.NoArgs, Short: "Calls that are on, and those that ended last",
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := showSIP(cmd, g, 0)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), append(v.Calls, v.Ended...), func(w io.Writer) { printCalls(w, v) })
		},
	}
	stations := &cobra.Command{
		Use: "stations", Args: cobra.NoArgs, Short: "Base stations and trunks: what they are, when they were heard",
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := showSIP(cmd, g, 0)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), struct {
				Stations []console.SIPStation `json:"stations"`
				Trunks   []console.SIPTrunk   `json:"trunks"`
			}{v.Stations, v.Trunks}, func(w io.Writer) { printStations(w, v) })
		},
	}
	return []*cobra.Command{registrations, calls, stations}
}

// showSIP asks the home's SIP gateway, alone or with all else.
func showSIP(cmd *cobra.Command, g *globals, limit uint32) (v console.SIP, err error) {
	var r *pb.PhonesReply
	asked := false
	for _, role := range []string{"sip", "up"} {
		r, err = askAt(cmd, g, town.SocketOf(role), func(ctx context.Context, c pb.AdminClient) (*pb.PhonesReply, error) {
			v, err := c.ListSIP(ctx, &pb.SIPRequest{Limit: limit})
			asked = asked || !away(err)
			return v, err
		})
		if asked {
			break
		}
	}
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal(r.Json, &v)
}

func printRegistrations(w io.Writer, v console.SIP) {
	table(w, "IMSI\tNUMBER\tKIND\tSTATION\tCELL\tSINCE\tEXPIRES IN", func(w io.Writer) {
		for _, p := range v.Phones {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%v\n", p.IMSI, cmp.Or(p.Number, "-"), p.Kind, cmp.Or(p.Station, "-"), cmp.Or(p.Cell, "-"),
				p.Since.Format(time.TimeOnly), time.Until(p.Expires).Round(time.Second))
		}
	})
	if more := v.Known - len(v.Phones); more > 0 {
		fmt.Fprintf(w, "and %d more: --limit %d\n", more, v.Known)
	}
}

func printCalls(w io.Writer, v console.SIP) {
	table(w, "FROM\tTO\tBY\tSTATE\tBEGAN\tSPOKEN\tENDED", func(w io.Writer) {
		for _, c := range append(v.Calls, v.Ended...) {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%v\t%s\n", c.From, c.To, c.Cells, c.State, c.Began.Format(time.TimeOnly), time.Duration(c.Seconds*float64(time.Second)).Round(time.Second), cmp.Or(c.Cause, "-"))
		}
	})
}

func printStations(w io.Writer, v console.SIP) {
	table(w, "STATION\tSAYS IT IS\tTOWER\tCELLS\tPHONES\tCALLS\tHEARD", func(w io.Writer) {
		for _, s := range v.Stations {
			heard := "never"
			if !s.Heard.IsZero() {
				heard = time.Since(s.Heard).Round(time.Second).String() + " ago"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%v\t%d\t%d\t%s\n", s.Name, cmp.Or(s.Kind, "-"), cmp.Or(s.Tower, "not registered"), s.Cells, s.Phones, s.Calls, heard)
		}
	})
	for _, s := range v.Stations {
		if s.Air != "" {
			fmt.Fprintf(w, "air of %s: %s\n", s.Name, s.Air)
		}
	}
	for _, t := range v.Trunks {
		fmt.Fprintf(w, "trunk %s: up %t, %d calls %s\n", t.Name, t.Up, t.Calls, t.Text)
	}
}
