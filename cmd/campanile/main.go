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

	"campanile.network/internal/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "campanile:", err)
	}
	os.Exit(exitCode(err))
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
