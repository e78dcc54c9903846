package lambda

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/function"
	"github.com/vespo-dev/vespo/services/internal/arn"
	"github.com/vespo-dev/vespo/services/wasm"
)

// Bounds of a package of code, as Lambda has them.
const (
	maxPackageBytes  = 250 << 20 // unpacked
	maxPackageFiles  = 10_000
	bootstrap        = "bootstrap" // the program of a package
	codeDirectory    = "code"
	moduleExtension  = ".wasm"
	permissionsOfAll = 0o755
)

// codeRequest is what requests say of code. Sources that cannot be had are refused by name.
type codeRequest struct {
	ZipFile                                    []byte
	S3Bucket, S3Key, S3ObjectVersion, ImageUri string
	SourceKMSKeyArn                            string
	Publish, DryRun                            bool
	RevisionId                                 *string
	Architectures                              []string
}

func (c *codeRequest) check() error {
	for name, given := range map[string]string{"S3Bucket": c.S3Bucket, "S3Key": c.S3Key, "S3ObjectVersion": c.S3ObjectVersion,
		"ImageUri": c.ImageUri, "SourceKMSKeyArn": c.SourceKMSKeyArn} {
		if given != "" {
			return invalid("%s is not supported by this server: send the code as ZipFile", name)
		}
	}
	if len(c.ZipFile) == 0 {
		return invalid("ZipFile is missing: send the code as a zip archive that holds a module (*.wasm) or a program called bootstrap")
	}
	for _, a := range c.Architectures {
		if a != architecture() {
			return invalid("Architectures has %.20q: this server is %s", a, architecture())
		}
	}
	return nil
}

func (h *Handler) createFunction(w http.ResponseWriter, r *request) error {
	var in struct {
		settings
		FunctionName, PackageType string
		Code                      codeRequest
		Publish                   bool
		Architectures             []string
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	ref, err := arn.Parse(in.FunctionName)
	if err != nil || ref.Qualifier != "" {
		return invalid("the function name %.200q is not one", in.FunctionName)
	}
	prefix, err := router.ParsePrefix("/" + ref.Name)
	if err != nil {
		return invalid("the function name %.200q cannot be a path prefix: %s", ref.Name, err)
	}
	if in.PackageType != "" && in.PackageType != "Zip" {
		return invalid("PackageType is %.20q: this server takes Zip alone", in.PackageType)
	}
	in.Code.Architectures = in.Architectures
	if err := firstError(in.check(), in.Code.check()); err != nil {
		return err
	}
	if _, err := h.cfg.Catalogue.Inspect(registry.Prefix(prefix)); err == nil {
		return fail(http.StatusConflict, "ResourceConflictException", "Function already exist: %s", ref.Name)
	}
	spec := services.Spec{Prefix: registry.Prefix(prefix)}
	if err := h.unpack(in.Code.ZipFile, &spec, &in.settings); err != nil {
		return err
	}
	if err := h.deploy(r.Context(), spec); err != nil {
		return err
	}
	if err := h.book.change(ref.Name, func(own *record) error { *own = record{}; in.keep(own); return nil }); err != nil {
		return err
	}
	if in.Publish {
		return h.publish(w, r, ref.Name, spec.Prefix)
	}
	return h.answerConfiguration(w, http.StatusCreated, ref.Name, spec.Prefix)
}

// firstError gives the first of errs that is one.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) updateCode(w http.ResponseWriter, r *request) error {
	name, e, err := h.named(r)
	if err != nil {
		return err
	}
	var in codeRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := firstError(in.check(), checkRevision(in.RevisionId, e)); err != nil {
		return err
	}
	spec := services.Spec{Prefix: e.Service.Prefix, Options: e.Service.Current.Options}
	if err := h.unpack(in.ZipFile, &spec, &settings{}); err != nil {
		return err
	}
	switch {
	case in.DryRun:
		if err := h.cfg.Catalogue.Validate(spec); err != nil {
			return err
		}
		return h.answerConfiguration(w, http.StatusOK, name, e.Service.Prefix)
	}
	if err := h.deploy(r.Context(), spec); err != nil {
		return err
	}
	if in.Publish {
		return h.publish(w, r, name, e.Service.Prefix)
	}
	return h.answerConfiguration(w, http.StatusOK, name, e.Service.Prefix)
}

