package flexilib

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/internal/regular"
)

// ImportCmd converts FlexiLib's configuration into a configuration file.
type ImportCmd struct {
	File   string `arg:"" help:"FlexiLib's proxy.ini."`
	Output string `short:"o" placeholder:"FILE" help:"File to write, which must not exist yet; - is the standard output, which is the default."`
}

// Run is called by kong. It writes all lines that can be converted, even if others cannot.
func (c *ImportCmd) Run(s stdio.Streams) error {
	in, err := regular.OpenAny(c.File)
	if err != nil {
		return err
	}
	defer in.Close()
	rules, problems, err := Read(in)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	declared, unsaid := Plan(rules)
	var text bytes.Buffer
	if err := Write(&text, c.File, declared); err != nil {
		return err
	}
	if err := c.write(s.Out, text.Bytes()); err != nil {
		return err
	}
	lost := 0
	for _, p := range append(problems, unsaid...) {
		fmt.Fprintf(s.Err, "%s:%s\n", stdio.Printable(c.File), stdio.Printable(p.String()))
		if !p.Harmless {
			lost++
		}
	}
	if lost > 0 {
		return fmt.Errorf("%d lines of %s could not be taken over as they are", lost, c.File)
	}
	return nil
}

// write writes text to the output. It never overwrites a file.
func (c *ImportCmd) write(out io.Writer, text []byte) error {
	if c.Output == "" || c.Output == "-" {
		_, err := out.Write(text)
		return err
	}
	f, err := regular.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
