package wrangler

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flexilib"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/internal/regular"
)

// maxFileBytes is the size limit of a configuration.
const maxFileBytes = 1 << 20

// ImportCmd converts the configuration of another program: by the file's suffix, wrangler's or FlexiLib's.
type ImportCmd struct {
	File   string `arg:"" help:"wrangler.toml, wrangler.jsonc or wrangler.json of a worker; or FlexiLib's proxy.ini."`
	Output string `short:"o" placeholder:"FILE" help:"File to write, which must not exist yet; - is the standard output, which is the default."`
}

// Run is called by kong. It writes all that can be converted, even if the rest cannot.
func (c *ImportCmd) Run(s stdio.Streams) error {
	switch strings.ToLower(filepath.Ext(c.File)) {
	case ".toml", ".json", ".jsonc":
	default:
		return (&flexilib.ImportCmd{File: c.File, Output: c.Output}).Run(s)
	}
	text, err := regular.ReadFile(c.File, maxFileBytes)
	if err != nil {
		return err
	}
	project, problems, err := Read(c.File, text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	made, err := json.MarshalIndent(project, "", "  ")
	if err != nil {
		return err
	}
	if err := c.write(s.Out, append(made, '\n')); err != nil {
		return err
	}
	lost := 0
	for _, p := range problems {
		fmt.Fprintf(s.Err, "%s: %s\n", stdio.Printable(c.File), stdio.Printable(p.String()))
		if !p.Harmless {
			lost++
		}
	}
	if c.Output != "" && c.Output != "-" {
		fmt.Fprintf(s.Err, "wrote %s\n", stdio.Printable(c.Output))
	}
	switch lost {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("1 member of %s could not be taken over as it is: see above", c.File)
	}
	return fmt.Errorf("%d members of %s could not be taken over as they are: see above", lost, c.File)
}

// write writes text to the output. It never overwrites a file.
func (c *ImportCmd) write(out io.Writer, text []byte) error {
	if c.Output == "" || c.Output == "-" {
		_, err := out.Write(text)
		return err
	}
	f, err := regular.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: remove it, or give another file by --output", err)
	case err != nil:
		return err
	}
	_, err = f.Write(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
