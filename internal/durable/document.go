package durable

import (
	"errors"
	"fmt"
	"io/fs"
)

// Directories beside a Document.
const (
	documentTmp   = "tmp"
	documentAside = "aside"
)

// ErrNewer is matched by the error of a decoder that leaves a file alone, because a newer program has written it.
var ErrNewer = errors.New("use the newer program")

// Document is a file in an FS of its own. Each write replaces all of it. Its methods must not be called concurrently.
type Document struct {
	files *Files
	name  string
}

// OpenDocument opens a file, and calls decode with its content; without a file, decode is not called. A file of more than most
// bytes, or that decode refuses, is set aside, and damage says why. If the error of decode matches ErrNewer, the file stays,
// and OpenDocument returns that error.
func OpenDocument(fsys FS, name string, most int64, decode func(data []byte) error) (d *Document, damage, err error) {
	for _, dir := range []string{documentTmp, documentAside} {
		if err := fsys.MkdirAll(dir); err != nil {
			return nil, nil, err
		}
	}
	d = &Document{files: NewFiles(fsys, documentTmp, documentAside), name: name}
	if err := d.files.EmptyTmp(); err != nil {
		return nil, nil, err
	}
	data, err := fsys.ReadFile(name, most)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil, nil
	}
	if err == nil {
		err = decode(data)
	}
	switch {
	case err == nil:
		return d, nil, fsys.SyncDir(".") // a dead process may have renamed without a sync
	case errors.Is(err, ErrNewer):
		return nil, nil, err
	}
	to, asideErr := d.files.SetAside(".", name)
	if asideErr != nil {
		return nil, nil, errors.Join(err, asideErr)
	}
	return d, fmt.Errorf("%w; the file is now %s", err, to), nil
}

// Write replaces the file. The new one is durable when Write returns nil.
func (d *Document) Write(data []byte) error { return d.files.Write(d.name, data) }
