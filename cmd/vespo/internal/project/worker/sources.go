package worker

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/project/atomicfile"
	"github.com/vespo-dev/vespo/internal/regular"
)

// Engine is the version of @bytecodealliance/componentize-js whose engine workers run in. The glue, and the program that
// makes components, are written for it.
const Engine = "0.23.0"

// sources are the glue, the program that makes components, and the interfaces that workers use.
//
//go:embed js
var sources embed.FS

// Part is a part of the sources.
type Part string

// The parts. Each has a directory of its own, since one engine is prepared for many versions of the glue.
const (
	Glue  Part = "js/glue"
	Tools Part = "js/tools"
)

// Digest returns a short digest of a part and the engine, for the name of a directory.
func (p Part) Digest() (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, Engine)
	err := p.each(func(name string, content []byte) error {
		fmt.Fprintf(hash, "%q %d\n%s", name, len(content), content)
		return nil
	})
	return hex.EncodeToString(hash.Sum(nil)[:8]), err
}

// Write writes a part into a directory. Files that are there already are left alone.
func (p Part) Write(dir string) error {
	return p.each(func(name string, content []byte) error {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Lstat(file); err == nil {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return atomicfile.Write(file, content)
	})
}

func (p Part) each(f func(name string, content []byte) error) error {
	return fs.WalkDir(sources, string(p), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := sources.ReadFile(name)
		if err != nil {
			return err
		}
		return f(strings.TrimPrefix(name, string(p)+"/"), content)
	})
}

// Entry returns the script that esbuild begins with: it lets the glue in the directory of the sources serve the project's
// script. ignored are files of the assets that have no effect.
func (s *Settings) Entry(project, glue string) (entry []byte, ignored []string, err error) {
	main, err := s.main(project)
	if err != nil {
		return nil, nil, err
	}
	config := map[string]any{"vars": s.Vars, "kv": s.KV, "services": s.hosts()}
	if a := s.Assets; a != nil {
		var files map[string]asset
		if files, ignored, err = readAssets(filepath.Join(project, a.Directory)); err != nil {
			return nil, nil, err
		}
		config["assets"] = map[string]any{"files": files, "binding": a.Binding, "notFound": a.NotFound, "workerFirst": a.WorkerFirst}
	}
	var b bytes.Buffer
	for _, line := range []struct{ imports, from string }{
		{"", filepath.Join(glue, "start.js")}, // before the worker is evaluated
		{"{ serve } from ", filepath.Join(glue, "serve.js")},
		{"* as worker from ", main},
	} {
		fmt.Fprintf(&b, "import %s%s;\n", line.imports, quoted(filepath.ToSlash(line.from)))
	}
	text, err := json.Marshal(config)
	fmt.Fprintf(&b, "serve(worker, %s);\n", text)
	return b.Bytes(), ignored, err
}

// quoted returns text as a string of JavaScript.
func quoted(text string) []byte {
	literal, _ := json.Marshal(text) // strings cannot fail
	return literal
}

func (s *Settings) hosts() map[string]string {
	hosts := map[string]string{}
	for name, service := range s.Services {
		hosts[name] = host(service)
	}
	return hosts
}

// main returns the path of the script.
func (s *Settings) main(project string) (string, error) {
	if s.Main != "" {
		file := filepath.Join(project, s.Main)
		f, err := regular.Open(file)
		if err != nil {
			return "", fmt.Errorf("worker.main: %w", err)
		}
		return file, f.Close()
	}
	for _, name := range Mains() {
		file := filepath.Join(project, filepath.FromSlash(name))
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file, nil
		}
	}
	return "", fmt.Errorf("there is no script: %s has none of %s, and vespo.json no worker.main", project, strings.Join(Mains(), ", "))
}
