package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
)

// noSuchVersion is the problem of a number that no version of the service has.
func noSuchVersion(service registry.Service, n registry.Number) error {
	if n == 0 {
		return problem.New(problem.Conflict, "the service has only one version")
	}
	var known []string
	for _, v := range service.Versions() {
		known = append(known, fmt.Sprint(v.Number))
	}
	return problem.Newf(problem.NotFound, "there is no version %d of this service; known are %s", n, strings.Join(known, ", "))
}

// maxNames is the most names of imports or exports that a line of a difference has.
const maxNames = 20

// moduleChanges returns the differences of the modules of two versions: size, imports and exports.
func (h *Handler) moduleChanges(ctx context.Context, d Deployer, before, after registry.Version) (changes []string, err error) {
	if x, y := sizeOf(before), sizeOf(after); x != y {
		changes = append(changes, fmt.Sprintf("size: %s -> %s", humanize.IBytes(uint64(x)), humanize.IBytes(uint64(y))))
	}
	if moduleDigest(before) == moduleDigest(after) {
		return changes, nil
	}
	imports, exports, err := d.Interfaces(ctx, before)
	if err != nil {
		return nil, err
	}
	newImports, newExports, err := d.Interfaces(ctx, after)
	if err != nil {
		return nil, err
	}
	for _, one := range []struct {
		title         string
		before, after []string
	}{{"imports", imports, newImports}, {"exports", exports, newExports}} {
		if text := nameChanges(one.before, one.after); text != "" {
			changes = append(changes, one.title+": "+text)
		}
	}
	return changes, nil
}

// nameChanges describes the difference of two lists of names.
func nameChanges(before, after []string) string {
	var texts []string
	add := func(names, others []string, what string) {
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(others, name) })
		for i, name := range names {
			if i == maxNames {
				texts = append(texts, fmt.Sprintf("%d more %s", len(names)-i, what))
				return
			}
			texts = append(texts, fmt.Sprintf("%.100s %s", name, what))
		}
	}
	add(after, before, "added")
	add(before, after, "removed")
	return strings.Join(texts, ", ")
}
