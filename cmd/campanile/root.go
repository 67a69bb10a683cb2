package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"

	"campanile.network/cmd/campanile/town"
	"campanile.network/internal/logs"
)

// usageError is a command line that cannot be followed.
type usageError struct {
	err   error
	known bool // the text says all there is to say
}

func (e *usageError) Error() string { return e.err.Error() }

// globals are the flags that every command has.
type globals struct {
	home, level, format string
	json                bool
}

// root is the command tree.
func root() *cobra.Command {
	g := &globals{}
	c := &cobra.Command{
		Use:   "campanile",
		Short: "A mobile network a town builds for itself",
		Long: "Campanile is an LTE core, a SIP gateway for GSM cells and a tower's agent with a\n" +
			"shared ledger: it knows the subscribers, counts what towers carry and pays their\n" +
			"owners.\n\n" +
			"  campanile up      everything in one process, with virtual cells and phones\n" +
			"  campanile status  what the running node does",
		Version:       version(),
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	f := c.PersistentFlags()
	f.StringVar(&g.home, "home", defaultHome(), "folder of configuration, keys and data")
	f.StringVar(&g.level, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&g.format, "log-format", "text", "text or json")
	f.BoolVar(&g.json, "json", false, "results as JSON; errors stay one line on stderr")
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err: err} })
	c.AddGroup(&cobra.Group{ID: "run", Title: "Run:"}, &cobra.Group{ID: "role", Title: "One role alone:"}, &cobra.Group{ID: "operate", Title: "Operate the running node:"})
	c.AddCommand(initCommand(g), upCommand(g), demoCommand(g), simCommand(g), decodeCommand(g), radioCommand(g))
	c.AddCommand(roleCommands(g)...)
	c.AddCommand(statusCommand(g), subscriberCommand(g), ueCommand(g), smsCommand(g), towerCommand(g), inviteCommand(g), claimCommand(g))
	usageArgs(c)
	return c
}

// usageArgs makes wrong arguments usage errors, like wrong flags.
func usageArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return &usageError{err: err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		usageArgs(sub)
	}
}

// version is the commit the binary was built from, where the build knows it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version + ", " + info.GoVersion
}

func defaultHome() string {
	if d := os.Getenv("XDG_DATA_HOME"); d != "" {
		return filepath.Join(d, "campanile")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "campanile-home"
	}
	return filepath.Join(home, ".local", "share", "campanile")
}

func (g *globals) logger() (*slog.Logger, error) {
	l, err := logs.New(os.Stderr, g.level, g.format)
	if err != nil {
		return nil, &usageError{err: err}
	}
	return l, nil
}

// load reads configuration and makes the logger.
func (g *globals) load() (*town.Config, *slog.Logger, error) {
	l, err := g.logger()
	if err != nil {
		return nil, nil, err
	}
	c, err := town.LoadConfig(g.home)
	return c, l, err
}

// print writes a result: as JSON with --json, otherwise as text gives it.
func (g *globals) print(w io.Writer, v any, text func(io.Writer)) error {
	if !g.json {
		text(w)
		return nil
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}
