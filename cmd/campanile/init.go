package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"campanile.network/cmd/campanile/town"
)

func initCommand(g *globals) *cobra.Command {
	c := town.DefaultConfig()
	cmd := &cobra.Command{
		Use: "init", GroupID: "run", Args: cobra.NoArgs,
		Short: "Make a home: configuration, keys, a ledger of your own",
		RunE: func(cmd *cobra.Command, _ []string) error {
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
	return cmd
}
