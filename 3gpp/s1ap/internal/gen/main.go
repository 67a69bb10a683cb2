// Command gen writes the Go code of package s1ap from the ASN.1 modules of
// TS 36.413 §9.3.
//
// # Where the modules come from
//
// They are 3GPP's text and not part of this repository. 3GPP publishes them
// inside the specification, www.3gpp.org/ftp/Specs/archive/36_series/36.413
// (36413-h30.zip is V17.3.0): everything between ASN1START and ASN1STOP of
// clause 9.3, as one text file. SonTransfer-IEs of annex B is left out: it is
// what a RIM container carries, not S1AP.
//
// # Running it
//
// The path of that file is the argument or the environment variable ASN1,
// relative to the working directory or to a directory above it:
//
//	make generate ASN1=36413-h30.asn
//	ASN1=36413-h30.asn go generate ./3gpp/s1ap
//	go run ./3gpp/s1ap/internal/gen -out 3gpp/s1ap 36413-h30.asn
//
// Without a path, or if there is no such file, gen says so and leaves the
// generated files alone. The same input always gives the same files.
//
// # A new release of TS 36.413
//
//  1. Make the text file of its modules and set the constant release.
//  2. Generate. What gen does not know it refuses with the line; a Go name that
//     two ASN.1 names share is refused until names.go has an override for one.
//  3. Read the diff. Messages and IEs may only be added; where the field of an
//     IE has changed its name or type, its users do not compile.
//  4. Run the tests of this package, of s1ap and of those that use it. A list
//     whose items may be of two IEs, an object set of more than 64 IEs, or an
//     addition to a SEQUENCE behind its extension marker has not occurred yet:
//     gen refuses it, and the runtime of s1ap has to learn it.
//  5. tshark may not know the release: its exceptions stand in s1ap's tests.
//  6. Change the version in s1ap/doc.go, and write docs/conformance.md again.
//
// # What it is not
//
// It is not a general ASN.1 compiler: it knows the constructs that the S1AP
// modules use and refuses others.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", ".", "directory of package s1ap")
	flag.Parse()
	path := flag.Arg(0)
	if path == "" {
		path = os.Getenv("ASN1")
	}
	if err := run(os.Stdout, path, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run generates from the file at path into the directory out; what it skips it
// says to w.
func run(w io.Writer, path, out string) error {
	if path == "" {
		_, err := fmt.Fprintln(w, "s1ap: skipped: no ASN.1 modules given (argument or environment variable ASN1)")
		return err
	}
	found, ok := locate(path)
	if !ok {
		_, err := fmt.Fprintf(w, "s1ap: skipped: %s is not there\n", path)
		return err
	}
	src, err := os.ReadFile(found)
	if err != nil {
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

// locate finds a file by its path, if relative also from the directories above:
// go generate runs in the package, make in the module.
func locate(path string) (string, bool) {
	if _, err := os.Stat(path); err == nil {
		return path, true
	}
	if filepath.IsAbs(path) {
		return "", false
	}
	dir, err := os.Getwd()
	for err == nil {
		p := filepath.Join(dir, path)
		if _, err := os.Stat(p); err == nil {
			return p, true
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	return "", false
}
