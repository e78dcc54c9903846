package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// Project is a directory with the sources of a service.
type Project interface {
	// Prefix returns the path prefix to deploy under, unless another one is given.
	Prefix() (string, error)
	// Service returns the fields of the service that the settings of the project have.
	Service() map[string]any
	// Build compiles the project into the file out. It writes the commands and their output to log.
	Build(ctx context.Context, out string, log io.Writer) error
}

// OpenProject returns the project in a directory.
type OpenProject func(dir string) (Project, error)

// isDirectory reports whether a first argument is a relative path and not a prefix, whose segments are never dots.
func isDirectory(prefix string) bool {
	first, _, _ := strings.Cut(filepath.ToSlash(prefix), "/")
	return first == "." || first == ".."
}

// isDir reports whether there is a directory.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// chooseProject determines the directory of the project to build, if there is one to build: a directory in place of the
// module, or the working directory if neither a module nor anything else is given.
func (c *AddCmd) chooseProject(selecting []string) error {
	if c.Module == "" && isDirectory(c.Prefix) {
		c.Prefix, c.Module = "", c.Prefix
		if _, err := os.Stat(c.Module); err != nil {
			return err
		}
	}
	if c.Module != "" {
		if isDir(c.Module) {
			c.dir = c.Module
		}
		return nil
	}
	switch {
	case len(selecting) > 0:
		return nil
	case strings.HasSuffix(c.Prefix, ".wasm"):
		return fmt.Errorf("%s is no prefix but the name of a module: give the prefix before it, as in \"vespo add hello %[1]s\"", c.Prefix)
	}
	var none interface{ NoProject() bool }
	switch _, err := c.open("."); {
	case err == nil:
	case !errors.As(err, &none):
		return err // a project with an error, such as in its vespo.json
	case c.Prefix != "" && isDir(c.Prefix):
		return fmt.Errorf("%s is a prefix here, without a module: for the project in the directory, write .%c%[1]s", c.Prefix, filepath.Separator)
	default:
		return fmt.Errorf("give a module as <file|url|dir>, or %s; without them, the project in the current directory is built, but %w", c.selectors(), err)
	}
	c.dir, c.Module = ".", "."
	return nil
}

// openProject opens the project to build. Its prefix is used unless there is one, and the fields of its settings.
func (c *AddCmd) openProject() (p Project, err error) {
	if p, err = c.open(c.dir); err != nil {
		return nil, err
	}
	c.service = p.Service()
	if c.Prefix == "" {
		c.Prefix, err = p.Prefix()
	}
	return p, err
}

// build compiles the project into a temporary file, and makes that the module. remove removes it.
func (c *AddCmd) build(ctx context.Context, s stdio.Streams, p Project) (remove func(), err error) {
	temp, err := os.MkdirTemp("", "vespo-add-")
	if err != nil {
		return nil, err
	}
	remove = func() { _ = os.RemoveAll(temp) } // it is in the directory for temporary files
	module := filepath.Join(temp, "service.wasm")
	built, err := compile(ctx, p, s, module)
	if err != nil {
		remove()
		return nil, err
	}
	c.Module = module
	fmt.Fprintln(s.Err, built)
	return remove, nil
}

// compile builds the project into a file. It returns a line with the size and the time.
func compile(ctx context.Context, p Project, s stdio.Streams, module string) (string, error) {
	start, log := time.Now(), s.Err
	if s.Interactive() {
		line := startLine(s.Err, func() string { return fmt.Sprintf("building ... %d s", int(time.Since(start).Seconds())) })
		defer line.close()
		log = line
	}
	if err := p.Build(ctx, module, log); err != nil {
		return "", err
	}
	info, err := os.Stat(module)
	if err != nil {
		return "", errors.New("the build has made no module")
	}
	return fmt.Sprintf("built %s in %s", humanize.IBytes(uint64(info.Size())), seconds(time.Since(start))), nil
}

// addExamples are the examples in the help of add.
const addExamples = `"vespo deploy" is another name of this command. Examples:

  vespo deploy                                     the project in this directory
  vespo add hello hello.wasm --memory 4MiB         a module
  vespo add api --upstream http://127.0.0.1:9000   a reverse proxy
  vespo add / --static site                        a directory of files`

// Help is called by kong.
func (c *AddCmd) Help() string { return addExamples }

// author returns the author of the version: by default, the user of this process.
func (c *AddCmd) author() string {
	if c.Author != nil {
		return *c.Author
	}
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
