package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "campanile.network/wire/corepb"
)

func ueTrace(g *globals) *cobra.Command {
	q := &pb.TracePhoneRequest{}
	var most time.Duration
	var file string
	var megabytes uint64
	cmd := &cobra.Command{
		Use: "trace PHONE", Args: cobra.ExactArgs(1), Short: "Record what a phone and the network say to each other",
		Long: "Record what a phone and the network say to each other: S1AP, NAS as the MME\nunderstood it, S11, and how procedures end. The phone need not be known yet. The\n" +
			"transcript goes to stdout; the capture, with --pcapng, opens in Wireshark and in\ncampanile decode. The trace ends by itself, or with Ctrl-C, and who asked for it is\nnoted in audit.log in the MME's home.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if most < time.Second || most > 24*time.Hour {
				return &usageError{err: fmt.Errorf("--for %v: want 1s to 24h", most)}
			}
			if q.Keys && file == "" {
				return &usageError{err: errors.New("--keys are for a capture: give --pcapng too")}
			}
			q.Phone, q.Seconds, q.Octets, q.Pcapng = args[0], int64(most/time.Second), megabytes<<20, file != ""
			var out io.Writer = io.Discard
			if file != "" {
				f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					return err
				}
				defer f.Close()
				out = f
			}
			_, err := askMME(cmd, g, func(ctx context.Context, c pb.AdminClient) (struct{}, error) {
				return struct{}{}, takeTrace(ctx, c, q, cmd.OutOrStdout(), out)
			})
			return err
		},
	}
	f := cmd.Flags()
	f.DurationVar(&most, "for", 10*time.Minute, "how long, at most 24h")
	f.StringVar(&file, "pcapng", "", "capture file to write; it must not be there yet")
	f.Uint64Var(&megabytes, "megabytes", 64, "how much at most")
	f.BoolVar(&q.Detail, "detail", false, "every element of each message")
	f.BoolVar(&q.WholeImsi, "imsi", false, "identities in the transcript are not masked; in the capture they never are")
	f.BoolVar(&q.Keys, "keys", false, "the capture has the NAS keys, as comments: who has it can decipher it")
	return cmd
}

// takeTrace writes what comes until the trace ends or ctx does.
func takeTrace(ctx context.Context, c pb.AdminClient, q *pb.TracePhoneRequest, text, capture io.Writer) error {
	s, err := c.TracePhone(ctx, q)
	for err == nil {
		var r *pb.TraceReply
		if r, err = s.Recv(); err != nil {
			break
		}
		if _, err := io.WriteString(text, r.Text); err != nil {
			return err
		}
		if _, err := capture.Write(r.Pcapng); err != nil {
			return err
		}
	}
	if errors.Is(err, io.EOF) || ctx.Err() != nil && status.Code(err) == codes.Canceled {
		return nil
	}
	return err
}
