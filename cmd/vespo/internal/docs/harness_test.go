package docs

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	blocks, errs := parse("# T\n\n<!-- run: touch a -->\n<!-- needs: true -->\n\n```sh\nls\n```\n\n- item\n\n    more of it\n\n<!-- figures: of another tool -->\n```text\n```\n<!-- run:\ncd a\nls\n-->\n")
	require.Empty(t, errs)
	require.Equal(t, []block{
		{line: 3, language: "sh", text: "touch a\n", hidden: true},
		{line: 6, language: "sh", text: "ls\n", marks: map[string]string{markNeeds: "true"}},
		{line: 15, language: "text", marks: map[string]string{}},
		{line: 17, language: "sh", text: "cd a\nls\n", hidden: true},
	}, blocks)
}

func TestParseRefuses(t *testing.T) {
	for page, want := range map[string]string{
		"```\nls\n```\n":                    "its language",
		"```sh\nls\n":                       "ends with three backquotes",
		"````sh\nls\n````\n":                "begins with three backquotes",
		"x\n\n    ls\n":                     "fenced, not indented",
		"<!-- not run: -->\n```sh\n```\n":   "is empty",
		"<!-- file: a -->\n\ntext\n":        "a block has to follow",
		"<!-- file: a -->\n## Title\n":      "a block has to follow",
		"<!-- not run: reason -->\nls -l\n": "a block has to follow",
	} {
		_, errs := parse(page)
		require.ErrorContains(t, errors.Join(errs...), want, "%q", page)
	}
}

// TestUnmarkedBlocksFail checks that a block which is not run needs a mark.
func TestUnmarkedBlocksFail(t *testing.T) {
	if race {
		t.Skip("sessions are not run with the race detector")
	}
	for text, want := range map[string]string{
		"```nginx\nlocation /;\n```\n":                               "needs a mark",
		"```sh\nfalse\n```\n":                                        "exit code 1",
		"```sh\nif true\n```\n":                                      "bash does not accept",
		"```console\n$ echo a\nb\n```\n":                             "the page shows",
		"```console\n$ echo a\n```\n":                                "the page shows",
		"```console\n$ false\n```\n":                                 "exit code 1",
		"```console\na\n```\n":                                       "output without a command",
		"```json\n{\n```\n":                                          "unexpected",
		"```go\nfunc (\n```\n":                                       "expected",
		"<!-- part of: README.md -->\n```text\nnowhere in it\n```\n": "does not contain",
	} {
		blocks, errs := parse(text)
		require.Empty(t, errs)
		r := &reader{bin: t.TempDir(), dir: t.TempDir()}
		require.ErrorContains(t, r.follow(t, blocks[0]), want, text)
	}
}

func TestSession(t *testing.T) {
	if race {
		t.Skip("sessions are not run with the race detector")
	}
	r := &reader{bin: t.TempDir(), dir: t.TempDir()}
	blocks, errs := parse("<!-- run: cd / && x=1 -->\n```sh\ny=2\nf() {\n  echo $((x + y))\n}\n```\n" +
		"```console\n$ f\n3\n$ pwd; echo b >&2\n/\nb\n$ cat <<'EOF'\n> here\n> EOF\nhere\n$ sleep 100 &\n$ kill %1\n```\n" +
		"<!-- not run: it would fail -->\n```sh\nfalse\n```\n<!-- needs: false -->\n```sh\nfalse\n```\n")
	require.Empty(t, errs)
	for _, b := range blocks {
		require.NoError(t, r.follow(t, b), b.text)
	}
}

func TestSame(t *testing.T) {
	for _, c := range []struct{ shown, got string }{
		{"a\n", "a\n\n"},
		{"a ... c", "a b c"},
		{"a\n...\nd", "a\nb\nc\nd"},
		{"...\nd", "b\nd"},
		{"a\n...", "a\nb"},
		{`"request_id":"e1d05e421349c090"`, `"request_id":"0123456789abcdef"`},
		{"sha256:ac4fc1f0e0ba -> sha256:4ab379fcdfa9", "sha256:000000000000 -> sha256:111111111111"},
		{"took 12 ms", "took 1.5s"},
		{"at 2026-01-02T15:04:05Z", "at 2027-01-02T15:04:05.5Z"},
	} {
		require.True(t, same(c.shown, c.got), "%q and %q", c.shown, c.got)
	}
	for _, c := range []struct{ shown, got string }{
		{"a", "b"},
		{"a", "a\nb"},
		{"a\nb", "a"},
		{"", "a"},
		{"a.c", "abc"},
		{"1.8 MiB", "1.9 MiB"},
		{"status 200", "status 500"},
		{"sha256:ac4f", "sha256:0000"},
		{"a ... c", "a b\nc"},
	} {
		require.False(t, same(c.shown, c.got), "%q and %q", c.shown, c.got)
	}
}

// TestIsolatedSession checks that a session has a loopback interface and no other.
func TestIsolatedSession(t *testing.T) {
	if reason := canIsolate(); reason != nil {
		t.Skip(reason)
	}
	s := newSession(t, t.TempDir(), []string{"PATH=" + os.Getenv("PATH")}, true)
	require.NoError(t, s.compare(command{text: "tail -n +3 /proc/net/dev | cut -d : -f 1", shown: "    lo\n"}))
	out, code, err := s.one("exec 5<>/dev/tcp/127.0.0.1/1")
	require.NoError(t, err)
	require.NotZero(t, code)
	require.Contains(t, out, "refused")
}
