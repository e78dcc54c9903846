package lambda

import (
	"archive/zip"
	"bytes"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
)

const (
	maxPackageBytes = 250 << 20 // of an unpacked module; Lambda's limit of a code package
	moduleExtension = ".wasm"
)

// entryName returns the name of a file in an archive. Archives
// made on Windows separate directories by backslashes.
func entryName(f *zip.File) string { return strings.ReplaceAll(f.Name, `\`, "/") }

// unpack fills spec from the archive. It holds either a module, which becomes a
// function if it is a command, or a program. Settings that spec has from the replaced version are kept if they apply to the new code.
func (h *Handler) unpack(archive []byte, spec *services.Spec, s *settings) error {
	files, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
	}
	var module *zip.File
	program := false
	for _, f := range files.File {
		switch name := entryName(f); {
		case path.Ext(name) == moduleExtension && module == nil:
			module = f
		case path.Ext(name) == moduleExtension:
			return invalid("the archive holds more than one module: %.100q and %.100q", module.Name, f.Name)
		case name == function.Bootstrap:
			program = true
		}
	}
	switch {
	case module != nil:
		return h.useModule(module, spec, s)
	case !program:
		return invalid("the archive holds neither a module (*.wasm) nor a program called bootstrap; other runtimes are not there")
	}
	return h.useProgram(archive, spec, s)
}

func (h *Handler) useModule(f *zip.File, spec *services.Spec, s *settings) error {
	if f.UncompressedSize64 > maxPackageBytes {
		return tooLarge(maxPackageBytes)
	}
	module, err := readEntry(f, maxPackageBytes)
	if err != nil {
		return err
	}
	spec.Blobs = append(spec.Middleware(), services.Module(module)...)
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

// shared returns the fields of a manifest that another kind has too, and the settings of the middleware.
func shared(m registry.Manifest, kind schema.Kind) registry.Manifest {
	names := []string{schema.FieldUseConfig}
	for _, f := range (schema.Kinds{kind}).Fields() {
		names = append(names, f.Name)
	}
	return schema.Pick(m, names...)
}

// useProgram makes the archive the code of the function. The kind unpacks it.
func (h *Handler) useProgram(archive []byte, spec *services.Spec, s *settings) error {
	doc, err := asProgram(spec, s)
	if err != nil {
		return err
	}
	code := services.Blob{Field: function.FieldPackage, Digest: registry.DigestOf(archive), Content: archive}
	doc.Exec, doc.Package = "", code.Digest.Hex()
	settings := schema.Pick(spec.Manifest, schema.FieldUseConfig)
	spec.Kind, spec.Manifest = function.KindName, schema.Merge(doc.Encode(), settings)
	spec.Blobs = append([]services.Blob{code}, spec.Middleware()...)
	return nil
}

// asProgram returns the document of a function with a program. It keeps processes, concurrency and arguments of an
// earlier program, and what the kinds have in common.
func asProgram(spec *services.Spec, s *settings) (function.Document, error) {
	names := []string{schema.FieldTimeout, "config"}
	if spec.Kind == function.KindName {
		if old, err := documentOf(spec.Manifest); err == nil && old.Program() {
			names = append(names, "exec", "exec_arg", "package", "processes", "worker_concurrency", "memory_size", "handler")
		}
	}
	as := services.Spec{Kind: function.KindName, Manifest: schema.Pick(spec.Manifest, names...)}
	s.apply(&as)
	doc, err := function.Decode(as.Manifest)
	s.applyTo(&doc)
	return doc, err
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
