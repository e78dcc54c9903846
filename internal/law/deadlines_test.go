package law

import (
	"go/ast"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// maySetDeadlines lists what may set deadlines of connections, or wrap a ResponseWriter so that others can.
var maySetDeadlines = map[string]string{
	"internal/client":                   "bounds what handlers do with their clients",
	"cmd/vespo/internal/conns":          "owns the connections of a listener, and ends those that are idle or whose client does not read",
	"internal/lane":                     "is a server, and ends its own reads of clients",
	"router/writer.go":                  "is the one ResponseWriter that every handler gets, and passes deadlines on to the server's",
	"cmd/vespo/internal/live/inject.go": "is in front of the router's writer with vespo dev alone, and passes deadlines on to the server's",
	"services/egress/outbound":          "plays the connection for calls within the server, with deadlines of its own",
}

// deadlines returns the calls that set deadlines of a connection, and the methods that let them through.
func deadlines(s *source) (found []string) {
	if s.test() || within(s.path, guestPrograms...) || within(s.path, "bench", "conformance") || within(s.path, slices.Collect(maps.Keys(maySetDeadlines))...) {
		return nil
	}
	names := []string{"SetDeadline", "SetReadDeadline", "SetWriteDeadline"}
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok && slices.Contains(names, selector.Sel.Name) {
			found = append(found, selector.Sel.Name)
		}
		return true
	})
	for _, f := range s.functions() {
		if f.Recv != nil && (slices.Contains(names, f.Name.Name) || f.Name.Name == "Unwrap" && returnsWriter(f)) {
			found = append(found, f.Name.Name)
		}
	}
	return found
}

// returnsWriter reports whether a function returns an http.ResponseWriter.
func returnsWriter(f *ast.FuncDecl) bool {
	if f.Type.Results == nil || len(f.Type.Results.List) != 1 {
		return false
	}
	selector, ok := f.Type.Results.List[0].Type.(*ast.SelectorExpr)
	return ok && selector.Sel.Name == "ResponseWriter"
}

func TestDeadlinesOfClients(t *testing.T) {
	for _, s := range tree(t) {
		for _, name := range deadlines(s) {
			t.Errorf("%s has %s: the deadlines of a client's connection are set in internal/client alone", s.path, name)
		}
	}
}

func TestDeadlinesSeesOffences(t *testing.T) {
	for _, c := range []struct {
		file, text string
		want       int
	}{
		{"services/a.go", `package p; import "net"; func f(c net.Conn) { c.SetReadDeadline(never) }`, 1},
		{"services/a.go", `package p; func (c conn) SetWriteDeadline(at time.Time) {}`, 1},
		{"services/a.go", `package p; import "net/http"; func (w writer) Unwrap() http.ResponseWriter { return w.inner }`, 1},
		{"services/a.go", `package p; func (e failed) Unwrap() error { return e.cause }`, 0},
		{"services/a_test.go", `package p; import "net"; func f(c net.Conn) { c.SetReadDeadline(never) }`, 0},
		{"internal/client/a.go", `package p; import "net"; func f(c net.Conn) { c.SetReadDeadline(never) }`, 0},
		{"router/writer.go", `package p; import "net/http"; func (w writer) Unwrap() http.ResponseWriter { return w.inner }`, 0},
		{"router/body.go", `package p; import "net/http"; func (w writer) Unwrap() http.ResponseWriter { return w.inner }`, 1},
	} {
		s, err := parse(c.file, []byte(c.text))
		require.NoError(t, err)
		require.Len(t, deadlines(s), c.want, "%s: %s", c.file, c.text)
	}
}
