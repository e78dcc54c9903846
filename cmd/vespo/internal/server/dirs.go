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
		if err := OpenTemp(ctx, list, "demo", &d.temp); err != nil {
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

// OpenTemp creates a temporary directory for a purpose, such as "demo", as a part of list, and sets dir to its path.
func OpenTemp(ctx context.Context, list *parts.List, purpose string, dir *string) error {
	return list.Open(ctx, parts.Part{
		Name: "the temporary directory vespo-" + purpose,
		Open: func(context.Context) (err error) {
			if *dir, err = os.MkdirTemp("", "vespo-"+purpose+"-"); err != nil {
				return fmt.Errorf("make the temporary directory vespo-%s-*: %w", purpose, err)
			}
			return nil
		},
		Always: true,
		Close:  func(context.Context) error { return os.RemoveAll(*dir) },
	})
}
