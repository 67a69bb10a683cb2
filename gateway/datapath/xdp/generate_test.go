package xdp

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestObjectsAreWhatTheSourceGives compiles the programs again, where clang-14
// is: the committed objects are these octets.
func TestObjectsAreWhatTheSourceGives(t *testing.T) {
	for _, tool := range []string{"clang-14", "llvm-strip-14"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: the committed objects are not compared", tool)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "bpf"), os.DirFS("bpf")); err != nil {
		t.Fatal(err)
	}
	module, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile("generate.go")
	if err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(dir, "bpf2go")
	build := exec.Command("go", "build", "-o", tool, "github.com/cilium/ebpf/cmd/bpf2go")
	build.Dir = filepath.Dir(string(bytes.TrimSpace(module)))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	made := 0
	for line := range bytes.Lines(src) {
		args, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("//go:generate go run github.com/cilium/ebpf/cmd/bpf2go "))
		if !ok {
			continue
		}
		var words []string
		for w := range bytes.FieldsSeq(args) {
			words = append(words, string(w))
		}
		run := exec.Command(tool, words...)
		run.Dir = dir
		run.Env = append(os.Environ(), "GOPACKAGE=xdp", "GOFILE=generate.go")
		if out, err := run.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		made++
	}
	got, err := filepath.Glob(filepath.Join(dir, "*_bpfel*"))
	if err != nil || len(got) != 2*made || made == 0 {
		t.Fatalf("%d files of %d programs: %v", len(got), made, err)
	}
	for _, f := range got {
		fresh, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		old, err := os.ReadFile(filepath.Base(f))
		if err != nil || !bytes.Equal(fresh, old) {
			t.Errorf("%s is not what the source gives (%v): make generate", filepath.Base(f), err)
		}
	}
}
