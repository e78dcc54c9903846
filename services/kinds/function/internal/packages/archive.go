package packages

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/internal/durable"
)

// Limits of an archive, the same as Lambda's.
const (
	maxBytes = 250 << 20 // unpacked
	maxFiles = 10_000
)

// Bootstrap is the name of the program in an archive.
const Bootstrap = "bootstrap"

// Modes of unpacked files.
const (
	programMode fs.FileMode = 0o755
	otherMode   fs.FileMode = 0o644
)

// errTooLarge is returned for a file that is larger than the rest of the limit.
var errTooLarge = errors.New("larger than the limit")

// Invalid is the error for archives that cannot be unpacked. Its text may be sent to the client.
type Invalid string

func (e Invalid) Error() string { return string(e) }

func invalid(format string, args ...any) error { return Invalid(fmt.Sprintf(format, args...)) }

// Archive is a zip archive.
type Archive struct {
	files []*zip.File
}

// Open reads the list of files of an archive, and checks it as far as that is possible without their contents.
func Open(archive []byte) (*Archive, error) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, invalid("the archive cannot be unzipped")
	}
	if len(r.File) > maxFiles {
		return nil, invalid("the archive holds more than %d files", maxFiles)
	}
	a := &Archive{files: r.File}
	for _, f := range r.File {
		mode := f.Mode()
		if !filepath.IsLocal(localName(f)) || !mode.IsRegular() && !mode.IsDir() {
			return nil, invalid("the archive holds %.100q, which is no file below its root", f.Name)
		}
	}
	return a, a.checkProgram()
}

// entryName returns the name of a file in an archive. Archives made on Windows separate directories by backslashes.
func entryName(f *zip.File) string { return strings.ReplaceAll(f.Name, `\`, "/") }

// localName returns the name as a path of the operating system.
func localName(f *zip.File) string {
	return filepath.FromSlash(strings.TrimSuffix(entryName(f), "/"))
}

// checkProgram returns an error if the archive has no program, or a script whose first line ends in CR LF: no system
// finds an interpreter whose name ends in CR.
func (a *Archive) checkProgram() error {
	var program *zip.File
	for _, f := range a.files {
		if entryName(f) == Bootstrap {
			program = f
		}
	}
	if program == nil {
		return invalid("the archive holds no program called %s", Bootstrap)
	}
	from, err := program.Open()
	if err != nil {
		return unreadable(program, err)
	}
	defer from.Close()
	begin := make([]byte, 256)
	n, _ := io.ReadFull(from, begin) // read errors are reported by the extraction
	line, _, ended := bytes.Cut(begin[:n], []byte("\n"))
	if ended && bytes.HasPrefix(line, []byte("#!")) && bytes.HasSuffix(line, []byte("\r")) {
		return invalid("the first line of bootstrap ends in CR LF, so that its interpreter is not found: write it with LF line ends")
	}
	return nil
}

func unreadable(f *zip.File, err error) error {
	return invalid("the archive's %.100q cannot be read: %s", f.Name, err)
}

// extract writes all files below a new directory. They are durable when it returns.
func (a *Archive) extract(fsys durable.FS, directory string, maxBytes int64) error {
	if err := fsys.MkdirAll(directory); err != nil {
		return err
	}
	changed := map[string]bool{directory: true}
	left := maxBytes
	for _, f := range a.files {
		name := directory + "/" + path.Clean(filepath.ToSlash(localName(f)))
		if f.Mode().IsDir() || strings.HasSuffix(entryName(f), "/") {
			if err := fsys.MkdirAll(name); err != nil {
				return asInvalid(f, err)
			}
			continue
		}
		n, err := extractFile(fsys, f, name, left)
		if errors.Is(err, errTooLarge) {
			return invalid("the unpacked archive is larger than %d bytes", maxBytes)
		}
		if err != nil {
			return err
		}
		left -= n
		changed[path.Dir(name)] = true
	}
	for dir := range changed {
		if err := fsys.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// extractFile writes one file and returns its size. A file of the same name, which came before, is replaced.
func extractFile(fsys durable.FS, f *zip.File, name string, leftBytes int64) (int64, error) {
	if err := fsys.MkdirAll(path.Dir(name)); err != nil {
		return 0, asInvalid(f, err)
	}
	mode := otherMode
	if entryName(f) == Bootstrap || f.Mode()&0o111 != 0 {
		mode = programMode
	}
	to, err := fsys.Create(name, mode)
	if errors.Is(err, fs.ErrExist) {
		if err = fsys.Remove(name); err == nil {
			to, err = fsys.Create(name, mode)
		}
	}
	if err != nil {
		return 0, asInvalid(f, err)
	}
	n, err := copyEntry(to, f, leftBytes)
	if err == nil {
		err = to.Sync()
	}
	return n, errors.Join(err, to.Close())
}

// asInvalid returns the error of an archive in which a name is both a file and a directory.
func asInvalid(f *zip.File, err error) error {
	if errors.Is(err, fs.ErrExist) || isNotDirectory(err) {
		return invalid("the archive holds %.100q as a file and as a directory", f.Name)
	}
	return err
}

// copyEntry copies the content of a file. The size that the archive declares is not trusted.
func copyEntry(to io.Writer, f *zip.File, leftBytes int64) (int64, error) {
	from, err := f.Open()
	if err != nil {
		return 0, unreadable(f, err)
	}
	defer from.Close()
	source := &source{from: io.LimitReader(from, leftBytes+1)}
	n, err := io.Copy(to, source)
	switch {
	case source.err != nil:
		return n, unreadable(f, source.err)
	case err != nil:
		return n, err
	case n > leftBytes:
		return n, errTooLarge
	}
	return n, nil
}

// source remembers the error of a reader, which io.Copy does not tell from that of the writer.
type source struct {
	from io.Reader
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
