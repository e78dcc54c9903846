package server

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/schema"
)

var update = flag.Bool("update", false, "write docs/fields.md anew")

const referencePath = "../../../../docs/fields.md"

// The reference of the fields is generated: go test ./cmd/vespo/internal/server -run Reference -update.
func TestReferenceIsThatOfTheKinds(t *testing.T) {
	want := reference(Kinds())
	if *update {
		require.NoError(t, os.WriteFile(referencePath, []byte(want), 0o644))
	}
	text, err := os.ReadFile(referencePath)
	require.NoError(t, err)
	require.Equal(t, want, string(text), "run: go test ./cmd/vespo/internal/server -run Reference -update")
}

// A name has one type in all kinds: a flag and a JSON member are read before the kind is known. Values of the first type,
// that of modules, may be adapted to the type of a kind.
func TestFieldsOfOneNameHaveOneType(t *testing.T) {
	types := make(map[string]schema.Type)
	for _, kind := range Kinds() {
		for _, form := range kind.Forms {
			for _, f := range form.Fields {
				known, ok := types[f.Name]
				if !ok {
					types[f.Name] = f.Type
				} else if known != schema.Config || f.Type != schema.Pairs { // see schema.Field.Adapt
					require.Equal(t, known, f.Type, "%s of %s", f.Name, kind.Name)
				}
				require.NotEmpty(t, f.Help, f.Name)
				require.Regexp(t, `^[a-z][a-z_]*$`, f.Name)
			}
			for _, name := range form.Requires {
				_, ok := form.Field(name)
				require.True(t, ok, "%s selects %s and is not described", name, kind.Name)
			}
		}
	}
}

// reference returns docs/fields.md.
func reference(kinds schema.Kinds) string {
	var b strings.Builder
	b.WriteString(`# Fields of services

These are the fields of a service in the [management API](management-api.md), under the same names in the
[configuration file](configuration.md), and as flags of ` + "`vespo add`" + ` with hyphens in place of underscores. This page is
generated from the descriptions in the code.

A request selects the kind of service by the fields that it gives. Every service also has ` + "`prefix`" + ` and may have
` + "`match`" + `.

In JSON and TOML, a size is a number of bytes or a string such as ` + "`\"16MiB\"`" + `, a duration is a string such as ` + "`\"1m30s\"`" + `, and
numbers and booleans may be strings, too. In queries, forms and on the command line, lists are given one item at a time,
and the items of objects as ` + "`NAME=VALUE`" + `.
`)
	for _, kind := range kinds {
		for _, form := range kind.Forms {
			writeForm(&b, kind, form)
		}
	}
	b.WriteString("\n## Middleware, for all kinds\n\n")
	writeFields(&b, schema.Middleware())
	return b.String()
}

func writeForm(b *strings.Builder, kind schema.Kind, form schema.Form) {
	names := make([]string, 0, len(form.Requires))
	for _, name := range form.Requires {
		names = append(names, "`"+name+"`")
	}
	title := strings.TrimPrefix(strings.TrimPrefix(kind.Title, "a "), "an ")
	fmt.Fprintf(b, "\n## %s%s: by %s\n\nThe kind is `%s`.\n\n", strings.ToUpper(title[:1]), title[1:], strings.Join(names, " and "), kind.Name)
	common := len(schema.Middleware())
	writeFields(b, form.Fields[:len(form.Fields)-common])
}

func writeFields(b *strings.Builder, fields []schema.Field) {
	b.WriteString("| field | type | default | |\n|---|---|---|---|\n")
	for _, f := range fields {
		if f.Internal {
			continue
		}
		absent := f.Absent
		if absent == "" && f.Default != "" {
			absent = "`" + f.Default + "`"
		}
		help := f.Help
		if len(f.Choices) > 0 {
			help += " One of `" + strings.Join(f.Choices, "`, `") + "`."
		}
		if f.Secret {
			help += " Listings do not show the value."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.Name, f.Type, strings.ReplaceAll(absent, "|", "\\|"), strings.ReplaceAll(help, "|", "\\|"))
	}
}
