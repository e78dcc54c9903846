package project

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

// sources are the templates' files. A file that ends with .tmpl is a text/template; the suffix also
// keeps the go command from taking it for a part of this module. A file gitignore becomes .gitignore.
//
//go:embed templates
var sources embed.FS

// kind is a template.
type kind struct {
	name   string
	layers []string // directories in templates; later ones replace files of earlier ones
	sdk    bool     // needs the guest SDK
}

func kinds() []kind {
	return []kind{
		{name: "go", layers: []string{"go"}, sdk: true},
		{name: "tinygo", layers: []string{"go", "tinygo"}, sdk: true},
		{name: "go-nethttp", layers: []string{"go", "go-nethttp"}, sdk: true},
		{name: "c", layers: []string{"c"}},
		{name: "rust", layers: []string{"rust"}},
		{name: "cgi-go", layers: []string{"cgi-go"}},
		{name: "assemblyscript", layers: []string{"assemblyscript"}},
		{name: "go-component", layers: []string{"component", "go-component"}},
		{name: "tinygo-component", layers: []string{"component", "go-component", "tinygo-component"}},
		{name: "c-component", layers: []string{"component", "c-component"}},
		{name: "rust-component", layers: []string{"component", "rust-component"}},
		{name: "js", layers: []string{"worker", "js"}},
		{name: "ts", layers: []string{"worker", "ts"}},
	}
}

// Templates returns the names of all templates.
func Templates() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,61}[a-z0-9]$|^[a-z]$`)

// CheckName returns an error if name is not a valid project name. It becomes
// the name of a directory and, in Go, Rust and JavaScript, of a package.
func CheckName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("the name is %q: it must be of lower-case letters, digits and hyphens, "+
			"begin with a letter, not end with a hyphen, and have at most 63 characters", name)
	}
	return nil
}

// Create creates a project from a template in a directory: a new one, whose parents are created as well, or an empty
// one. The last element of the path is the name of the project. Create returns the name. If it fails, it removes what it
// has created.
func Create(path, template string) (name string, err error) {
	dir, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	name = filepath.Base(dir)
	if err := CheckName(name); err != nil {
		return "", err
	}
	i := slices.IndexFunc(kinds(), func(k kind) bool { return k.name == template })
	if i < 0 {
		return "", fmt.Errorf("there is no template %q, but %s", template, strings.Join(Templates(), ", "))
	}
	files, err := kinds()[i].files(name)
	if err != nil {
		return "", err
	}
	undo, err := makeEmpty(dir)
	if err != nil {
		return "", err
	}
	if err := write(dir, files); err != nil {
		return "", errors.Join(err, undo())
	}
	return name, nil
}

// makeEmpty makes sure that there is an empty directory at dir. undo removes everything that is in it, and the
// directories that were created.
func makeEmpty(dir string) (undo func() error, err error) {
	content, err := os.ReadDir(dir)
	switch {
	case err == nil && len(content) > 0:
		return nil, fmt.Errorf("%s is not empty and was left alone: choose another directory", dir)
	case err == nil:
		return func() error { return clearDir(dir) }, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	first := dir // the uppermost directory to be created
	for parent := filepath.Dir(first); parent != first; parent = filepath.Dir(first) {
		if _, err := os.Lstat(parent); err == nil {
			break
		}
		first = parent
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return func() error { return os.RemoveAll(first) }, nil
}

// clearDir removes the content of a directory.
func clearDir(dir string) error {
	content, err := os.ReadDir(dir)
	errs := []error{err}
	for _, e := range content {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}

// write writes files, keyed by slash-separated paths, into a new directory.
func write(dir string, files map[string][]byte) error {
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// files returns the files of a project, by slash-separated paths.
func (k kind) files(project string) (map[string][]byte, error) {
	files := map[string][]byte{}
	if k.sdk {
		for name, content := range sdk() {
			files[path.Join(sdkDir, name)] = content
		}
	}
	for _, layer := range k.layers {
		root := path.Join("templates", layer)
		err := fs.WalkDir(sources, root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, content, err := render(file, project)
			files[strings.TrimPrefix(name, root+"/")] = content
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// render returns the name and content that a template's file has in a project.
func render(file, project string) (name string, content []byte, err error) {
	text, err := sources.ReadFile(file)
	if err != nil {
		return "", nil, err
	}
	if path.Base(file) == "gitignore" {
		return path.Join(path.Dir(file), ".gitignore"), text, nil
	}
	name, isTemplate := strings.CutSuffix(file, ".tmpl")
	if !isTemplate {
		return name, text, nil
	}
	parsed, err := template.New(file).Parse(string(text))
	if err != nil {
		return "", nil, err
	}
	var b bytes.Buffer
	err = parsed.Execute(&b, struct{ Name string }{project})
	return name, b.Bytes(), err
}
