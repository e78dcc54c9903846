package flexilib

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
)

func read(t testing.TB, lines ...string) ([]Rule, []Problem) {
	t.Helper()
	rules, problems, err := Read(strings.NewReader(strings.Join(lines, "\n")))
	require.NoError(t, err)
	return rules, problems
}

func TestRead(t *testing.T) {
	rules, problems := read(t, "# a comment", "", "  /a/ = lib/liba.so # another", "Host: IAM.example /b= libb.so\r", "\tX-Query: a=b c / =libc.so",
		"nothing", "= lib.so", "/a =", "a = lib.so", "Host / = lib.so", "Host: / = lib.so", "/services/x = lib.so", "/a%20 = x.so")
	var got []string
	for _, r := range rules {
		got = append(got, fmt.Sprintf("%d %s -> %s", r.Line, r.Key, r.Library))
	}
	require.Equal(t, []string{"3 /a -> lib/liba.so", "4 /b Host: iam.example -> libb.so", "5 / X-Query: a=b c -> libc.so"}, got)
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
		require.NotEmpty(t, p.Text)
		require.False(t, p.Harmless)
	}
	require.Equal(t, []int{6, 7, 8, 9, 10, 11, 12, 13}, lines)
}

// TestReadOfWindows checks that a byte order mark and CR LF are not part of the lines.
func TestReadOfWindows(t *testing.T) {
	rules, problems := read(t, "\ufeff/a = a.so\r", "Host: x /b = b.so\r", "\r")
	require.Empty(t, problems)
	require.Len(t, rules, 2)
	require.Equal(t, "/a", rules[0].Key.String())
	require.Equal(t, "b.so", rules[1].Library)
}

// planned returns the keys, each with its line, and the problems.
func planned(t testing.TB, lines ...string) (got []string, problems []Problem) {
	rules, refused := read(t, lines...)
	require.Empty(t, refused)
	declared, problems := Plan(rules)
	for _, s := range declared {
		got = append(got, fmt.Sprintf("%s: %d", s.Key, s.Rule.Line))
	}
	return got, problems
}

func TestPlan(t *testing.T) {
	// The order that FlexiLib's documentation recommends, the most specific first.
	got, problems := planned(t, "/api/v1 = a.so", "/api = b.so", "Host: iam / = c.so", "/ = d.so")
	require.Empty(t, problems)
	require.Equal(t, []string{"/api/v1: 1", "/api: 2", "/ Host: iam: 3", "/: 4"}, got)

	// The first line has a host and takes /api as well. Here the longer prefix would win.
	got, problems = planned(t, "Host: iam / = a.so", "/api = b.so", "/ = c.so")
	require.Empty(t, problems)
	require.Equal(t, []string{"/ Host: iam: 1", "/api Host: iam: 1", "/api: 2", "/: 3"}, got)

	got, problems = planned(t, "/ = a.so", "/api = b.so")
	require.Equal(t, []string{"/: 1"}, got)
	require.Equal(t, []Problem{{Line: 2, Harmless: true, Text: "left out: it is never reached, since line 1 matches all of its requests before it"}}, problems)

	_, problems = planned(t, "Host: iam / = a.so", "X-Beta: 1 /api = b.so")
	require.Len(t, problems, 1)
	require.False(t, problems[0].Harmless)
	require.Contains(t, problems[0].String(), "2: requests that line 1 matches too")
}

// first returns the line that serves a request in FlexiLib, 0 for none.
func first(rules []Rule, r *http.Request) int {
	for _, rule := range rules {
		value, m := r.Header.Get(rule.Key.Match.Name), rule.Key.Match
		if m.Name == "Host" {
			value = r.Host
		}
		if strings.HasPrefix(value, m.Value) && within(routekey.Prefix(r.URL.Path), rule.Key.Prefix) {
			return rule.Line
		}
	}
	return 0
}

// most returns the line of the most specific service, as the router selects it.
func most(declared []Service, r *http.Request) int {
	line, best := 0, routekey.Key{}
	for _, s := range declared {
		if first([]Rule{{Line: 1, Key: s.Key}}, r) == 0 {
			continue
		}
		longer := len(s.Key.Prefix) > len(best.Prefix)
		if line == 0 || longer || s.Key.Prefix == best.Prefix && s.Key.Compare(best) < 0 {
			line, best = s.Rule.Line, s.Key
		}
	}
	return line
}

// TestPlanKeepsTheMeaning checks that, unless a problem is
// reported, every request goes to the same library as in FlexiLib.
func TestPlanKeepsTheMeaning(t *testing.T) {
	paths := []string{"/", "/a", "/a/b", "/a/b/c", "/d"}
	matches := []string{"", "", "Host: i", "Host: iam", "Host: o", "X-A: 1", "X-A: 123"}
	random := rand.New(rand.NewPCG(1, 2))
	kept := 0
	for range 3000 {
		var lines []string
		for range 1 + random.IntN(5) {
			lines = append(lines, strings.TrimSpace(matches[random.IntN(len(matches))]+" "+paths[random.IntN(len(paths))])+" = x.so")
		}
		rules, _ := read(t, lines...)
		declared, problems := Plan(rules)
		exact := true
		for _, p := range problems {
			exact = exact && p.Harmless
		}
		if !exact {
			continue
		}
		kept++
		for _, path := range append(paths, "/a/x", "/z") {
			for _, host := range []string{"iam", "ix", "o", "z"} {
				for _, value := range []string{"", "1", "1234"} {
					r := httptest.NewRequest(http.MethodGet, path, nil)
					r.Host = host
					r.Header.Set("X-A", value)
					require.Equal(t, first(rules, r), most(declared, r), "%q: %s %s %s", lines, host, path, value)
				}
			}
		}
	}
	require.Greater(t, kept, 1000)
}

func TestModule(t *testing.T) {
	for library, want := range map[string]string{
		"zig-out/lib/libfaas.so": "zig-out/lib/libfaas.wasm", "liba.so.1.2": "liba.wasm", "liba.dylib": "liba.wasm", "a.dll": "a.wasm",
		"a.b.so": "a.b.wasm", "plain": "plain.wasm", ".so": ".wasm", "x.y": "x.wasm",
	} {
		require.Equal(t, want, module(library), library)
	}
}

// FuzzWrite checks that the output is TOML with the same meaning, for any input file.
func FuzzWrite(f *testing.F) {
	f.Add("/ = \"lib\\.so\nHost: iam /a = x\x00y.so\n\x7f")
	f.Add("X-A: \"\\\" / = é.so # \r")
	f.Add("Host: i / = a\nX-B: 1 /a = b\n/a = c")
	f.Fuzz(func(t *testing.T, text string) {
		rules, _, err := Read(strings.NewReader(text))
		if err != nil {
			return // a line is too long
		}
		declared, _ := Plan(rules)
		var out bytes.Buffer
		require.NoError(t, Write(&out, text, declared))
		var parsed struct {
			Service []struct{ Prefix, Match, Module string }
		}
		require.NoError(t, toml.Unmarshal(out.Bytes(), &parsed), out.String())
		require.Len(t, parsed.Service, len(declared))
		for i, s := range parsed.Service {
			require.Equal(t, declared[i].Key.Match.String(), s.Match)
			require.Equal(t, string(declared[i].Key.Prefix), s.Prefix)
			require.Equal(t, module(declared[i].Rule.Library), s.Module)
		}
	})
}
