package admin

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/servicetest/allkinds"
)

// Of settings the names are shown, and of a text the size.
func TestChangesOfSettings(t *testing.T) {
	names, text := `{"config":{"b":"hunter2","a":"hunter2"}}`, `{"config":"hunter2"}`
	for _, c := range []struct{ before, after, changed, kept string }{
		{names, `{"config":{"a":"hunter3","c":"hunter2"}}`, "config: a changed, b removed, c added", ""},
		{names, names, "", "config: a, b"},
		{names, text, "config: a, b -> 7 bytes", ""},
		{text, names, "config: 7 bytes -> a, b", ""},
		{text, text, "", "config: 7 bytes"},
		{text, `{"config":"hunter3"}`, "config: changed, 7 bytes", ""},
		{text, `{"config":{"=base64":"//4="}}`, "config: 7 bytes -> 2 bytes", ""},
		{text, `{}`, "config: 7 bytes -> none", ""},
		{`{}`, text, "config: none -> 7 bytes", ""},
	} {
		changes, kept := changesOf(allkinds.Describe(), deploy.Result{
			Before:  registry.Version{Kind: "wasm", Manifest: registry.Manifest(c.before)},
			Service: registry.Service{Current: registry.Version{Kind: "wasm", Manifest: registry.Manifest(c.after)}},
		})
		require.Equal(t, c.changed, strings.Join(changes, "|"), c.after)
		require.Equal(t, c.kept, strings.Join(kept, "|"), c.after)
	}
}

// New code of a function is a change, although no request can give its field.
func TestChangesOfInternalFieldsAreReported(t *testing.T) {
	result := deploy.Result{
		Before:  registry.Version{Kind: "function", Manifest: `{"config":{"A":"secret"},"package":"one"}`},
		Service: registry.Service{Current: registry.Version{Kind: "function", Manifest: `{"config":{"A":"secret"},"handler":"h","package":"two"}`}},
	}
	changes, kept := changesOf(allkinds.Describe(), result)
	require.Equal(t, []string{"package: one -> two", "handler: default -> h"}, changes)
	require.Equal(t, []string{"config: A"}, kept)
}
