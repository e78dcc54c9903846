package project

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/project/worker"
	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/internal/tail"
	"github.com/vespo-dev/vespo/services/schema"
)

const enginePackage = "@bytecodealliance/componentize-js"

// javaScript bundles a worker with esbuild, and makes a component of the bundle.
type javaScript struct{}

func (javaScript) check(context.Context) error {
	if err := onPath("node", getNode); err != nil {
		return err
	}
	return onPath("npm", getNode)
}

func (javaScript) build(ctx context.Context, b *build) error {
	esbuild, err := installed(ctx, b)
	if err != nil {
		return err
	}
	tools, err := workerPart(b.dir, worker.Tools)
	if err != nil {
		return err
	}
	glue, err := workerPart(b.dir, worker.Glue)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp(tools, "build-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) // what is left of it is in a cache
	entry, bundle := filepath.Join(temp, "entry.js"), filepath.Join(temp, "worker.js")
	if err := writeEntry(b, glue, entry); err != nil {
		return err
	}
	args := []string{esbuild, entry, "--bundle", "--format=esm", "--platform=browser", "--target=es2023",
		"--conditions=workerd,worker", "--external:wasi:*", "--external:vespo:*",
		"--alias:cloudflare:workers=" + filepath.Join(glue, "workers.js"),
		"--loader:.html=text", "--loader:.txt=text", "--loader:.sql=text", "--log-level=warning", "--outfile=" + bundle}
	if err := bundled(ctx, b, command{args: append(args, b.flags...)}); err != nil {
		return err
	}
	// One tier of V8's compilers is enough for an engine that runs for a moment: a sixth of the time.
	return b.run(ctx, command{args: []string{"node", "--no-warnings", "--no-wasm-tier-up", "--no-wasm-dynamic-tiering",
		filepath.Join(tools, "componentize.mjs"), ".", bundle, b.outArg()}}, nil)
}

// bundled runs esbuild. Its own advice for modules of Node.js, --platform=node, leads to scripts that cannot run.
func bundled(ctx context.Context, b *build, esbuild command) error {
	output := tail.New(maxSettingsBytes)
	watched := *b
	watched.log = io.MultiWriter(b.log, output)
	err := watched.run(ctx, esbuild, nil)
	if err != nil && strings.Contains(output.String(), "is built into node") {
		return fmt.Errorf("%w: workers have no modules of Node.js: replace the import, or the package that needs it", err)
	}
	return err
}

func writeEntry(b *build, glue, file string) error {
	set := b.worker
	if set == nil {
		set = &worker.Settings{}
	}
	entry, ignored, err := set.Entry(b.dir, glue)
	if err != nil {
		return err
	}
	for _, name := range ignored {
		fmt.Fprintf(b.log, "%s of the assets has no effect: such files are not supported\n", name)
	}
	return os.WriteFile(file, entry, 0o644)
}

// installed returns the program esbuild. It installs the packages of the project if one is missing.
func installed(ctx context.Context, b *build) (esbuild string, err error) {
	for _, again := range []bool{true, false} {
		esbuild, version := inModules(b.dir, filepath.Join(".bin", esbuildName())), engineVersion(b.dir)
		switch {
		case esbuild != "" && version == worker.Engine:
			return esbuild, nil
		case version != "" && version != worker.Engine:
			return "", fmt.Errorf("%s is version %s, and this version of vespo builds with %s: %s", enginePackage, version, worker.Engine, addPackages)
		case again && nearest(b.dir, "package.json") != "":
			if err := b.run(ctx, npmInstall("--loglevel=error"), nil); err != nil {
				return "", err
			}
		}
	}
	return "", fmt.Errorf("the package.json of the project does not ask for both esbuild and %s: %s", enginePackage, addPackages)
}

// addPackages is how to get the packages that a build needs.
const addPackages = "run npm install --save-dev --save-exact " + enginePackage + "@" + worker.Engine +
	" @bytecodealliance/jco@1.35.0 @bytecodealliance/preview2-shim@0.26.0 esbuild@0.28.2"

func esbuildName() string {
	if runtime.GOOS == "windows" {
		return "esbuild.cmd"
	}
	return "esbuild"
}

// engineVersion returns the version of the installed engine, or "".
func engineVersion(dir string) string {
	file := inModules(dir, filepath.Join(filepath.FromSlash(enginePackage), "package.json"))
	text, err := regular.ReadFile(cmp.Or(file, os.DevNull), maxSettingsBytes)
	if err != nil {
		return ""
	}
	var manifest struct {
		Version string `json:"version"`
	}
	_ = json.Unmarshal(text, &manifest) // no version is one that does not fit
	return manifest.Version
}

// inModules returns a file below node_modules of a directory or the nearest of its parents, or "".
func inModules(dir, name string) string { return nearest(dir, filepath.Join("node_modules", name)) }

// nearest returns a file below a directory or the nearest of its parents, or "".
func nearest(dir, name string) string {
	for {
		file := filepath.Join(dir, name)
		if isFile(file) {
			return file
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// workerPart returns a directory with a part of the sources; that of the tools has the engine, too, once it is prepared.
// All projects of a user share it. Without a directory for caches, each project has its own.
func workerPart(project string, part worker.Part) (string, error) {
	digest, err := part.Digest()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = filepath.Join(project, "node_modules", ".cache")
	}
	dir := filepath.Join(cache, "vespo", path.Base(string(part))+"-"+digest)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, part.Write(dir)
}

// withBindings returns the fields of a service with what the bindings of a worker need: permission to call services, and
// key-value stores.
func withBindings(values schema.Values, set *worker.Settings) schema.Values {
	if set == nil {
		return values
	}
	merged := maps.Clone(values)
	for field, needed := range map[string][]string{"allow": set.Origins(), "kv": set.Stores()} {
		listed, _ := merged[field].([]string)
		for _, one := range needed {
			if !slices.Contains(listed, one) {
				listed = append(slices.Clone(listed), one)
			}
		}
		if len(listed) > 0 {
			merged[field] = listed
		}
	}
	return merged
}

// dependsOn returns the first of the packages that a package.json depends on, or "".
func dependsOn(file string, names ...string) (string, error) {
	text, err := regular.ReadFile(file, maxSettingsBytes)
	if err != nil {
		return "", err
	}
	var manifest struct {
		Dependencies    map[string]string `json:"dependencies"`
		DevDependencies map[string]string `json:"devDependencies"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	for _, name := range names {
		if manifest.Dependencies[name] != "" || manifest.DevDependencies[name] != "" {
			return name, nil
		}
	}
	return "", nil
}
