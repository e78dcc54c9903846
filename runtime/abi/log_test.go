package abi

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// collected is the output of a Lines: one line each, with its level.
type collected []string

func (c *collected) log(level Level, line []byte) { *c = append(*c, fmt.Sprintf("%d %s", level, line)) }

func newLines(level Level) (*Lines, *collected) {
	l, c := &Lines{}, &collected{}
	l.Reset(c.log, level)
	return l, c
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", MaxLineBytes)
	for _, c := range []struct {
		name   string
		writes []string
		want   []string
	}{
		{"nothing", nil, nil},
		{"a line", []string{"hello\n"}, []string{"hello"}},
		{"no newline at the end", []string{"hello"}, []string{"hello"}},
		{"in pieces", []string{"he", "", "llo\nwor", "ld\n"}, []string{"hello", "world"}},
		{"several in one", []string{"a\nb\nc"}, []string{"a", "b", "c"}},
		{"empty lines", []string{"\n\na\n"}, []string{"", "", "a"}},
		{"carriage returns", []string{"a\r\nb\r", "\n"}, []string{"a", "b"}},
		{"as long as can be", []string{long + "\n"}, []string{long}},
		{"too long", []string{long + "y\n"}, []string{long, "y"}},
		{"too long in pieces", []string{long, "y\n"}, []string{long, "y"}},
		{"not text", []string{"\x00\xff\n"}, []string{"\x00\xff"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, got := newLines(LevelInfo)
			for _, w := range c.writes {
				n, err := l.Write([]byte(w))
				require.NoError(t, err)
				require.Equal(t, len(w), n)
			}
			l.Flush()
			l.Flush()
			require.Len(t, *got, len(c.want))
			for i, line := range c.want {
				require.Equal(t, "0 "+line, (*got)[i])
			}
		})
	}
}

func TestLinesOfTheZeroValueAreDropped(t *testing.T) {
	var l Lines
	n, err := l.Write([]byte("hello\n"))
	require.NoError(t, err)
	require.Equal(t, 6, n)
	l.Line(LevelError, []byte("x"))
	l.Flush()
}

func TestLinesAreBounded(t *testing.T) {
	for name, write := range map[string]func(l *Lines){
		"short lines": func(l *Lines) { l.Write([]byte(strings.Repeat("a\n", MaxLogBytes))) },
		"empty lines": func(l *Lines) { l.Write([]byte(strings.Repeat("\n", MaxLogBytes))) },
		"one long":    func(l *Lines) { l.Write([]byte(strings.Repeat("a", 10*MaxLogBytes))) },
		"many writes": func(l *Lines) {
			for range MaxLogBytes {
				l.Write([]byte("a\n"))
			}
		},
		"by Line": func(l *Lines) { l.Line(LevelDebug, []byte(strings.Repeat("a", 10*MaxLogBytes))) },
		"by Lines": func(l *Lines) {
			for range MaxLogBytes {
				l.Line(LevelDebug, nil)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, got := newLines(LevelInfo)
			write(l)
			total := 0
			for _, line := range *got {
				total += len(line)
			}
			require.LessOrEqual(t, total, MaxLogBytes+200)
			require.LessOrEqual(t, len(*got), MaxLogBytes/LineOverheadBytes)
			require.Contains(t, (*got)[len(*got)-1], "cut here")
			require.Equal(t, 1, strings.Count(strings.Join(*got, "\n"), "cut here"))
			before := len(*got)
			l.Write([]byte("more\n"))
			l.Line(LevelError, []byte("more"))
			l.Flush()
			require.Len(t, *got, before, "nothing comes after the cut")

			l.Reset(got.log, LevelWarn)
			l.Write([]byte("next request\n"))
			require.Equal(t, "1 next request", (*got)[before])
		})
	}
}

func TestLineHasALevelOfItsOwn(t *testing.T) {
	l, got := newLines(LevelInfo)
	l.Write([]byte("begun "))
	l.Line(LevelError, []byte("by the host"))
	l.Write([]byte("ended\n"))
	require.Equal(t, []string{"2 by the host", "0 begun ended"}, []string(*got))
}

// FuzzLines writes in pieces: the lines must not depend on them.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\r\n\nc"), []byte{1, 2, 1})
	f.Add([]byte(strings.Repeat("long ", MaxLineBytes/4)), []byte{255, 255, 0, 3})
	f.Add([]byte(strings.Repeat("\n", 2100)), []byte{100})
	f.Fuzz(func(t *testing.T, text, cuts []byte) {
		whole, want := newLines(LevelInfo)
		whole.Write(text)
		whole.Flush()
		pieces, got := newLines(LevelInfo)
		rest := text
		for _, cut := range cuts {
			n := min(int(cut), len(rest))
			pieces.Write(rest[:n])
			rest = rest[n:]
		}
		pieces.Write(rest)
		pieces.Flush()
		require.Equal(t, *want, *got)
		for _, line := range *got {
			require.LessOrEqual(t, len(line), MaxLineBytes+100)
		}
	})
}

// RecordBytes must not be less than the size of the record that the log's handler writes.
func TestRecordBytes(t *testing.T) {
	for _, line := range []string{"", "plain", `"quoted"` + "\\", "\x00\x1b[2J\x7f", "\xff\xfe", "é…世界", "\u202e\u0085\u2028", strings.Repeat("\x01", MaxLineBytes), "a=b c"} {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil)).With("service", "/a/prefix/of/some/length", "version", "sha256:"+strings.Repeat("0", 64))
		log.Error("guest", "line", line)
		require.GreaterOrEqual(t, RecordBytes([]byte(line)), out.Len(), "%q", line)
	}
}
