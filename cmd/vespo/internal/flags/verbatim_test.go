package flags

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/schema"
)

// TestBytesAreKept checks that values which are not UTF-8 arrive as they were given.
func TestBytesAreKept(t *testing.T) {
	const text = "a\xff\xfe,b"
	var given struct {
		Text  string
		File  string            `type:"path"`
		Files []string          `type:"path" sep:"none"`
		List  []string          `sep:"none"`
		Pairs map[string]string `mapsep:"none"`
		Arg   *string           `arg:"" optional:""`
	}
	parser, err := kong.New(&given, Verbatim())
	require.NoError(t, err)
	_, err = parser.Parse([]string{"--text", text, "--file", text, "--files=" + text, "--files", "-", "--list", text, "--pairs=" + text + "=" + text + "=", "--pairs=b=", text})
	require.NoError(t, err)
	path, err := filepath.Abs(text)
	require.NoError(t, err)
	require.Equal(t, text, given.Text)
	require.Equal(t, path, given.File)
	require.Equal(t, []string{path, "-"}, given.Files)
	require.Equal(t, []string{text}, given.List)
	require.Equal(t, map[string]string{text: text + "=", "b": ""}, given.Pairs)
	require.Equal(t, text, *given.Arg)

	for arg, want := range map[string]string{"--pairs=x": "must be NAME=VALUE", "--text": "missing value", "--file": "missing value", "--pairs": "missing value"} {
		_, err = parser.Parse([]string{arg})
		require.ErrorContains(t, err, arg[:6])
		require.ErrorContains(t, err, want)
	}
}

// TestPathsOfSeveral checks that a list of paths keeps its separator, and that each path is absolute.
func TestPathsOfSeveral(t *testing.T) {
	var given struct {
		Files []string `type:"path" sep:","`
	}
	parser, err := kong.New(&given, Verbatim())
	require.NoError(t, err)
	_, err = parser.Parse([]string{"--files=/a,/b", "--files", "/c"})
	require.NoError(t, err)
	require.Equal(t, []string{"/a", "/b", "/c"}, given.Files)
}

// TestTextsOfFields checks that fields refuse texts which JSON would change, and do not repeat them: they may be secrets.
func TestTextsOfFields(t *testing.T) {
	for _, arg := range []string{"--cron=x\xff", "--config=a=x\xff", "--config=x\xff=a", "--host=x\xff"} {
		fields := NewFields([]schema.Field{
			{Name: "cron", Type: schema.Texts}, {Name: "config", Type: schema.Config}, {Name: "host", Type: schema.Text},
		}, func(schema.Field) string { return "" })
		parser, err := kong.New(&struct{ kong.Plugins }{kong.Plugins{fields.Plugin()}}, Verbatim())
		require.NoError(t, err)
		_, err = parser.Parse([]string{arg})
		require.NoError(t, err)
		name, _, _ := strings.Cut(arg, "=")
		require.EqualError(t, fields.Check(), name+" has bytes that are not UTF-8")
		_, err = parser.Parse([]string{"--config=a=b", "--cron=c", "--host=d"})
		require.NoError(t, err)
	}
}

func TestDuration(t *testing.T) {
	var given struct {
		Wait time.Duration `default:"2s"`
	}
	parser, err := kong.New(&given, Duration())
	require.NoError(t, err)
	_, err = parser.Parse(nil)
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, given.Wait)
	_, err = parser.Parse([]string{"--wait", "1m30s"})
	require.NoError(t, err)
	require.Equal(t, 90*time.Second, given.Wait)
	_, err = parser.Parse([]string{"--wait=5"})
	require.EqualError(t, err, `--wait: is "5": write it like 500ms, 10s or 1m30s`)
}

func TestNumber(t *testing.T) {
	var given struct {
		Int     int
		Long    int64
		Counter *uint64
		Wait    time.Duration
		Size    Size
	}
	parser, err := kong.New(&given, Number(), Duration())
	require.NoError(t, err)
	_, err = parser.Parse([]string{"--int=-3", "--long", "5_000_000_000", "--counter=7", "--wait=1s", "--size=1KiB"})
	require.NoError(t, err)
	require.Equal(t, -3, given.Int)
	require.Equal(t, int64(5_000_000_000), given.Long)
	require.Equal(t, uint64(7), *given.Counter)
	require.Equal(t, time.Second, given.Wait)
	require.Equal(t, Size(1024), given.Size)
	for arg, want := range map[string]string{
		"--int=x":      `--int: is "x": it must be a whole number`,
		"--int=1.5":    `--int: is "1.5": it must be a whole number`,
		"--counter=-1": `--counter: is "-1": it must be a whole number of 0 or more`,
	} {
		_, err = parser.Parse([]string{arg})
		require.EqualError(t, err, want)
	}
}

func TestLevel(t *testing.T) {
	var given struct{ LogLevel slog.Level }
	parser, err := kong.New(&given, Level())
	require.NoError(t, err)
	_, err = parser.Parse([]string{"--log-level=warn"})
	require.NoError(t, err)
	require.Equal(t, slog.LevelWarn, given.LogLevel)
	_, err = parser.Parse([]string{"--log-level=loud"})
	require.EqualError(t, err, `--log-level: is "loud": it must be debug, info, warn or error`)
}
