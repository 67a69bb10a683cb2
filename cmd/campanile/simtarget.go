package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/cmd/campanile/bench"
	"campanile.network/internal/config"
)

// target is an MME under load, and how it is asked. Its methods are used by one
// goroutine, but page.
type target struct {
	name   string
	report func() (bench.Report, error)
	page   func(id.IMSI) error // nil: it cannot be made to
	toggle func() error        // of its profile; nil: it has none
	end    func()
}

func (t *target) close() {
	if t.end != nil {
		t.end()
	}
}

func (t *target) profile() error {
	if t.toggle == nil {
		return nil
	}
	return t.toggle()
}

// settled is a report when the last connections have ended, or after two seconds.
func (t *target) settled() (r bench.Report, err error) {
	for range 20 {
		if r, err = t.report(); err != nil || r.Connected == 0 {
			return r, err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return r, err
}

// ownTarget starts an MME in a process of its own: this program as sim core.
func (f *loadFlags) ownTarget(ctx context.Context, g *globals, o bench.Options, k []byte) (*target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "campanile-load")
	if err != nil {
		return nil, err
	}
	keys := filepath.Join(dir, "sims")
	if err := os.WriteFile(keys, []byte(hex.EncodeToString(k)), 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	args := []string{"sim", "core", "--listen", o.Listen.String(), "--plmn", f.plmn, "--key-file", keys, "--cpu-profile", f.cpu, "--log-level", "error"}
	if !f.noStore {
		store := f.dir
		if store == "" {
			store = filepath.Join(dir, "mme.db")
		}
		args = append(args, "--store", store)
	}
	child := exec.CommandContext(ctx, self, args...)
	child.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", max(2, f.procs))) // as main has it
	child.Stderr = os.Stderr
	in, err1 := child.StdinPipe()
	out, err2 := child.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if err := startOn(child, f.procs); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	t := &target{name: "an MME of our own, with a home and a gateway that do next to nothing", end: func() {
		in.Close()
		child.Wait()
		os.RemoveAll(dir)
	}}
	answers := bufio.NewReader(out)
	if line, err := answers.ReadString('\n'); err != nil {
		t.end()
		return nil, fmt.Errorf("the MME under load does not start: %q, %w", line, err)
	}
	t.report = func() (r bench.Report, err error) {
		if _, err := io.WriteString(in, "report\n"); err != nil {
			return r, fmt.Errorf("the MME under load has ended: %w", err)
		}
		line, err := answers.ReadBytes('\n')
		if err != nil {
			return r, fmt.Errorf("the MME under load has ended: %w", err)
		}
		return r, json.Unmarshal(line, &r)
	}
	// One write each: os.File keeps them apart.
	t.page = func(who id.IMSI) error { _, err := io.WriteString(in, "page "+who.Digits()+"\n"); return err }
	t.toggle = func() error { _, err := io.WriteString(in, "profile\n"); return err }
	return t, nil
}

// simCoreCommand is what sim load starts.
func simCoreCommand(g *globals) *cobra.Command {
	var listen, plmn, keyFile string
	o := bench.Options{}
	cmd := &cobra.Command{
		Use: "core", Args: cobra.NoArgs, Hidden: true,
		Short: "An MME to be measured, with a home and a gateway that do next to nothing",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Logger, err = g.logger(); err != nil {
				return err
			}
			k, err := config.Secret(keyFile, 32)
			if err != nil {
				return err
			}
			o.K, o.OPc = secret.Key128(k[:16]), secret.Key128(k[16:])
			var err1, err2 error
			o.Listen, err1 = netip.ParseAddr(listen)
			o.PLMN, err2 = id.ParsePLMN(plmn)
			if err := errors.Join(err1, err2); err != nil {
				return &usageError{err: err}
			}
			return bench.Run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), o)
		},
	}
	p := cmd.Flags()
	p.StringVar(&listen, "listen", "127.0.0.20", "address of S1")
	p.StringVar(&plmn, "plmn", "999/70", "network")
	p.StringVar(&keyFile, "key-file", "", "file with K and OPc of all SIMs")
	p.StringVar(&o.Store, "store", "", "folder of the store; empty: nothing is kept")
	p.StringVar(&o.Profile, "cpu-profile", "", "file for a processor profile")
	cmd.MarkFlagRequired("key-file")
	return cmd
}

// sample is one line of Prometheus' text format.
var sample = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? ([0-9.eE+-]+)$`)

var labelled = regexp.MustCompile(`(procedure|outcome)="([^"]*)"`)

// scrape reads another MME's metrics; without an address there is nothing to know.
func scrape(ctx context.Context, url string) (r bench.Report, err error) {
	if url == "" {
		return r, nil
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return r, &usageError{err: err}
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return r, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return r, fmt.Errorf("%s: %s", url, res.Status)
	}
	r.Procedures = map[string]uint64{}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m := sample.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			continue
		}
		switch strings.TrimPrefix(m[1], "campanile_") {
		case "process_cpu_seconds_total":
			r.CPU = v
		case "process_resident_memory_bytes":
			r.RSS = uint64(v)
		case "go_memstats_heap_alloc_bytes":
			r.Heap = uint64(v)
		case "mm_registered_sub":
			r.Registered = int(v)
		case "mme_connections":
			r.Connected = int(v)
		case "mme_enbs":
			r.ENBs = int(v)
		case "mme_procedures_total":
			l := map[string]string{}
			for _, x := range labelled.FindAllStringSubmatch(m[2], -1) {
				l[x[1]] = x[2]
			}
			r.Procedures[l["procedure"]+" "+l["outcome"]] = uint64(v)
		}
	}
	return r, lines.Err()
}
