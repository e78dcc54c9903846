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
		case name == bootstrap:
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
	kinds := h.cfg.Kinds.ofModules(spec.Kind)
	if !slices.Contains(kinds, spec.Kind) {
		spec.Manifest = shared(spec.Manifest, h.cfg.Kinds.Module)
	}
	for _, kind := range kinds {
		as := *spec
		as.Kind = kind
		h.apply(s, &as)
		if h.validate(as) == nil {
			*spec = as
			return nil
		}
	}
	spec.Kind = kinds[0]
	h.apply(s, spec)
	return nil // the deployment reports the error
}

// keptAlways returns the names of the fields that a change of the kind keeps: the shared ones, but for blobs.
func keptAlways() (names []string) {
	for _, f := range schema.Shared() {
		if !f.Type.IsBlob() {
			names = append(names, f.Name)
		}
	}
	return names
}

// shared returns the fields of a manifest that another kind has too, and the settings of the middleware.
func shared(m registry.Manifest, kind schema.Kind) registry.Manifest {
	names := keptAlways()
	for _, f := range (schema.Kinds{kind}).Fields() {
		names = append(names, f.Name)
	}
	return schema.Pick(m, names...)
}

// useProgram makes the archive the code of the function. The kind unpacks it. Processes, concurrency and arguments of an
// earlier program are kept, and what the kinds have in common.
func (h *Handler) useProgram(archive []byte, spec *services.Spec, s *settings) error {
	code := services.Blob{Field: fieldPackage, Digest: registry.DigestOf(archive), Content: archive}
	kept := append(keptAlways(), schema.FieldTimeout)
	if hasVariables(spec.Manifest) {
		kept = append(kept, fieldConfig)
	}
	if h.cfg.Kinds.isProgram(spec.Kind, spec.Manifest) {
		kept = append(kept, programFields()...)
	}
	spec.Manifest = schema.With(schema.Pick(spec.Manifest, kept...), map[string]any{fieldExec: nil, fieldPackage: code.Digest.Hex()})
	spec.Kind = h.cfg.Kinds.Program
	h.apply(s, spec)
	spec.Blobs = append([]services.Blob{code}, spec.Middleware()...)
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
