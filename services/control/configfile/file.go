package configfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/internal/spelling"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/schema"
)

// maxFileBytes is the maximum size of a configuration file.
const maxFileBytes = 16 << 20

// Setting is a key of [server] with its value.
type Setting struct {
	Name  string
	Value string // in flag syntax: arrays are separated by commas
	Line  int
}

// Source is where a configuration file is, and what it may refer to.
type Source struct {
	Path    string
	Lookup  func(name string) (value string, ok bool) // returns the value of ${NAME}; nil: there are no variables
	Secrets []string                                  // settings that may be in files, because their values are never shown
	Check   func(fs.FileInfo) error                   // returns why the open file is refused; nil: it is not
}

// File is a parsed configuration file.
type File struct {
	Path     string
	Settings []Setting // by line
	source   Source
	services []service
	secrets  []string // paths of files that are values
	kinds    schema.Kinds
	known    []schema.Field // of all kinds
}

// open reads the text of the file.
func (s Source) open(kinds schema.Kinds) (*File, []byte, error) {
	if s.Lookup == nil {
		s.Lookup = func(string) (string, bool) { return "", false }
	}
	f := &File{Path: s.Path, source: s, kinds: kinds, known: kinds.Fields()}
	text, err := readFile(s.Path, maxFileBytes, s.Check)
	if err != nil {
		return f, nil, Violations{{File: s.Path, Text: err.Error()}}
	}
	return f, text, nil
}

// Read reads the file and its modules, none larger than maxModuleBytes. kinds are those of the server, with the fields of
// the middleware. The error is Violations. The returned
// File then holds everything that could be read.
func (s Source) Read(kinds schema.Kinds, maxModuleBytes int64) (*File, error) {
	f, text, err := s.open(kinds)
	if err != nil {
		return f, err
	}
	violations := f.parse(text)
	m := &modules{maxBytes: maxModuleBytes}
	m.describe(f.services)
	for i := range f.services {
		refused := f.services[i].readModule(f, m)
		f.services[i].refused = f.services[i].refused || len(refused) > 0
		violations = append(violations, refused...)
	}
	return f, violations.orNil()
}

// ReadSettings is like Read but ignores services.
func (s Source) ReadSettings() (*File, error) {
	f, text, err := s.open(nil)
	if err != nil {
		return f, err
	}
	tables, violations := f.tables(text)
	where := findLines(text)
	return f, append(violations, f.readSettings(tables[tableServer], where)...).orNil()
}

// Sound returns the file without the services that have violations.
func (f *File) Sound() *File {
	sound := *f
	sound.services = slices.DeleteFunc(slices.Clone(f.services), func(s service) bool { return s.refused })
	return &sound
}

// Specs returns the declared services, in the order of the file.
func (f *File) Specs() []services.Spec {
	specs := make([]services.Spec, 0, len(f.services))
	for _, s := range f.services {
		specs = append(specs, s.spec)
	}
	return specs
}

// Hows returns in which way new versions of the services get their requests.
func (f *File) Hows() map[routekey.Key]deploy.How {
	hows := make(map[routekey.Key]deploy.How, len(f.services))
	for _, s := range f.services {
		hows[s.spec.Key] = s.how
	}
	return hows
}

// Inputs returns the paths of all files that the settings and services depend on.
func (f *File) Inputs() []string {
	inputs := append([]string{f.Path}, f.secrets...)
	for _, s := range f.services {
		if s.module != "" {
			inputs = append(inputs, s.module)
		}
		inputs = append(inputs, s.use...)
	}
	return inputs
}

// At returns a violation at the line of a setting.
func (f *File) At(setting, format string, args ...any) Violation {
	v := Violation{File: f.Path, Text: fmt.Sprintf(format, args...)}
	for _, s := range f.Settings {
		if s.Name == setting {
			v.Line = s.Line
		}
	}
	return v
}

// Locate adds file and line to the failures of an Apply of Specs. It returns other errors unchanged.
func (f *File) Locate(err error) error {
	var refused *deploy.ApplyError
	if !errors.As(err, &refused) {
		return err
	}
	var violations Violations
	for _, failure := range refused.Failures {
		violations = append(violations, f.services[failure.Index].explain(f, failure.Err)...)
	}
	return violations.orNil()
}

func (f *File) violation(line int, format string, args ...any) Violation {
	return Violation{File: f.Path, Line: line, Text: fmt.Sprintf(format, args...)}
}

// topHint ends the text about an unknown key outside of the tables.
func topHint(name string) string {
	switch spelling.Near(name, []string{tableServer, tableService}) {
	case tableServer:
		return ", did you mean [server]?"
	case tableService:
		return ", did you mean [[service]]?"
	}
	return ": expected are [server], which has the settings, and [[service]]"
}

