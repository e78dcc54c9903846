package remote

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/internal/regular"
)

// middlewareFlags are the flags for the middleware of a service.
type middlewareFlags struct {
	Use       []string          `placeholder:"FILE|URL" help:"A module of http-wasm that sees requests before the service, and answers them or passes them on; several, separated by commas or by repeating the flag, the outermost first."`
	UseConfig map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"A setting or secret that the modules of --use can ask for; may be repeated."`
}

func isAddress(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// usesFiles reports whether any middleware is a file to upload.
func (f *middlewareFlags) usesFiles() bool {
	return slices.ContainsFunc(f.Use, func(use string) bool { return !isAddress(use) })
}

// addTo adds the fields of a request without uploads.
func (f *middlewareFlags) addTo(fields map[string]any) {
	if len(f.Use) > 0 {
		fields["use"] = f.Use
	}
	if len(f.UseConfig) > 0 {
		fields["use_config"] = f.UseConfig
	}
}

// write writes the fields as parts of a form, with the files.
func (f *middlewareFlags) write(w *multipart.Writer) error {
	for _, name := range slices.Sorted(maps.Keys(f.UseConfig)) {
		if err := w.WriteField("use_config", name+"="+f.UseConfig[name]); err != nil {
			return err
		}
	}
	for _, use := range f.Use {
		if isAddress(use) {
			if err := w.WriteField("use", use); err != nil {
				return err
			}
			continue
		}
		if err := writeUse(w, use); err != nil {
			return err
		}
	}
	return nil
}

func writeUse(w *multipart.Writer, path string) error {
	file, err := regular.OpenAny(path)
	if err != nil {
		return err
	}
	defer file.Close()
	part, err := w.CreateFormFile("use", "use.wasm")
	if err != nil {
		return err
	}
	n, err := io.Copy(part, io.LimitReader(file, flags.MaxModuleBytes+1))
	switch {
	case err != nil:
		return fmt.Errorf("read the middleware: %w", err)
	case n == 0:
		return fmt.Errorf("%s is empty; give a WebAssembly module", path)
	case n > flags.MaxModuleBytes:
		return fmt.Errorf("%s is larger than %s, which no server takes", path, flags.Size(flags.MaxModuleBytes))
	}
	return nil
}

// writeFields writes request fields as parts of a form.
func writeFields(w *multipart.Writer, fields map[string]any) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if list, ok := fields[name].([]string); ok {
			for _, value := range list {
				errs = append(errs, w.WriteField(name, value))
			}
			continue
		}
		errs = append(errs, w.WriteField(name, fmt.Sprint(fields[name])))
	}
	return errors.Join(errs...)
}
