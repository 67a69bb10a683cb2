package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"campanile.network/cmd/campanile/town"
	"campanile.network/internal/config"
)

const initHelp = `Make a home: configuration, keys, a ledger of your own.

With --role it is for one role on a host of its own: only the sections of the
configuration that the role reads, and only the keys it needs. The operator's
main home is hss-chain's. A tower on another host takes two lines to paste:

  core   campanile invite --role enb-agent              prints a line for the tower
  tower  campanile init --role enb-agent --invite LINE  prints a line for the core:
  core   campanile tower register NAME --key ... --proof ... --enb ... --cell ...`

func initCommand(g *globals) *cobra.Command {
	c := town.DefaultConfig()
	role, invite, address := "up", "", ""
	cmd := &cobra.Command{
		Use: "init", GroupID: "run", Args: cobra.NoArgs, Short: "Make a home, of everything or for one role", Long: initHelp,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if role != "up" {
				r, err := town.InitRole(g.home, role, c, invite, address)
				if err != nil {
					return err
				}
				return g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
					fmt.Fprintf(w, "home      %s (%s)\n", r.Home, r.Role)
					if r.Key != "" {
						fmt.Fprintf(w, "key       %s\n", r.Key)
					}
					if r.Addr != "" {
						fmt.Fprintf(w, "address   %s towards the core; another: --address\n", r.Addr)
					}
					for _, s := range r.Next {
						fmt.Fprintf(w, "next      %s\n", s)
					}
				})
			}
			for flag, value := range map[string]string{"--address": address, "--invite": invite} {
				if value != "" {
					return &config.Error{File: flag, What: "a home of everything has no use for it", Remedy: "say for which role it is, with --role"}
				}
			}
			chain, err := town.Init(g.home, c)
			if err != nil {
				return err
			}
			r := struct {
				Home    string `json:"home"`
				ChainID string `json:"chain_id"`
			}{g.home, chain}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
				fmt.Fprintf(w, "home      %s\nledger    %s (private: one validator, proves nothing to others)\nnext      campanile up --home %s\n", r.Home, r.ChainID, r.Home)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Network.Name, "name", c.Network.Name, "name of the network")
	f.IntVar(&c.Radio.Phones, "phones", c.Radio.Phones, "virtual phones")
	f.StringVar(&role, "role", role, "up, hss-chain, billing, gateway, mme, enb-agent or sip")
	f.StringVar(&invite, "invite", "", "the line that campanile invite printed, or a file with it")
	f.StringVar(&address, "address", "", "address by which the other hosts reach this one")
	f.StringVar(&c.Tower.Name, "tower", c.Tower.Name, "name of the tower")
	f.StringVar(&c.Tower.ENB, "enb", c.Tower.ENB, "global eNB id that the tower's eNB broadcasts")
	f.Uint32Var(&c.Tower.Cell, "cell", c.Tower.Cell, "its E-UTRAN cell identity")
	f.StringVar(&c.Agent.Radio, "radio-address", c.Agent.Radio, "of the tower's agent towards its eNB")
	return cmd
}

func inviteCommand(g *globals) *cobra.Command {
	var role, key string
	var days int
	cmd := &cobra.Command{
		Use: "invite", GroupID: "operate", Args: cobra.NoArgs,
		Short: "A line with which a role on another host finds this core",
		Long:  "Print a line for campanile init --invite on another host: public keys and the\naddresses of [peers]. It holds no secret. A gateway's has a pass for its key.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			i, err := town.MakeInvite(g.home, role, key, days)
			if err != nil {
				return err
			}
			text, err := i.Text()
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), map[string]string{"invite": text}, func(w io.Writer) { fmt.Fprintln(w, text) })
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "billing, gateway, mme, enb-agent or sip (required)")
	cmd.Flags().StringVar(&key, "key", "", "public key of the gateway to admit")
	cmd.Flags().IntVar(&days, "days", 365, "how long a gateway's pass is good for; it cannot be taken back before")
	cmd.MarkFlagRequired("role")
	return cmd
}
