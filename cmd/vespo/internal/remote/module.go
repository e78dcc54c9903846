package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/internal/regular"
)

// openModule returns the module and its size. Input of unknown size is read to its end first: only
// with a known length can the server refuse an upload that is too large before it is sent.
func (c *AddCmd) openModule(s stdio.Streams) (io.ReadCloser, int64, error) {
	switch {
	case c.Module == "-":
		return readAll(s.In)
	case c.pulled != nil:
		return io.NopCloser(bytes.NewReader(c.pulled)), int64(len(c.pulled)), nil
	}
	f, err := regular.OpenAny(c.Module)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.Mode().IsRegular() && info.Size() == 0:
		err = fmt.Errorf("%s is empty; give a WebAssembly module", c.Module)
	case info.Mode().IsRegular():
		return f, info.Size(), nil
	default: // a pipe
		defer f.Close()
		return readAll(f)
	}
	return nil, 0, errors.Join(err, f.Close())
}

func readAll(r io.Reader) (io.ReadCloser, int64, error) {
	module, err := io.ReadAll(io.LimitReader(r, flags.MaxModuleBytes+1))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("read the module: %w", err)
	case len(module) == 0:
		return nil, 0, errors.New("the input is empty; give a WebAssembly module")
	case len(module) > flags.MaxModuleBytes:
		return nil, 0, fmt.Errorf("the input is larger than %s, which no server takes", flags.Size(flags.MaxModuleBytes))
	}
	return io.NopCloser(bytes.NewReader(module)), int64(len(module)), nil
}
