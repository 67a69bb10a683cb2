package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"campanile.network/cmd/campanile/town"
	"campanile.network/sdr/gsm"
)

// radioCommand is what concerns a real radio before it is on the air.
func radioCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "radio", GroupID: "role", Short: "Check a real radio, and write the configuration of the program that runs it"}
	cmd.AddCommand(radioCheck(g), radioRender(g))
	return cmd
}

func radioCheck(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "check", Args: cobra.NoArgs, Short: "Say what would be transmitted, and whether kit and program are there",
		Long: "Say what [radio] of the home would transmit and on what ground, look for the kit\nwith its vendor's tool, and for srsRAN's eNB. Nothing is transmitted.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := g.load()
			if err != nil {
				return err
			}
			r, err := town.CheckRadio(cmd.Context(), c)
			if err != nil {
				return err
			}
			if err := g.print(cmd.OutOrStdout(), r, func(w io.Writer) { printRadio(w, r) }); err != nil || r.OK {
				return err
			}
			return errors.New("this radio cannot start yet")
		},
	}
}

func printRadio(w io.Writer, r town.RadioReport) {
	power := "nothing is transmitted"
	if r.EIRP != nil {
		power = fmt.Sprintf("at most %.1f dBm EIRP", *r.EIRP)
	}
	fmt.Fprintf(w, "ground     %s\n", r.Law)
	fmt.Fprintf(w, "downlink   %.1f MHz, EARFCN %d, band %d\nuplink     %.1f MHz, EARFCN %d\n", r.DLMHz, r.DLEARFCN, r.Band, r.ULMHz, r.ULEARFCN)
	fmt.Fprintf(w, "width      %v MHz, %d resource blocks, %.2f million samples a second\n", r.MHz, r.Blocks, float64(r.Rate)/1e6)
	fmt.Fprintf(w, "power      %s; gain %v dB, receiving %v dB\n", power, r.TXGain, r.RXGain)
	fmt.Fprintf(w, "kit        %s: %s\nprogram    %s\n", r.Kit, r.Found, r.Program)
	for _, n := range r.Notes {
		fmt.Fprintf(w, "note       %s\n", n)
	}
	for _, m := range r.Problems {
		fmt.Fprintf(w, "mend       %s\n", m)
	}
}

func radioRender(g *globals) *cobra.Command {
	var dir, program string
	cmd := &cobra.Command{
		Use: "render", Args: cobra.NoArgs, Short: "Write the files of srsenb, OpenBTS, YateBTS or the Osmocom programs",
		Long: "Write srsenb's four files, to look at them or to run it by hand; or with --for what a\nGSM cell's program needs to be a cell of this network: [radio.gsm] says which cell.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if program != "srsran" && !slices.Contains(gsm.Programs(), program) {
				return &usageError{err: fmt.Errorf("--for %q: want srsran, %s", program, strings.Join(gsm.Programs(), ", "))}
			}
			c, _, err := g.load()
			if err != nil {
				return err
			}
			var at, how string
			if program == "srsran" {
				at, err = town.RenderRadio(c, dir)
				how = "run: srsenb " + at + "/enb.conf"
			} else {
				at, err = town.RenderGSM(c, program, dir)
				how = gsm.How(program, at)
			}
			if err != nil {
				return err
			}
			r := struct {
				Folder string `json:"folder"`
			}{at}
			return g.print(cmd.OutOrStdout(), r, func(w io.Writer) {
				fmt.Fprintf(w, "written to %s; %s\n", at, how)
			})
		},
	}
	cmd.Flags().StringVar(&dir, "to", "", "folder to write to; empty: the home's own")
	cmd.Flags().StringVar(&program, "for", "srsran", "program: srsran, openbts, yatebts or osmocom")
	return cmd
}

// useRadio follows --radio, where a command has it and it was given.
func useRadio(cmd *cobra.Command, c *town.Config) error {
	if f := cmd.Flags().Lookup("radio"); f != nil && f.Changed {
		return c.UseRadio(f.Value.String())
	}
	return nil
}

// radioFlag gives --radio to a command that may have a radio.
func radioFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String("radio", "", `instead of radio.kind: "virtual", "none" or "srsran"`)
	return cmd
}
