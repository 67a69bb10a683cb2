package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"campanile.network/cmd/campanile/town"
)

// roleCommands are the commands that run one role of a home in a process of
// its own; hss-chain first, the others find it under [peers].
func roleCommands(g *globals) []*cobra.Command {
	var out []*cobra.Command
	for _, r := range []struct{ name, short string }{
		{"hss-chain", "The ledger's node and the authentication centre"},
		{"billing", "Meter and towers' links"},
		{"gateway", "SGW and PGW: addresses of phones, their packets and what is counted of them"},
		{"mme", "MME: attaches phones, follows them from cell to cell and pages them"},
		{"enb-agent", "The tower's agent, between eNB and core"},
		{"sip", "SIP gateway and message centre: phones in GSM cells, SIP apps"},
	} {
		out = append(out, &cobra.Command{
			Use: r.name, GroupID: "role", Args: cobra.NoArgs, Short: r.short,
			Long: r.short + ".\n\nRoles of one home run apart in any order: hss-chain, billing, gateway, mme,\n" +
				"enb-agent and sip, each with the same --home. They find each other by the addresses in\n" +
				"its campanile.toml. An eNB, or campanile sim --mme with agent.radio's address,\nthen connects to the agent.",
			RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, g, r.name) },
		})
		switch c := out[len(out)-1]; r.name {
		case "enb-agent":
			radioFlag(c)
		case "gateway":
			c.AddCommand(gatewayCommands(g)...)
		case "sip":
			c.AddCommand(sipCommands(g)...)
		case "mme":
			c.AddCommand(mmeCommands(g)...)
		}
	}
	return out
}

// run runs a role until it is told to stop or fails.
func run(cmd *cobra.Command, g *globals, role string) error {
	cfg, log, err := g.load()
	if err == nil {
		err = useRadio(cmd, cfg)
	}
	if err != nil {
		return err
	}
	t, err := town.Open(cmd.Context(), cfg, role, log)
	if cmd.Context().Err() != nil && errors.Is(err, context.Canceled) { // told to stop while it waited for others
		err = nil
	} else if err == nil {
		log.Info("ready: "+role, "listening", t.Listening())
		if a := t.Console(); a != "" {
			log.Info("console: open http://" + a + " in a browser; Ctrl-C stops")
		}
		if role == "mme" {
			defer onHangup(t.Reload)()
		}
		err = t.Wait(cmd.Context())
		log.Info("stopping")
	}
	if t != nil {
		err = errors.Join(err, closeWithin(t, drainTime))
	}
	return err
}

// drainTime is how long a process that is told to stop may take to finish what
// is under way. A second signal ends it at once.
const drainTime = 10 * time.Second

// closeWithin ends a town, or gives up on what does not end.
func closeWithin(t *town.Town, most time.Duration) error {
	done := make(chan error, 1)
	go func() { done <- t.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(most):
		return fmt.Errorf("%s has not ended within %v", t.Ending(), most)
	}
}
