package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"campanile.network/sip/smsc"
	pb "campanile.network/wire/corepb"
)

func smsCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "sms", GroupID: "operate", Short: "Send a short message to a phone, and list those that wait"}
	cmd.AddCommand(smsSend(g), smsList(g))
	return cmd
}

// centres are the roles in which there is a message centre.
func centres() []string { return []string{"sip", "up"} }

func smsSend(g *globals) *cobra.Command {
	q := &pb.SendMessageRequest{}
	var valid, in time.Duration
	cmd := &cobra.Command{
		Use: "send --to NUMBER TEXT", Args: cobra.ExactArgs(1), Short: "Send a text to a subscriber's phone",
		Long: "Send a text to a subscriber's phone. It is on disk when this returns, and is delivered\nwhen the phone is there: campanile sms list has what waits.",
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Text, q.ValidMs = args[0], valid.Milliseconds()
			if q.To == "" || q.Text == "" {
				return &usageError{err: fmt.Errorf("want --to NUMBER and a text")}
			}
			if in > 0 {
				q.NotBeforeMs = time.Now().Add(in).UnixMilli()
			}
			_, err := askFirst(cmd, g, centres(), func(ctx context.Context, c pb.AdminClient) (*pb.SendMessageReply, error) {
				return c.SendMessage(ctx, q)
			})
			if err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), map[string]bool{"taken": true}, func(w io.Writer) { fmt.Fprintln(w, "taken") })
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.To, "to", "", "the subscriber's number, or IMSI")
	f.StringVar(&q.From, "from", "", "number, or name of up to 11 characters, that the phone shows (default: the message centre's number)")
	f.DurationVar(&valid, "valid", 0, "how long it is tried (default: 72h)")
	f.DurationVar(&in, "in", 0, "after how long it is sent")
	f.BoolVar(&q.Priority, "priority", false, "before what waits already, and also if the phone is known to be absent")
	f.BoolVar(&q.Flash, "flash", false, "shown at once and not stored (class 0)")
	return cmd
}

func smsList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "list", Args: cobra.NoArgs, Short: "List the messages that wait, without what they say",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := askFirst(cmd, g, centres(), func(ctx context.Context, c pb.AdminClient) (*pb.MessagesReply, error) {
				return c.ListMessages(ctx, &pb.ListMessagesRequest{})
			})
			if err != nil {
				return err
			}
			all := []smsc.Waiting{}
			if err := json.Unmarshal(r.Json, &all); err != nil {
				return err
			}
			return g.print(cmd.OutOrStdout(), all, func(w io.Writer) { printMessages(w, all) })
		},
	}
}

func printMessages(w io.Writer, all []smsc.Waiting) {
	if len(all) == 0 {
		fmt.Fprintln(w, "nothing waits")
		return
	}
	table(w, "TAKEN\tFROM\tTO\tNEXT TRY\tTRIED\tUNTIL\tNOTE", func(w io.Writer) {
		for _, m := range all {
			next, note := "now", ""
			if d := time.Until(m.Next); d > 0 {
				next = "in " + d.Round(time.Second).String()
			}
			switch {
			case m.Memory:
				note = "the phone has no memory"
			case m.Report:
				note = "status report"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", m.Accepted.Local().Format(time.DateTime), m.From, m.To, next, m.Failures, m.Expires.Local().Format(time.DateTime), note)
		}
	})
}
