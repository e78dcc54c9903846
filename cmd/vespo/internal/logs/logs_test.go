package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// logged returns what a logger for eyes writes, without the time.
func logged(t testing.TB, write func(*slog.Logger)) string {
	t.Helper()
	var out bytes.Buffer
	write(slog.New(NewHandler(&out, Eyes, slog.LevelDebug, stdio.Paint{})))
	var text strings.Builder
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, indent) {
			_, err := time.Parse(timeForm, line[:len(timeForm)])
			require.NoError(t, err, line)
			line = line[len(timeForm)+1:]
		}
		text.WriteString(line)
	}
	return text.String()
}

func TestEyes(t *testing.T) {
	for name, c := range map[string]struct {
		write func(*slog.Logger)
		want  string
	}{
		"levels": {func(l *slog.Logger) { l.Debug("a"); l.Info("b"); l.Warn("c"); l.Error("d") }, "DEBUG a\nINFO  b\nWARN  c\nERROR d\n"},
		"fields": {func(l *slog.Logger) {
			l.Info("m", "n", 1, "text", "two words", "empty", "", "took", time.Second, "error", errors.New(`"x"`))
		},
			`INFO  m n=1 text="two words" empty="" took=1s error="\"x\""` + "\n"},
		"a guest": {func(l *slog.Logger) {
			l.With("service", "/a", "version", "sha256:"+strings.Repeat("0a", 32)).Info("guest", "request_id", "1", "line", "it says: x=1")
		},
			"INFO  it says: x=1 service=/a version=0a0a0a0a0a0a request_id=1\n"},
		"groups": {func(l *slog.Logger) {
			l.WithGroup("g").With("a", 1).Info("m", slog.Group("h", "b", 2), slog.Group("", "c", 3))
		},
			"INFO  m g.a=1 g.h.b=2 g.c=3\n"},
		"a stack":    {func(l *slog.Logger) { l.Error("m", "stack", "one\n\ttwo\x1b\n", "n", 1) }, "ERROR m n=1\n    stack:\n        one\n            two\\x1b\n"},
		"a terminal": {func(l *slog.Logger) { l.Info("a\x1b[2Jb\r\nERROR forged", "k", "\x1b[2J") }, `INFO  a\x1b[2Jb\r\nERROR forged k="\x1b[2J"` + "\n"},
		"a guest's panic": {
			func(l *slog.Logger) {
				l.Error("guest", "line", "panic: no\n\ngoroutine 1:\nERROR a\x1b[2J\n", "request_id", "1")
			},
			"ERROR panic: no request_id=1\n    \n    goroutine 1:\n    ERROR a\\x1b[2J\n",
		},
		"a guest's line": {func(l *slog.Logger) { l.Info("guest", "line", "say \"hi\"\tc:\\x \xff") }, `INFO  say "hi"    c:\x \xff` + "\n"},
		"other levels":   {func(l *slog.Logger) { l.Log(t.Context(), slog.LevelWarn+1, "m") }, "WARN+1 m\n"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, logged(t, c.write)) })
	}
}

// FuzzEyes checks that no text of a client or guest begins a line or controls the terminal.
func FuzzEyes(f *testing.F) {
	f.Add("message", "name", "value")
	f.Add("\x1b[2J", "\u0085", "a\nERROR b")
	f.Fuzz(func(t *testing.T, message, name, value string) {
		text := logged(t, func(l *slog.Logger) { l.Info(message, name, value); l.Info("guest", "line", value) })
		for line := range strings.Lines(text) {
			require.True(t, strings.HasPrefix(line, "INFO  ") || strings.HasPrefix(line, indent), "%q", line)
			require.Equal(t, stdio.Printable(line[:len(line)-1]), line[:len(line)-1])
		}
	})
}

func TestForms(t *testing.T) {
	var out bytes.Buffer
	require.Equal(t, Text, Auto.For(&out))
	require.Equal(t, Text, Form("").For(&out))
	require.Equal(t, Eyes, Eyes.For(&out))
	slog.New(NewHandler(&out, Text, slog.LevelInfo, stdio.Paint{})).Info("a b", "n", 1)
	require.Regexp(t, `^time=\S+ level=INFO msg="a b" n=1\n$`, out.String())
}

// TestLinesAreRecords checks that lines in another form become records in JSON.
func TestLinesAreRecords(t *testing.T) {
	var out bytes.Buffer
	n, err := Lines(NewHandler(&out, JSON, slog.LevelInfo, stdio.Paint{}), slog.LevelInfo).Write([]byte("listening on \"x\"\n\ntry:\n  curl\r\n"))
	require.NoError(t, err)
	require.Equal(t, 31, n)
	var messages []string
	for line := range strings.Lines(out.String()) {
		var record struct{ Level, Msg string }
		require.NoError(t, json.Unmarshal([]byte(line), &record), line)
		messages = append(messages, record.Level+" "+record.Msg)
	}
	require.Equal(t, []string{`INFO listening on "x"`, "INFO try:", "INFO   curl"}, messages)
}
