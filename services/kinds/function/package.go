package function

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/function/internal/packages"
	"github.com/vespo-dev/vespo/services/schema"
)

// checkPackage returns the reasons why the program of a package may or can not be started.
func (k *Kind) checkPackage(s services.Spec, d Document) []problem.Violation {
	code := s.Blob(FieldPackage)
	switch {
	case k.unpacked == nil:
		return refuse(FieldPackage, "is given, but this server keeps no packages")
	case k.refusesExec(s) != nil:
		return k.refusesExec(s)
	case code.Field == "" && !k.unpacked.Has(packages.Digest(d.Package)):
		return refuse(FieldPackage, "is %s: its code is missing from the server's data directory", d.Package)
	case code.Field == "" || code.Content == nil:
		return nil
	case registry.DigestOf(code.Content).Hex() != d.Package:
		return refuse(FieldPackage, "is %s, which is not the digest of the archive", d.Package)
	}
	var invalid packages.Invalid
	if _, err := packages.Open(code.Content); errors.As(err, &invalid) {
		return refuse(FieldPackage, "cannot be used: %s", invalid)
	}
	return nil
}

// unpack unpacks the package of a version, unless it is unpacked, and sets the path of the program. The files stay
// until release is called.
func (k *Kind) unpack(ctx context.Context, s services.Spec, d *Document) (release func(), err error) {
	read := func() ([]byte, error) {
		if content := s.Blob(FieldPackage).Content; content != nil {
			return content, nil
		}
		return nil, fmt.Errorf("the code of the package %s is gone", d.Package)
	}
	release, err = k.unpacked.Use(ctx, packages.Digest(d.Package), read)
	var invalid packages.Invalid
	if errors.As(err, &invalid) {
		return nil, problem.Invalid(problem.BadRequest, "the function is invalid", refuse(FieldPackage, "cannot be used: %s", invalid))
	}
	d.Exec = filepath.Join(k.cfg.Packages, d.Package, Bootstrap)
	return release, err
}

// Retain deletes the unpacked packages that no version of s refers to, current or in a history, and that no
// deployment uses. Those in use are deleted when their last deployment is closed.
func (k *Kind) Retain(s *registry.State) error {
	if k.unpacked == nil {
		return nil
	}
	wanted := make(map[packages.Digest]bool)
	for _, service := range s.Services {
		for _, v := range service.Versions() {
			if v.Kind != KindName {
				continue
			}
			d, err := Decode(schema.OfKind(v.Manifest))
			if err != nil {
				return fmt.Errorf("read a version of %s: %w", service.Key, err) // it may refer to any package
			}
			wanted[packages.Digest(d.Package)] = true
			if filepath.Base(d.Exec) == Bootstrap { // early versions have the path of the program
				wanted[packages.Digest(filepath.Base(filepath.Dir(d.Exec)))] = true
			}
		}
	}
	return k.unpacked.Retain(wanted)
}
