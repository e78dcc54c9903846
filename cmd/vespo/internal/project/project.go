package project

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/project/worker"
	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/internal/spelling"
	"github.com/vespo-dev/vespo/services/schema"
)

// settingsFile is the name of the file with a project's settings.
const settingsFile = "vespo.json"

// settings is the content of settingsFile. All members are optional.
type settings struct {
	// Prefix is the path prefix to deploy under. If empty, it is the name of the directory.
	Prefix string `json:"prefix"`
	// Toolchain is a key of toolchains. If empty, the project's files determine the toolchain.
	Toolchain string `json:"toolchain"`
	// Flags are added to the compiler's command, before its arguments.
	Flags []string `json:"flags"`
	// Service has fields of the service, as in the management API.
	Service map[string]json.RawMessage `json:"service"`
	// Worker describes the script and the bindings of a JavaScript worker.
	Worker *worker.Settings `json:"worker"`
}

// Project is a directory with the sources of one service. It is immutable.
type Project struct {
	dir       string // absolute
	prefix    string // of the settings; "" if they have none
	toolchain toolchain
	flags     []string
	service   schema.Values // of the settings
	worker    *worker.Settings
}

// toolchain compiles projects of one language.
type toolchain interface {
	// check returns a *MissingError if this machine lacks a tool that build needs.
	check(ctx context.Context) error
	// build compiles b.dir into the file b.out.
	build(ctx context.Context, b *build) error
}

// toolchains returns all toolchains, by their names in vespo.json.
func toolchains() map[string]toolchain {
	return map[string]toolchain{
		"assemblyscript": assemblyScript{},
		"c":              clang{},
		"go":             golang{},
		"rust":           rust{},
		"tinygo":         tinyGo{},
		"worker":         javaScript{},
	}
}

// Open returns the project in dir, with its toolchain determined.
func Open(dir string) (*Project, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	switch info, err := os.Stat(abs); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no directory %s; \"vespo new\" makes a project", dir)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s is a file: give the directory of a project", dir)
	}
	set, err := readSettings(abs)
	if err != nil {
		return nil, err
	}
	name := set.Toolchain
	if name == "" {
		if name, err = detect(abs); err != nil {
			return nil, err
		}
	}
	if name == "" {
		return nil, noProject(dir)
	}
	compiles := toolchains()[name]
	if name == "rust" && asksForWASI2(abs) {
		compiles = rust{target: wasi2}
	}
	switch has, err := hasComponentScript(abs); {
	case err != nil:
		return nil, err
	case has:
		compiles = componentized{compiles}
	}
	service, err := parseService(set.Service)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(abs, settingsFile), err)
	}
	return &Project{
		dir:       abs,
		prefix:    set.Prefix,
		toolchain: compiles,
		flags:     set.Flags,
		service:   withBindings(service, set.Worker),
		worker:    set.Worker,
	}, nil
}

// name returns the name of the project: that of its directory.
func (p *Project) name() string {
	name := filepath.Base(p.dir)
	if name == string(filepath.Separator) {
		name = "service"
	}
	return name
}

// ModuleName returns the default file name of the module, after the project.
func (p *Project) ModuleName() string { return p.name() + ".wasm" }

// Prefix returns the path prefix that the project is deployed under: that of its settings or, by default, its name.
func (p *Project) Prefix() (string, error) {
	prefix, err := routekey.ParsePrefix(cmp.Or(p.prefix, p.name()))
	if err != nil {
		return "", fmt.Errorf("%w; set prefix in %s, or give one", err, settingsFile)
	}
	return string(prefix), nil
}

// Check returns a *MissingError if this machine lacks a tool that compiles the project.
func (p *Project) Check(ctx context.Context) error { return p.toolchain.check(ctx) }

// Build compiles the project into the file out. It writes the commands and their output to log.
func (p *Project) Build(ctx context.Context, out string, log io.Writer) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	if err := p.Check(ctx); err != nil {
		return err
	}
	return p.toolchain.build(ctx, &build{dir: p.dir, out: out, flags: p.flags, worker: p.worker, log: log})
}

// detect returns the name of the toolchain for the files of a directory, or "" if there is none.
func detect(dir string) (string, error) {
	has := func(pattern string) bool {
		found, _ := filepath.Glob(filepath.Join(escape(dir), pattern)) // the only error is a malformed pattern
		return len(found) > 0
	}
	switch {
	case has("go.mod"), has("*.go"):
		return detectGo(dir)
	case has("Cargo.toml"):
		return "rust", nil
	case has("package.json"):
		switch asks, err := dependsOn(filepath.Join(dir, "package.json"), "assemblyscript", enginePackage); {
		case err != nil:
			return "", err
		case asks == enginePackage:
			return "worker", nil
		case asks != "":
			return "assemblyscript", nil
		}
	}
	if has("*.c") {
		return "c", nil
	}
	return "", nil
}

// escape returns a glob pattern that matches path alone.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// maxSettingsBytes is the size limit of vespo.json, package.json and go.mod.
const maxSettingsBytes = 1 << 20

// readSettings reads settingsFile. Without the file, the settings are empty.
func readSettings(dir string) (settings, error) {
	file := filepath.Join(dir, settingsFile)
	text, err := regular.ReadFile(file, maxSettingsBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return settings{}, nil
	} else if err != nil {
		return settings{}, err
	}
	var s settings
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(&s)
	if err == nil && !errors.Is(decoder.Decode(&struct{}{}), io.EOF) {
		err = errors.New("there is more text behind the JSON object")
	}
	if err != nil {
		return settings{}, fmt.Errorf("%s%s: %w", file, lineOf(text, err), withMembers(err))
	}
	if s.Worker != nil {
		if err := s.Worker.Check(); err != nil {
			return settings{}, fmt.Errorf("%s: %w", file, err)
		}
	}
	all := toolchains()
	if s.Toolchain != "" && all[s.Toolchain] == nil {
		return settings{}, fmt.Errorf("%s: toolchain is %q: it must be one of %s", file, s.Toolchain,
			strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	return s, nil
}

// lineOf returns the line of an error in a JSON text, such as ":3", or "" if it is not known.
func lineOf(text []byte, err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	offset := int64(0)
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	case errors.Is(err, io.ErrUnexpectedEOF):
		offset = int64(len(bytes.TrimSpace(text)))
	default:
		return ""
	}
	return fmt.Sprintf(":%d", 1+bytes.Count(text[:min(int(offset), len(text))], []byte("\n")))
}

// withMembers returns an error of the settings in words. To the one about an unknown member it adds which one may be meant, or
// which ones there are.
func withMembers(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("is empty: write {} for no settings")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON object has no end")
	}
	quoted, unknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	if !unknown {
		return err
	}
	members := append([]string{"prefix", "toolchain", "flags", "service", "worker"}, worker.Members()...)
	if name, _ := strconv.Unquote(quoted); spelling.Near(name, members) != "" {
		return fmt.Errorf("%w%s", err, spelling.Hint(name, members))
	}
	return fmt.Errorf("%w: the members are prefix, toolchain, flags, service with fields such as timeout, and worker", err)
}

// noProject is the error for a directory without a project. "vespo add" tells it from the errors of a project.
type noProject string

// NoProject reports that there is no project.
func (noProject) NoProject() bool { return true }

// Error returns what a project has.
func (dir noProject) Error() string {
	return fmt.Sprintf("%s is no project: it has neither go.mod nor *.go, Cargo.toml, a package.json that asks for assemblyscript or "+
		"componentize-js, *.c, or a %s; \"vespo new\" makes one", string(dir), settingsFile)
}
