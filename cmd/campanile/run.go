package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"campanile.network/cmd/campanile/town"
)

func upCommand(g *globals) *cobra.Command {
	return radioFlag(&cobra.Command{
		Use: "up", GroupID: "run", Args: cobra.NoArgs,
		Short: "Everything in one process; with radio.kind \"virtual\" a tower and phones too",
		RunE:  func(cmd *cobra.Command, _ []string) error { return run(cmd, g, "up") },
	})
}

func demoCommand(g *globals) *cobra.Command {
	o := town.DemoOptions{}
	cmd := &cobra.Command{
		Use: "demo", GroupID: "run", Args: cobra.NoArgs,
		Short: "The main job once, in a fresh temporary home: attach, carry, count, pay, claim",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("log-level") {
				g.level = "warn"
			}
			log, err := g.logger()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Minute)
			defer cancel()
			r, err := town.Demo(ctx, o, log)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) { r.Print(w) })
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Down, "down", 2_000_000, "octets to fetch")
	f.IntVar(&o.Up, "up", 300_000, "octets to send")
	return cmd
}
