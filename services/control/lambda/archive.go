package lambda

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
)

// Limits of a code package, the same as Lambda's.
const (
	maxPackageBytes  = 250 << 20 // unpacked
	maxPackageFiles  = 10_000
	moduleExtension  = ".wasm"
	permissionsOfAll = 0o755
)

// entryName returns the name of a file in an archive. Archives
// made on Windows separate directories by backslashes.
func entryName(f *zip.File) string { return strings.ReplaceAll(f.Name, `\`, "/") }

// unpack fills spec from the archive. It holds either a module, which becomes a
// function if it is a command, or a program, which is written to disk. Settings
// that spec has from the replaced version are kept if they apply to the new code.
func (h *Handler) unpack(archive []byte, spec *services.Spec, s *settings) error {
	files, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
	}
	var module, program *zip.File
	for _, f := range files.File {
		switch name := entryName(f); {
		case path.Ext(name) == moduleExtension && module == nil:
			module = f
		case path.Ext(name) == moduleExtension:
			return invalid("the archive holds more than one module: %.100q and %.100q", module.Name, f.Name)
		case name == function.Bootstrap:
			program = f
		}
	}
	switch {
	case module != nil:
		return h.useModule(module, spec, s)
	case program == nil:
		return invalid("the archive holds neither a module (*.wasm) nor a program called bootstrap; other runtimes are not there")
	}
	return h.useProgram(archive, files, program, spec, s)
}

func (h *Handler) useModule(f *zip.File, spec *services.Spec, s *settings) error {
	if f.UncompressedSize64 > maxPackageBytes {
		return tooLarge(maxPackageBytes)
	}
	module, err := readEntry(f, maxPackageBytes)
	if err != nil {
		return err
	}
	spec.Blobs = append(middlewareOf(spec), services.Module(module)...)
	kinds := []string{wasm.FunctionKindName, wasm.KindName}
	if spec.Kind == wasm.KindName { // a service stays a service, even if its new module could be a function
		slices.Reverse(kinds)
	}
	if spec.Kind != wasm.KindName && spec.Kind != wasm.FunctionKindName {
		spec.Manifest = shared(spec.Manifest, wasm.Description())
	}
	for _, kind := range kinds {
		as := *spec
		as.Kind = kind
		s.apply(&as)
		if h.validate(as) == nil {
			*spec = as
			return nil
		}
	}
	spec.Kind = kinds[0]
	s.apply(spec)
	return nil // the deployment reports the error
}

// middlewareOf returns the blobs of the middleware of spec.
func middlewareOf(spec *services.Spec) []services.Blob {
	return slices.DeleteFunc(slices.Clone(spec.Blobs), func(b services.Blob) bool { return b.Field != schema.FieldUse })
}

// shared returns the fields of a manifest that another kind has too, and the settings of the middleware.
func shared(m registry.Manifest, kind schema.Kind) registry.Manifest {
	names := []string{schema.FieldUseConfig}
	for _, f := range (schema.Kinds{kind}).Fields() {
		names = append(names, f.Name)
	}
	return schema.Pick(m, names...)
}

// useProgram writes the archive's files to disk and makes the program the
// worker of the function. It first checks that programs may be started.
func (h *Handler) useProgram(archive []byte, files *zip.Reader, program *zip.File, spec *services.Spec, s *settings) error {
	if h.cfg.Directory == "" {
		return invalid("this server has no place for programs")
	}
	if err := checkScript(program); err != nil {
		return err
	}
	doc, err := asProgram(spec, s)
	if err != nil {
		return err
	}
	settings := schema.Pick(spec.Manifest, schema.FieldUseConfig)
	use := func(doc function.Document) { spec.Manifest = schema.Merge(doc.Encode(), settings) }
	spec.Kind, spec.Blobs = function.KindName, middlewareOf(spec)
	// Validate with a program that certainly exists, so that only
	// callers with permission to start programs can write files.
	self, err := os.Executable()
	if err != nil {
		return err
	}
	doc.Exec, doc.Package = self, ""
	use(doc)
	if err := h.validate(*spec); err != nil {
		return err
	}
	sum := sha256.Sum256(archive)
	doc.Exec, doc.Package = "", hex.EncodeToString(sum[:])
	if err := extract(files, filepath.Join(PackagesIn(h.cfg.Directory), doc.Package)); err != nil {
		return err
	}
	use(doc)
	return nil
}

// asProgram returns the document of a function with a program. It keeps processes, concurrency and arguments of an
// earlier program, and what the kinds have in common.
func asProgram(spec *services.Spec, s *settings) (function.Document, error) {
	names := []string{schema.FieldTimeout, "config"}
	if spec.Kind == function.KindName {
		if old, err := documentOf(*spec); err == nil && old.Program() {
			names = append(names, "exec", "exec_arg", "package", "processes", "worker_concurrency", "memory_size", "handler")
		}
	}
	as := services.Spec{Kind: function.KindName, Manifest: schema.Pick(spec.Manifest, names...)}
	s.apply(&as)
	doc, err := function.Decode(as.Manifest)
	s.applyTo(&doc)
	return doc, err
}

// checkScript rejects a script whose first line ends in CR
// LF: no system finds an interpreter whose name ends in CR.
func checkScript(program *zip.File) error {
	from, err := program.Open()
	if err != nil {
		return invalid("the archive's %.100q cannot be read: %s", program.Name, err)
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

// extract writes an archive's files into a directory. The directory appears complete or not at all.
func extract(files *zip.Reader, directory string) error {
	if _, err := os.Stat(directory); err == nil {
		return nil // its name is the digest of its content
	}
	if err := os.MkdirAll(filepath.Dir(directory), 0o700); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(directory), "new-")
	if err != nil {
		return err
	}
	root, err := regular.OpenRoot(temp)
	if err != nil {
		return err
	}
	err = errors.Join(extractInto(root, files), root.Close())
	if err == nil {
		err = os.Rename(temp, directory)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return nil
}

// extractInto writes the files below root. Links and paths outside
// of root are rejected, and os.Root would not follow them either.
func extractInto(root *os.Root, files *zip.Reader) error {
	if len(files.File) > maxPackageFiles {
		return invalid("the archive holds more than %d files", maxPackageFiles)
	}
	left := int64(maxPackageBytes)
	for _, f := range files.File {
		entry := entryName(f)
		name := filepath.FromSlash(strings.TrimSuffix(entry, "/"))
		switch mode := f.Mode(); {
		case !filepath.IsLocal(name) || !mode.IsRegular() && !mode.IsDir():
			return invalid("the archive holds %.100q, which is no file below its root", f.Name)
		case mode.IsDir() || strings.HasSuffix(entry, "/"):
			if err := root.MkdirAll(name, permissionsOfAll); err != nil {
				return err
			}
			continue
		}
		content, err := readEntry(f, left)
		if err != nil {
			return err
		}
		left -= int64(len(content))
		permissions := os.FileMode(0o644)
		if entry == function.Bootstrap || f.Mode()&0o111 != 0 {
			permissions = permissionsOfAll
		}
		if err := errors.Join(root.MkdirAll(filepath.Dir(name), permissionsOfAll), root.WriteFile(name, content, permissions)); err != nil {
			return err
		}
	}
	return nil
}

// readEntry reads a file of an archive. The size that the archive declares is not trusted.
func readEntry(f *zip.File, limitBytes int64) ([]byte, error) {
	from, err := f.Open()
	if err != nil {
		return nil, invalid("the archive's %.100q cannot be read: %s", f.Name, err)
	}
	defer from.Close()
	content, err := io.ReadAll(io.LimitReader(from, limitBytes+1))
	switch {
	case err != nil:
		return nil, invalid("the archive's %.100q cannot be read: %s", f.Name, err)
	case int64(len(content)) > limitBytes:
		return nil, invalid("Unzipped size must be smaller than %d bytes", maxPackageBytes)
	}
	return content, nil
}
