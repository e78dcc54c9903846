package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/durable"
)

// Names in the directory.
const (
	fileName = "tokens.json"
	fileDir  = "."
	tmpDir   = "tmp"
	asideDir = "aside"
)

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
type file struct {
	files *durable.Files
}

// openFile opens the file, and returns what it has. A file that no server has written is set aside: damage says why.
// One of a newer version is an error: a start without its tokens would be a surprise, and would overwrite them.
func openFile(fsys durable.FS) (f *file, kept []stored, damage, err error) {
	for _, dir := range []string{tmpDir, asideDir} {
		if err := fsys.MkdirAll(dir); err != nil {
			return nil, nil, nil, err
		}
	}
	f = &file{files: durable.NewFiles(fsys, tmpDir, asideDir)}
	if err := f.files.EmptyTmp(); err != nil {
		return nil, nil, nil, err
	}
	data, err := fsys.ReadFile(fileName, maxFileBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil, nil, nil
	case err == nil:
		kept, err = decode(data)
	}
	var newer *newerError
	switch {
	case err == nil:
		return f, kept, nil, fsys.SyncDir(fileDir) // a dead process may have renamed without a sync
	case errors.As(err, &newer):
		return nil, nil, nil, err
	}
	to, asideErr := f.files.SetAside(fileDir, fileName)
	if asideErr != nil {
		return nil, nil, nil, errors.Join(err, asideErr)
	}
	return f, nil, fmt.Errorf("%w; the file is now %s, and no token of it is accepted", err, to), nil
}

// newerError is the error of a file that a newer server has written.
type newerError struct{ version int }

func (e *newerError) Error() string {
	return fmt.Sprintf("%s has version %d of its format, and this program reads up to %d: use the newer program", fileName, e.version, formatVersion)
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
		return nil, &newerError{version: header.Version}
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
	return f.files.Write(fileName, data)
}
