// Command campanile runs a mobile network: all of it in one process, or one
// role of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"campanile.network/internal/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal drains, a second one ends the process
	c, err := root().ExecuteContextC(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "campanile:", said(c, err))
	}
	os.Exit(exitCode(err))
}

// said is err for people: where the text does not say all, what helps.
func said(c *cobra.Command, err error) string {
	if usage := (*usageError)(nil); errors.As(err, &usage) && !usage.known {
		return fmt.Sprintf("%v; see %s --help", err, c.CommandPath())
	}
	return err.Error()
}

// exitCode is 0 for ok, 2 for what a person wrote wrong, 1 for what failed.
func exitCode(err error) int {
	var mistake *config.Error
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &mistake), errors.As(err, &usage), strings.HasPrefix(err.Error(), "required flag"):
		return 2
	}
	return 1
}
