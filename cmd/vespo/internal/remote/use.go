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
	"github.com/vespo-dev/vespo/services/schema"
)

func isAddress(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// usesFiles reports whether any middleware is a file to upload.
func usesFiles(fields map[string]any) bool {
	use, _ := fields[schema.FieldUse].([]string)
	return slices.ContainsFunc(use, func(use string) bool { return !isAddress(use) && !isReference(use) })
}

// writeFields writes the fields of a request as parts of a form, and the files of the middleware.
func writeFields(w *multipart.Writer, fields map[string]any) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch value := fields[name].(type) {
		case []string:
			for _, item := range value {
				errs = append(errs, writeItem(w, name, item))
			}
		case map[string]string:
			for _, key := range slices.Sorted(maps.Keys(value)) {
				errs = append(errs, w.WriteField(name, key+"="+value[key]))
			}
		case schema.Settings:
			errs = append(errs, writeSettings(w, name, value))
		default:
			errs = append(errs, w.WriteField(name, fmt.Sprint(value)))
		}
	}
	return errors.Join(errs...)
}

// writeSettings writes settings as fields, or a text as a file.
func writeSettings(w *multipart.Writer, name string, s schema.Settings) error {
	if s.Text != "" {
		part, err := w.CreateFormFile(name, name)
		if err != nil {
			return err
		}
		_, err = io.WriteString(part, s.Text)
		return err
	}
	var errs []error
	for _, key := range s.Names() {
		errs = append(errs, w.WriteField(name, key+"="+s.ByName[key]))
	}
	return errors.Join(errs...)
}

// writeItem writes one item of a list. Middleware that is no address is a file.
func writeItem(w *multipart.Writer, name, item string) error {
	if name == schema.FieldUse && !isAddress(item) && !isReference(item) {
		return writeUse(w, item)
	}
	return w.WriteField(name, item)
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
