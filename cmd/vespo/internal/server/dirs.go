package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
)

// defaultData is the data directory if none is given.
const defaultData = "vespo-data"

// dirs are the directories of a server.
type dirs struct {
	data string
	temp string // for the demo; else empty
}

// openDirs chooses the data directory. For the demo it creates a temporary one, as a part of list.
func openDirs(ctx context.Context, list *parts.List, cfg *Config) (*dirs, error) {
	d := &dirs{data: cfg.Data}
	if cfg.Demo {
		err := list.Open(ctx, parts.Part{
			Name: "the temporary directory of the demo",
			Open: func(context.Context) (err error) {
				if d.temp, err = os.MkdirTemp("", "vespo-demo-"); err != nil {
					return fmt.Errorf("make a temporary directory for the demo: %w", err)
				}
				return nil
			},
			Close: func(context.Context) error { return os.RemoveAll(d.temp) },
		})
		if err != nil {
			return nil, err
		}
		if d.data == "" {
			d.data = filepath.Join(d.temp, "data")
		}
	}
	if d.data == "" {
		d.data = defaultData
	}
	return d, nil
}
