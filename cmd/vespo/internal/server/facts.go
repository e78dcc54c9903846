package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/registry"
)

// facts are the names in a manifest of what a machine has, and a catalogue has not.
type facts struct {
	Static string            `json:"static"` // directory below --root
	Mount  map[string]string `json:"mount"`  // the same, by their paths in the guest
	Exec   string            `json:"exec"`   // path of a program
}

// lacking returns an error that names each service whose current version needs a directory or a program that this machine
// lacks. root is that of --root; empty: there is none.
func lacking(state *registry.State, root string) error {
	var dirs *os.Root
	if root != "" {
		var err error
		if dirs, err = regular.OpenRoot(root); err != nil {
			return fmt.Errorf("--root: %w", err)
		}
		defer dirs.Close()
	}
	var failed []error
	for _, service := range state.Sorted() {
		var f facts
		if err := json.Unmarshal([]byte(service.Current.Manifest), &f); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", service.Key, err))
			continue
		}
		for _, what := range f.missing(dirs) {
			failed = append(failed, fmt.Errorf("%s needs %s", service.Key, what))
		}
	}
	return errors.Join(failed...)
}

// missing lists what is not there.
func (f facts) missing(root *os.Root) (all []string) {
	names := slices.Sorted(maps.Values(f.Mount))
	if f.Static != "" {
		names = append(names, f.Static)
	}
	for _, name := range names {
		if root == nil {
			all = append(all, fmt.Sprintf("the directory %.200q, and there is no --root", name))
			continue
		}
		dir, err := regular.OpenRootIn(root, name)
		if err != nil {
			all = append(all, fmt.Sprintf("the directory %.200q below --root, which cannot be opened", name))
			continue
		}
		_ = dir.Close() // opened for the check alone
	}
	if f.Exec != "" {
		if info, err := os.Stat(f.Exec); err != nil || !info.Mode().IsRegular() {
			all = append(all, fmt.Sprintf("the program %.200q, which is not here", f.Exec))
		}
	}
	return all
}
