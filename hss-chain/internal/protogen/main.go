// Command protogen writes the Go code of the chain's protobuf files (proto/campanile/...) beside the modules that use it.
// It needs protoc on the path and nothing else: the plugin is built from the module graph into a temporary directory, and
// imported .proto files are read from the module cache. It is a build tool and no part of the product.
package main

//go:generate go run .

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	module = "campanile.network"
	plugin = "github.com/cosmos/gogoproto/protoc-gen-gocosmos"
	anyMap = "Mgoogle/protobuf/any.proto=github.com/cosmos/gogoproto/types/any"
)

// includes names the modules whose .proto files ours import, and where in them these lie.
var includes = []struct{ module, dir string }{
	{"github.com/cosmos/cosmos-sdk", "proto"},
	{"github.com/cosmos/cosmos-proto", "proto"},
	{"github.com/cosmos/gogoproto", "."},
	{"github.com/grpc-ecosystem/grpc-gateway", "third_party/googleapis"},
}

func main() {
	if err := generate(); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func generate() error {
	root, err := output("go", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if _, err := exec.LookPath("protoc"); err != nil {
		return errors.New("protoc is not installed (Debian: apt-get install protobuf-compiler)")
	}
	tmp, err := os.MkdirTemp("", "protogen")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	bin := filepath.Join(tmp, filepath.Base(plugin))
	if _, err := output("go", "build", "-o", bin, plugin); err != nil {
		return err
	}
	args, err := arguments(bin, tmp)
	if err != nil {
		return err
	}
	packages, err := filepath.Glob("proto/campanile/*/v1")
	if err != nil {
		return err
	}
	for _, dir := range packages {
		files, err := filepath.Glob(dir + "/*.proto")
		if err != nil {
			return err
		}
		if _, err := output("protoc", append(args, files...)...); err != nil {
			return err
		}
	}
	return copyOut(filepath.Join(tmp, module), root)
}

// arguments returns protoc's command line without the files: one package is compiled at a time.
func arguments(bin, out string) ([]string, error) {
	args := []string{"--plugin=" + bin, "-I", "proto"}
	for _, inc := range includes {
		dir, err := output("go", "list", "-m", "-f", "{{.Dir}}", inc.module)
		if err != nil {
			return nil, err
		}
		args = append(args, "-I", filepath.Join(dir, inc.dir))
	}
	return slices.Clip(append(args, "--gocosmos_out=plugins=grpc,"+anyMap+":"+out)), nil
}

func copyOut(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
			return err
		}
		if old, err := os.ReadFile(dst); err == nil && bytes.Equal(old, b) {
			return nil
		}
		return os.WriteFile(dst, b, 0o644)
	})
}

// output runs a command and returns what it prints, trimmed; its error carries what it said on stderr.
func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", name, err, stderr.String())
	}
	return strings.TrimSpace(string(b)), nil
}
