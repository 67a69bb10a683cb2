// Command gen writes the Go code of package s1ap from the ASN.1 modules of
// 3GPP TS 36.413 clause 9.3.
//
// The modules are 3GPP's text and not part of this repository; their path is
// the argument or the environment variable S1AP_ASN1. Without either, or if
// there is no such file, gen says so and leaves the generated files alone.
//
// It is not a general ASN.1 compiler: it knows the constructs that the S1AP
// modules use and refuses others.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", ".", "directory of package s1ap")
	flag.Parse()
	path := flag.Arg(0)
	if path == "" {
		path = os.Getenv("S1AP_ASN1")
	}
	if err := run(path, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(path, out string) error {
	if path == "" {
		fmt.Println("s1ap: skipped: no ASN.1 modules given (argument or S1AP_ASN1)")
		return nil
	}
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Printf("s1ap: skipped: %s is not there\n", path)
		return nil
	} else if err != nil {
		return err
	}
	files, err := generate(src)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(out, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
