package tokens

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/durable"
)

const fileName = "tokens.json"

// maxFileBytes is more than MaxTokens can take.
const maxFileBytes = 64 << 20

// Format of the file.
const (
	formatName    = "vespo tokens"
	formatVersion = 1
)

// stored is a token in the file.
type stored struct {
	Info
	Digest digest `json:"sha256"`
}

// document is the file.
type document struct {
	Format  string   `json:"format"`
	Version int      `json:"version"`
	Tokens  []stored `json:"tokens"`
}

// file is the file of a Store. Its methods must not be called concurrently.
type file struct{ *durable.Document }

// openFile opens the file, and returns what it has. A file that no server has written is set aside: damage says why.
// One of a newer version is an error: a start without its tokens would be a surprise, and would overwrite them.
func openFile(fsys durable.FS) (f *file, kept []stored, damage, err error) {
	d, damage, err := durable.OpenDocument(fsys, fileName, maxFileBytes, func(data []byte) (err error) {
		kept, err = decode(data)
		return err
	})
	if damage != nil {
		damage = fmt.Errorf("%w, and no token of it is accepted", damage)
	}
	return &file{d}, kept, damage, err
}

func decode(data []byte) ([]stored, error) {
	var header struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(data, &header); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", fileName, err)
	}
	switch {
	case header.Format != formatName || header.Version < 1:
		return nil, fmt.Errorf("%s is %.40q, version %d: it is not a file of tokens", fileName, header.Format, header.Version)
	case header.Version > formatVersion:
		return nil, fmt.Errorf("%s has version %d of its format, and this program reads up to %d: %w", fileName, header.Version, formatVersion, durable.ErrNewer)
	}
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", fileName, err)
	}
	return d.Tokens, nil
}

// write replaces the file. The new one is durable when write returns nil.
func (f *file) write(entries map[digest]*entry) error {
	d := document{Format: formatName, Version: formatVersion, Tokens: make([]stored, 0, len(entries))}
	for _, e := range entries {
		d.Tokens = append(d.Tokens, stored{Info: e.current(), Digest: e.digest})
	}
	slices.SortFunc(d.Tokens, func(a, b stored) int { return strings.Compare(a.Name, b.Name) })
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return f.Write(data)
}