// unpack fills a spec with what the archive holds: a module, which is a function if it is a command, or a program, which is put on disk.
func (h *Handler) unpack(archive []byte, spec *services.Spec, s *settings) error {
	files, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
	}
	var module, program *zip.File
	for _, f := range files.File {
		switch {
		case path.Ext(f.Name) == moduleExtension && module == nil:
			module = f
		case path.Ext(f.Name) == moduleExtension:
			return invalid("the archive holds more than one module: %.100q and %.100q", module.Name, f.Name)
		case f.Name == bootstrap:
			program = f
		}
	}
	switch {
	case module != nil:
		return h.useModule(module, spec, s)
	case program == nil:
		return invalid("the archive holds neither a module (*.wasm) nor a program called bootstrap; other runtimes are not there")
	}
	return h.useProgram(archive, files, spec, s)
}

func (h *Handler) useModule(f *zip.File, spec *services.Spec, s *settings) (err error) {
	if f.UncompressedSize64 > maxPackageBytes {
		return tooLarge(maxPackageBytes)
	}
	if spec.Module, err = readEntry(f, maxPackageBytes); err != nil {
		return err
	}
	spec.Kind = wasm.FunctionKindName
	s.apply(&spec.Options, spec.Kind)
	if h.cfg.Catalogue.Validate(*spec) == nil {
		return nil
	}
	asService := *spec // one that takes requests, perhaps
	asService.Kind = wasm.KindName
	if h.cfg.Catalogue.Validate(asService) == nil {
		*spec = asService
	}
	return nil // what is wrong is told when it is deployed
}

// useProgram puts the archive's files on disk, and makes the program the worker of the function. Whether programs may be started is asked
// first.
func (h *Handler) useProgram(archive []byte, files *zip.Reader, spec *services.Spec, s *settings) error {
	if h.cfg.Directory == "" {
		return invalid("this server has no place for programs")
	}
	sum := sha256.Sum256(archive)
	directory := filepath.Join(h.cfg.Directory, codeDirectory, hex.EncodeToString(sum[:]))
	spec.Kind, spec.Options.MemoryBytes = function.KindName, 0
	s.apply(&spec.Options, spec.Kind)
	// A program that is there for certain stands in: nothing is written for somebody who may not have it started.
	self, err := os.Executable()
	if err != nil {
		return err
	}
	spec.Module = function.Document{Exec: self}.Encode()
	if err := h.cfg.Catalogue.Validate(*spec); err != nil {
		return err
	}
	if err := extract(files, directory); err != nil {
		return err
	}
	spec.Module = function.Document{Exec: filepath.Join(directory, bootstrap)}.Encode()
	return nil
}

// extract puts an archive's files into a directory, which is there as a whole or not at all.
func extract(files *zip.Reader, directory string) error {
	if _, err := os.Stat(directory); err == nil {
		return nil // named by its content
	}
	if err := os.MkdirAll(filepath.Dir(directory), 0o700); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(directory), "new-")
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(temp)
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

// extractInto writes the files. Links and paths that lead elsewhere are refused, and root would not follow them.
func extractInto(root *os.Root, files *zip.Reader) error {
	if len(files.File) > maxPackageFiles {
		return invalid("the archive holds more than %d files", maxPackageFiles)
	}
	left := int64(maxPackageBytes)
	for _, f := range files.File {
		name := filepath.FromSlash(strings.TrimSuffix(f.Name, "/"))
		switch mode := f.Mode(); {
		case !filepath.IsLocal(name) || !mode.IsRegular() && !mode.IsDir():
			return invalid("the archive holds %.100q, which is no file below its root", f.Name)
		case mode.IsDir():
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
		if f.Name == bootstrap || f.Mode()&0o111 != 0 {
			permissions = permissionsOfAll
		}
		if err := errors.Join(root.MkdirAll(filepath.Dir(name), permissionsOfAll), root.WriteFile(name, content, permissions)); err != nil {
			return err
		}
	}
	return nil
}

// readEntry reads a file of an archive, whatever the archive says of its size.
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
