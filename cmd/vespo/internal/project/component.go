package project

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vespo-dev/vespo/internal/regular"
)

const (
	componentScript = "componentize" // the npm script that makes a component: CORE OUT
	jcoPackage      = "@bytecodealliance/jco"
)

// componentized makes a component of the core module that another toolchain compiles, with the project's npm script.
type componentized struct{ core toolchain }

func (c componentized) check(ctx context.Context) error {
	if err := c.core.check(ctx); err != nil {
		return err
	}
	if err := onPath("node", getNode); err != nil {
		return err
	}
	return onPath("npm", getNode)
}

func (c componentized) build(ctx context.Context, b *build) error {
	temp, err := os.MkdirTemp(b.dir, ".core-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) // a core module may be left in a directory that git ignores
	core := *b
	core.reactor, core.out = true, filepath.Join(temp, "core.wasm")
	if err := c.core.build(ctx, &core); err != nil {
		return err
	}
	if inModules(b.dir, filepath.Join(filepath.FromSlash(jcoPackage), "package.json")) == "" {
		if err := b.run(ctx, npmInstall("--loglevel=error"), nil); err != nil {
			return err
		}
	}
	return b.run(ctx, command{args: []string{"npm", "run", "--silent", componentScript, "--", core.outArg(), b.outArg()}}, nil)
}

// hasComponentScript reports whether a project makes a component with an npm script.
func hasComponentScript(dir string) (bool, error) {
	file := filepath.Join(dir, "package.json")
	text, err := regular.ReadFile(file, maxSettingsBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	var manifest struct {
		Scripts map[string]string `json:"scripts"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return false, fmt.Errorf("%s: %w", file, err)
	}
	_, has := manifest.Scripts[componentScript]
	return has, nil
}
