package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"campanile.network/cmd/campanile/town"
	pb "campanile.network/wire/corepb"
)

// mmeCommands are what an operator does with the MME as a whole.
func mmeCommands(g *globals) []*cobra.Command {
	out := []*cobra.Command{{
		Use: "member", Args: cobra.NoArgs, Short: "The line by which the other MMEs of a pool know this one",
		Long: "Print the line for pool.members in the homes of the other MMEs: group and code,\naddress and public key. It holds no secret. keys/pool is made if there is none.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			line, err := town.PoolMember(g.home)
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), map[string]string{"member": line}, func(w io.Writer) { fmt.Fprintln(w, line) })
		},
	}}
	for _, v := range []struct{ name, short, long string }{
		{"drain", "Have eNBs bring new phones to other MMEs of the pool", "Tell eNBs a relative capacity of 0 (TS 36.413 §8.7.5): those that have other MMEs\nbring new phones there. Phones that are here stay until they leave, or this MME ends.\nIt lasts until undrain, or another start."},
		{"undrain", "End drain", "Tell eNBs the relative capacity that mme.capacity says."},
		{"reload", "Read mme.name, mme.capacity and mme.shared again", "Read the configuration again, as SIGHUP has campanile mme do: mme.name, mme.capacity\nand mme.shared. What else has changed is named, and waits for the next start."},
	} {
		out = append(out, &cobra.Command{Use: v.name, Args: cobra.NoArgs, Short: v.short, Long: v.long,
			RunE: func(cmd *cobra.Command, _ []string) error {
				r, err := askMME(cmd, g, func(ctx context.Context, c pb.AdminClient) (*pb.ManageMMEReply, error) {
					return c.ManageMME(ctx, &pb.ManageMMERequest{Verb: v.name})
				})
				if err != nil {
					return err
				}
				return g.print(cmd.OutOrStdout(), r, func(w io.Writer) { fmt.Fprintln(w, r.Text) })
			}})
	}
	return out
}

// onHangup calls f at every SIGHUP, until it is ended.
func onHangup(f func()) (end func()) {
	hangups, done, gone := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(gone)
		for {
			select {
			case <-hangups:
				f()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(done)
		<-gone
	}
}
