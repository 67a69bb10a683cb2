package radio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"campanile.network/sdr/profiles"
)

// FindProgram finds srsenb by path or name. Its error is a *Mistake.
func FindProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return filepath.Abs(path)
	}
	var e *exec.Error
	var file *fs.PathError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		err = errors.New("no such program in PATH")
	case errors.As(err, &file):
		err = file.Err
	case errors.As(err, &e):
		err = e.Err
	}
	return "", mistake("program", "install srsRAN 4G, or write the path of its srsenb", "%q: %v", name, err)
}

// ErrNoTool means that the vendor's tool is not installed.
var ErrNoTool = errors.New("radio: the vendor's tool is not installed")

// toolTime bounds how long a vendor's tool may look.
const toolTime = 20 * time.Second

// Detect asks the vendor's tool for kits that are plugged in. The list holds
// all that it finds; Plan.Match picks. A virtual kit has nothing to detect.
func Detect(ctx context.Context, k *profiles.Kit) ([]profiles.Found, error) {
	if k.Virtual {
		return nil, nil
	}
	path, err := exec.LookPath(k.Tool.Program)
	if err != nil {
		return nil, fmt.Errorf("%w: %s (Debian: %s)", ErrNoTool, k.Tool.Program, k.Tool.Package)
	}
	out, err := output(ctx, path, k.Tool.Args, nil)
	found, parseErr := k.Tool.Parse(out)
	if parseErr == nil {
		return found, nil // tools that find nothing end with an error
	}
	return nil, errors.Join(parseErr, err)
}

// Match picks, among what was found, the kit that the plan will use.
func (p *Plan) Match(found []profiles.Found) (profiles.Found, error) {
	for _, f := range found {
		if p.Kit.Is(f) && (p.Serial == "" || strings.EqualFold(p.Serial, f.Serial)) {
			return f, nil
		}
	}
	which := "the " + p.Kit.Title
	if p.Serial != "" {
		which += " with serial " + p.Serial
	}
	if len(found) == 0 {
		return profiles.Found{}, mistake("kit", "plug it in; if it is, may this user open USB devices?", "%s is not there: %s finds nothing", which, p.Kit.Tool.Program)
	}
	return profiles.Found{}, mistake("kit", "", "%s is not there: %s finds %v", which, p.Kit.Tool.Program, found)
}

// Version asks srsenb for its version. Its error is a *Mistake.
func (p *Plan) Version(ctx context.Context) (string, error) {
	program, err := FindProgram(p.Program)
	if err != nil {
		return "", err
	}
	out, err := output(ctx, program, []string{"--version"}, p.environ("/"))
	for line := range strings.Lines(out) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "Version "); ok {
			return v, nil
		}
	}
	said := fmt.Sprintf("says %.80q", strings.TrimSpace(out))
	if err != nil {
		said += fmt.Sprintf(" (%v)", err)
	}
	return "", mistake("program", "write the path of srsRAN 4G's srsenb", "%s is no srsenb: asked for its version it %s", program, said)
}

// maxOutput bounds what a tool may say, in octets.
const maxOutput = 64 << 10

func output(ctx context.Context, path string, args, env []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, toolTime)
	defer cancel()
	c := exec.CommandContext(ctx, path, args...)
	c.Env = env
	c.WaitDelay = time.Second
	b := &bounded{}
	c.Stdout, c.Stderr = b, b
	err := c.Run()
	return b.String(), err
}

// bounded keeps the first maxOutput octets.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), maxOutput-b.Len())])
	return len(p), nil
}