// parse parses the text. It does not read modules.
func (f *File) parse(text []byte) Violations {
	tables, violations := f.tables(text)
	if tables == nil {
		return violations
	}
	where := findLines(text)
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		if name != tableServer && name != tableService {
			violations = append(violations, f.violation(where.top[name], "unknown key %q%s", name, topHint(name)))
		}
	}
	violations = append(violations, f.readSettings(tables[tableServer], where)...)
	list, ok := tables[tableService].([]any)
	if !ok && tables[tableService] != nil {
		return append(violations, f.violation(where.top[tableService], "service is not a list of tables: write [[service]] before each"))
	}
	for i, one := range list {
		fields, ok := one.(map[string]any)
		if !ok {
			violations = append(violations, f.violation(where.top[tableService], "service is not a list of tables: write [[service]] before each"))
			continue
		}
		s, refused := f.readService(fields, where.ofService(i))
		s.refused = len(refused) > 0
		f.services, violations = append(f.services, s), append(violations, refused...)
	}
	return violations
}

// tables decodes the text, or returns nil if it is not TOML. An empty file is refused: it is probably about
// to be written.
func (f *File) tables(text []byte) (map[string]any, Violations) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, Violations{f.violation(0, "the file is empty; write a comment into it if nothing is to be served")}
	}
	var tables map[string]any
	err := toml.Unmarshal(bytes.TrimPrefix(text, []byte("\ufeff")), &tables) // some editors write a byte order mark
	var malformed *toml.DecodeError
	switch {
	case err == nil:
		return tables, nil
	case errors.As(err, &malformed):
		line, column := malformed.Position()
		return nil, Violations{f.violation(line, "not TOML at column %d: %s", column, malformed.Error())}
	}
	return nil, Violations{f.violation(0, "not TOML: %s", err)}
}

func (f *File) readSettings(table any, where lines) (violations Violations) {
	settings, ok := table.(map[string]any)
	if !ok && table != nil {
		return Violations{f.violation(where.top[tableServer], "server is not a table: write [server] before its settings")}
	}
	v := values{file: f, where: where.server, secret: func(name string) bool { return slices.Contains(f.source.Secrets, name) }}
	v.expand(settings)
	violations = append(violations, v.violations...)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if v.failed[name] {
			continue
		}
		s := Setting{Name: name, Line: where.server[name]}
		if s.Value, ok = settingText(settings[name]); !ok {
			violations = append(violations, f.violation(s.Line,
				"%s must be a string, a whole number, true or false, or an array of strings without commas", name))
			continue
		}
		f.Settings = append(f.Settings, s)
	}
	slices.SortStableFunc(f.Settings, func(a, b Setting) int { return a.Line - b.Line })
	return violations
}

// settingText returns a value in flag syntax.
func settingText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case bool:
		return strconv.FormatBool(v), true
	case []any:
		texts := make([]string, 0, len(v))
		for _, one := range v {
			text, ok := one.(string)
			if !ok || strings.Contains(text, ",") {
				return "", false
			}
			texts = append(texts, text)
		}
		return strings.Join(texts, ","), len(texts) > 0
	}
	return "", false
}

// Relative resolves a path of the file relative to the working directory.
func (f *File) Relative(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(f.Path), path)
}

// readFile reads a regular file, as readWhole does. check may refuse the open file, unless it is nil.
func readFile(path string, maxBytes int64, check func(fs.FileInfo) error) (text []byte, err error) {
	err = readWhole(path, maxBytes, check, func(from io.Reader, sizeBytes int64) (int64, error) {
		text = make([]byte, sizeBytes+1) // one more, to find that it grows
		n, err := io.ReadFull(from, text)
		text = text[:n]
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
		return int64(n), err
	})
	if err != nil {
		return nil, err
	}
	return text, nil
}

// readWhole has a regular file read, by a function that returns how many bytes there were. It returns an error if the file is modified
// during the read. Errors do not repeat the path, so that the caller can put it in front of them.
func readWhole(path string, maxBytes int64, check func(fs.FileInfo) error, read func(from io.Reader, sizeBytes int64) (int64, error)) error {
	file, err := regular.Open(path)
	switch {
	case errors.Is(err, regular.ErrSpecial):
		return errors.New("is not a file")
	case err != nil:
		return plain(err)
	}
	defer file.Close()
	before, err := file.Stat()
	switch {
	case err != nil:
		return plain(err)
	case !before.Mode().IsRegular():
		return errors.New("is not a file")
	case before.Size() > maxBytes:
		return fmt.Errorf("has %d bytes, at most %d are taken", before.Size(), maxBytes)
	}
	if check != nil {
		if err := check(before); err != nil {
			return err
		}
	}
	n, err := read(file, before.Size())
	if err != nil {
		return plain(err)
	}
	after, err := file.Stat()
	if err != nil {
		return plain(err)
	}
	if n != before.Size() || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return errors.New("was written to while it was read")
	}
	return nil
}

// plain removes the path from an error. The caller reports it already.
func plain(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
