// Command campanile runs a mobile network: all of it in one process, or one
// role of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"campanile.network/internal/config"
)

func main() {
	threads()
	ctx, drain := context.WithCancel(context.Background())
	go obey(drain)
	c, err := root().ExecuteContextC(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "campanile:", said(c, err))
	}
	os.Exit(exitCode(err))
}

// threads lets something go on while a thread waits for the disk, also where there is
// one processor: Go notices such a wait only after up to 10 ms, and a phone's procedure
// has several.
func threads() {
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < 2 {
		runtime.GOMAXPROCS(2)
	}
}

// obey drains at the first signal and ends the process at a second one, with 128
// and the signal's number, as a shell would say it.
func obey(drain func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
	drain()
	if s, ok := (<-signals).(syscall.Signal); ok {
		os.Exit(128 + int(s))
	}
}

// said is err for people: where the text does not say all, what helps.
func said(c *cobra.Command, err error) string {
	if usage := (*usageError)(nil); errors.As(err, &usage) && !usage.known || missesFlag(err) {
		return fmt.Sprintf("%v; see %s --help", err, c.CommandPath())
	}
	return err.Error()
}

// missesFlag knows what cobra says by itself.
func missesFlag(err error) bool { return strings.HasPrefix(err.Error(), "required flag") }

// exitCode is 0 for ok, 2 for what a person wrote wrong, 1 for what failed.
func exitCode(err error) int {
	var mistake *config.Error
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &mistake), errors.As(err, &usage), missesFlag(err):
		return 2
	}
	return 1
}
