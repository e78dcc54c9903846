package law

import (
	"cmp"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
)

// page reads a page of the documentation.
func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", name))
	require.NoError(t, err)
	return string(text)
}

// file parses one file of the tree.
func file(t *testing.T, name string) *source {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	require.NoError(t, err)
	s, err := parse(name, text)
	require.NoError(t, err)
	return s
}

var wordBegin = regexp.MustCompile(`(KV|[a-z])([A-Z])`)

// flags returns the command line names of the fields that have a help text, with their defaults.
func flags(s *source) map[string]string {
	all := make(map[string]string)
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok || field.Tag == nil || len(field.Names) == 0 {
			return true
		}
		text, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			return true
		}
		if tag := reflect.StructTag(text); tag.Get("help") != "" {
			name := cmp.Or(tag.Get("name"), strings.ToLower(wordBegin.ReplaceAllString(field.Names[0].Name, "$1-$2")))
			all[name] = tag.Get("default")
		}
		return true
	})
	return all
}

func TestFlagsAreDocumented(t *testing.T) {
	operations := page(t, "operations.md")
	all := flags(file(t, "cmd/vespo/internal/server/config.go"))
	maps.Copy(all, flags(file(t, "cmd/vespo/internal/server/tlssettings.go")))
	require.Contains(t, all, "max-body")
	for name, byDefault := range all {
		row := regexp.MustCompile("(?m)^\\| `--" + name + "[ `].*$").FindString(operations)
		if row == "" {
			t.Errorf("docs/operations.md has no row for the flag --%s", name)
		} else if byDefault != "" && byDefault != "0" && !strings.HasPrefix(byDefault, "${") && !strings.Contains(row, "`"+byDefault+"`") {
			t.Errorf("docs/operations.md does not give the default %s of --%s", byDefault, name)
		}
	}
}

// constants returns the values of the string constants whose names begin with prefix.
func constants(s *source, prefix string) (values []string) {
	for _, d := range s.syntax.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			c := spec.(*ast.ValueSpec)
			if !strings.HasPrefix(c.Names[0].Name, prefix) || len(c.Values) == 0 {
				continue
			}
			if literal, ok := c.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if value, err := strconv.Unquote(literal.Value); err == nil {
					values = append(values, value)
				}
			}
		}
	}
	return values
}

func TestAccessLogIsDocumented(t *testing.T) {
	operations := page(t, "operations.md")
	fields := constants(file(t, "router/accesslog/fields.go"), "Field")
	outcomes := constants(file(t, "router/accesslog/record.go"), "Outcome")
	starts := constants(file(t, "router/accesslog/record.go"), "Start")
	require.Contains(t, fields, "queue_wait_us")
	require.Contains(t, outcomes, "out of memory")
	require.Contains(t, starts, "cold")
	for _, word := range append(append(fields, outcomes...), starts...) {
		if !strings.Contains(operations, "`"+word+"`") {
			t.Errorf("docs/operations.md does not tell what %q in the access log is", word)
		}
	}
}

func TestProblemsAreDocumented(t *testing.T) {
	pages := page(t, "operations.md") + page(t, "management-api.md")
	for _, kind := range problem.Kinds() {
		row := regexp.MustCompile("(?m)^\\|.*`" + string(kind) + "`.*$").FindString(pages)
		if !strings.Contains(row, strconv.Itoa(kind.Status())) {
			t.Errorf("docs have no row for the problem %s with its status %d", kind, kind.Status())
		}
	}
}

func TestFieldsOfManagementAreDocumented(t *testing.T) {
	api := page(t, "management-api.md")
	fields := constants(file(t, "services/control/admin/fields.go"), "field")
	require.Contains(t, fields, "source")
	for _, name := range fields {
		if !strings.Contains(api, "`"+name+"`") && !strings.Contains(api, "-F "+name+"=") && !strings.Contains(api, "\""+name+"\":") {
			t.Errorf("docs/management-api.md does not tell what the field %s is", name)
		}
	}
}
