package flags

import (
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/services/schema"
)

// TextFile is the content of a file that a flag names. It is empty if the flag is not given.
type TextFile string

// Decode implements kong.MapperValue. It reads the file.
func (t *TextFile) Decode(ctx *kong.DecodeContext) error {
	var path string
	if err := ctx.Scan.PopValueInto("file", &path); err != nil {
		return err
	}
	content, err := readText(kong.ExpandPath(path))
	if err != nil {
		return err
	}
	*t = TextFile(content)
	return nil
}

func readText(path string) ([]byte, error) {
	f, err := regular.OpenAny(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, schema.MaxTextBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) == 0:
		return nil, fmt.Errorf("%s is empty", path)
	case len(content) > schema.MaxTextBytes:
		return nil, fmt.Errorf("%s has more than %d bytes", path, schema.MaxTextBytes)
	}
	return content, nil
}
