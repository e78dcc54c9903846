package journal

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/accesslog"
)

// opened returns an open journal in a directory.
func opened(t *testing.T, dir string, cfg Config) *Journal {
	t.Helper()
	cfg.Dir = dir
	if cfg.ServiceBytes == 0 {
		cfg.ServiceBytes, cfg.TotalBytes = 1<<20, 8<<20
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	j, err := Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// say adds a line of a guest.
func (j *Journal) say(service, id, text string) {
	j.add(service, Entry{Time: time.Now(), Source: SourceGuest, RequestID: id, Text: text})
}

// read returns the texts of the entries that a filter chooses.
func read(t *testing.T, j *Journal, f Filter, limit int) (texts []string, more bool) {
	t.Helper()
	lines, more, err := j.Read(t.Context(), f, limit)
	require.NoError(t, err)
	last := uint64(0)
	for _, l := range lines {
		e, ok := parse(l.JSON)
		require.True(t, ok, string(l.JSON))
		require.Equal(t, l.N, e.N)
		require.Greater(t, e.N, last)
		last = e.N
		texts = append(texts, e.Text)
	}
	return texts, more
}

func only(name string) func(string) bool { return func(other string) bool { return other == name } }

func requestOf(service, id string, failed bool) *accesslog.Record {
	rec := &accesslog.Record{Service: service, RequestID: id, Generation: 1, Time: time.Now(), Method: "GET", URI: "/x", Status: 200}
	if failed {
		rec.Failed, rec.Status, rec.Outcome = true, 500, accesslog.OutcomeTrap
	}
	return rec
}

func TestFilters(t *testing.T) {
	j := opened(t, t.TempDir(), Config{})
	begin := time.Now()
	j.say("/a", "1", "one")
	j.say("/b", "2", "two")
	j.add("/a", Entry{Time: begin.Add(-time.Hour), Level: slog.LevelWarn, Source: SourceHost, Text: "old"})
	j.Of("/a")(requestOf("/a", "1", false))
	j.Of("/a")(requestOf("/a", "3", true))
	j.drain(false)
	count := func(f Filter) int {
		texts, _ := read(t, j, f, 100)
		return len(texts)
	}
	require.Equal(t, 5, count(Filter{}))
	require.Equal(t, 4, count(Filter{Service: only("/a")}))
	require.Equal(t, 2, count(Filter{RequestID: "1"}))
	require.Equal(t, 2, count(Filter{Level: slog.LevelWarn}))
	require.Equal(t, 1, count(Filter{Failed: true}))
	require.Equal(t, 4, count(Filter{Since: begin}))
	lines, more, err := j.Read(t.Context(), Filter{}, 2)
	require.NoError(t, err)
	require.True(t, more)
	require.Len(t, lines, 2)
	require.Equal(t, 0, count(Filter{After: lines[1].N}))
	require.Equal(t, 1, count(Filter{After: lines[0].N}))
	require.Equal(t, 4, count(Filter{Until: lines[0].N}))
	failed, _, err := j.Read(t.Context(), Filter{Failed: true}, 1)
	require.NoError(t, err)
	require.Contains(t, string(failed[0].JSON), `"record":{"time":"`)
	require.Contains(t, string(failed[0].JSON), `"outcome":"trap"`)
}

// History survives restarts, and numbers grow over them.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for i := range 5 {
		j := opened(t, dir, Config{})
		for k := range 3 {
			text := fmt.Sprint(i, "-", k)
			j.say("/a Host: x", "", text)
			want = append(want, text)
		}
		j.drain(true)
		texts, _ := read(t, j, Filter{}, 100)
		require.Equal(t, want, texts)
	}
}

// A removed service leaves nothing behind, also if a last entry comes after the removal.
func TestRemovedServices(t *testing.T) {
	dir := t.TempDir()
	j := opened(t, dir, Config{})
	j.say("/a", "", "a")
	j.say("/b", "", "b")
	j.drain(false)
	j.Forget("/a")
	j.say("/a", "", "late")
	j.drain(false)
	j.retain(map[string]bool{"/b": true})
	j.drain(false)
	texts, _ := read(t, j, Filter{}, 100)
	require.Equal(t, []string{"b"}, texts)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, 1, j.Stats().Services)

	j.retain(nil)
	require.NoError(t, j.Close())
	j = opened(t, dir, Config{})
	j.retain(map[string]bool{"/other": true})
	j.drain(false)
	texts, _ = read(t, j, Filter{}, 100)
	require.Empty(t, texts)
}

// Entries that do not fit are counted in the log itself.
func TestLostEntriesAreTold(t *testing.T) {
	j := opened(t, t.TempDir(), Config{})
	for i := range maxInboxItems + 7 {
		j.say("/a", "", fmt.Sprint(i))
	}
	j.drain(false)
	texts, _ := read(t, j, Filter{}, 1e4)
	require.Len(t, texts, maxInboxItems+1)
	require.Equal(t, "7 entries are missing here: they came faster than they can be written", texts[maxInboxItems])
}

func TestRequestsPerSecondAreBounded(t *testing.T) {
	j := opened(t, t.TempDir(), Config{})
	now := time.Now()
	for i := range 3 * RequestsPerSecond {
		for _, failed := range []bool{false, true} {
			rec := requestOf("/a", fmt.Sprint(i), failed)
			rec.Time = now
			j.Of(rec.Service)(rec)
		}
	}
	j.drain(true)
	lines, _, err := j.Read(t.Context(), Filter{Failed: true}, 1e4)
	require.NoError(t, err)
	require.Len(t, lines, RequestsPerSecond)
	texts, _ := read(t, j, Filter{}, 1e4)
	require.Len(t, texts, 2*RequestsPerSecond+1)
	require.Equal(t, fmt.Sprint(4*RequestsPerSecond, " requests are missing here: 100 a second are kept, and as many failed ones"), texts[len(texts)-1])
}

// A disk that takes nothing costs the entries, which are counted, and nothing else. Followers still get them.
func TestFailingDisk(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	j := opened(t, dir, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	obstacle := filepath.Join(dir, directoryOf("/a"))
	require.NoError(t, os.WriteFile(obstacle, nil, 0o600))
	f := j.Follow(Filter{})
	defer f.Close()
	for i := range 5 {
		j.say("/a", "", fmt.Sprint(i))
		j.drain(true)
	}
	require.Equal(t, 1, strings.Count(log.String(), "cannot be kept"), log.String())
	require.NoError(t, os.Remove(obstacle))
	j.say("/a", "", "again")
	j.drain(true)
	texts, _ := read(t, j, Filter{}, 100)
	require.Len(t, texts, 2)
	require.Equal(t, "again", texts[0])
	require.Regexp(t, `^5 entries are missing here: they could not be written: [a-z ]+$`, texts[1], "paths are of no concern to readers")
	require.Contains(t, log.String(), "are kept again")
	lines, end := f.Take()
	require.Equal(t, NotYet, end)
	require.GreaterOrEqual(t, len(lines), 6)
}

func TestFollowersGetAllOnce(t *testing.T) {
	j := opened(t, t.TempDir(), Config{})
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { j.Run(ctx, func() map[string]bool { return nil }) })
	const entries = 300
	go func() {
		for i := range entries {
			j.say("/a", "", fmt.Sprint(i))
		}
	}()
	f := j.Follow(Filter{})
	defer f.Close()
	lines, _, err := j.Read(t.Context(), Filter{Until: f.Begin}, 1e4)
	require.NoError(t, err)
	for len(lines) < entries {
		<-f.Ready()
		more, _ := f.Take()
		lines = append(lines, more...)
	}
	for i, l := range lines {
		e, _ := parse(l.JSON)
		require.Equal(t, fmt.Sprint(i), e.Text)
	}
	cancel()
	run.Wait()
	<-f.Ready()
	_, end := f.Take()
	require.Equal(t, Stopped, end)
	later := j.Follow(Filter{})
	_, end = later.Take()
	require.Equal(t, Stopped, end)
	later.Close()
	f.Close()
	require.Zero(t, j.Stats().Followers)
}

// A follower without reads holds a bounded number of bytes, and is told.
func TestSlowFollower(t *testing.T) {
	j := opened(t, t.TempDir(), Config{})
	f := j.Follow(Filter{})
	defer f.Close()
	for range 200 {
		j.say("/a", "", strings.Repeat("x", 10<<10))
		j.drain(false)
	}
	lines, end := f.Take()
	require.Equal(t, TooSlow, end)
	require.LessOrEqual(t, sizeOf(lines), maxFollowerBytes)
	require.Greater(t, sizeOf(lines), maxFollowerBytes/2)
}

// A torn or damaged segment loses only its damaged entries.
func TestDamagedSegments(t *testing.T) {
	dir := t.TempDir()
	j := opened(t, dir, Config{})
	for i := range 20 {
		j.say("/a", "", fmt.Sprint(i))
	}
	j.drain(true)
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	require.NoError(t, err)
	whole, err := os.ReadFile(files[0])
	require.NoError(t, err)
	for n := 0; n < len(whole); n += 13 {
		require.NoError(t, os.WriteFile(files[0], whole[:n], 0o600))
		again := opened(t, dir, Config{})
		texts, _ := read(t, again, Filter{}, 100)
		require.Len(t, texts, bytes.Count(whole[:n], []byte("\n")))
		require.NoError(t, again.Close())
		if n < 200 { // without a line, the directory is no log and goes
			require.NoError(t, os.MkdirAll(filepath.Dir(files[0]), 0o700))
		}
	}
}

func TestForeignFilesAreLeft(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("x"), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "mine"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "0123456789abcdef"), 0o700))
	opened(t, dir, Config{})
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)
}

func TestHandler(t *testing.T) {
	j := opened(t, t.TempDir(), Config{})
	var out bytes.Buffer
	log := slog.New(j.Handler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelError})))
	log.With("service", "/a", "version", "sha256:0").Info(accesslog.MessageGuest, "request_id", "7", "line", "hello\n")
	log.Info("service deployed", "prefix", "/a", "generation", 4)
	log.Info("of no service")
	log.Debug("too fine", "prefix", "/a")
	log.Warn(accesslog.MessageFailed, "service", "/a")
	log.Error("broken", "prefix", "/a", "error", "no \"x\"")
	j.drain(true)
	texts, _ := read(t, j, Filter{}, 100)
	require.Equal(t, []string{"hello", "service deployed generation=4", `broken error="no \"x\""`}, texts)
	texts, _ = read(t, j, Filter{RequestID: "7"}, 100)
	require.Equal(t, []string{"hello"}, texts)
	require.Equal(t, 1, strings.Count(out.String(), "\n"), "the log keeps its level: %s", out.String())
}

// No scan fails on any content, and all whole lines in front of it are found.
func FuzzSegment(f *testing.F) {
	good := (&Entry{N: 7, Source: SourceHost, Service: "/a", Text: "x"}).appendTo(nil)
	f.Add([]byte("{}\n"))
	f.Add([]byte{0, 0, '\n'})
	f.Add(bytes.Repeat([]byte("x"), maxLineBytes+1))
	f.Add(good[:10])
	f.Fuzz(func(t *testing.T, tail []byte) {
		found := 0
		content := slices.Concat(good, good, tail)
		require.NoError(t, scan(bytes.NewReader(content), func(line []byte) bool {
			if e, ok := parse(line); ok {
				require.NotZero(t, e.N)
				if e.N == 7 && e.Text == "x" {
					found++
				}
			}
			return true
		}))
		require.GreaterOrEqual(t, found, 2)
	})
}

func TestListenAllocatesNothingBeyondItsBudget(t *testing.T) {
	j := opened(t, t.TempDir(), Config{})
	listen, rec := j.Of("/a"), requestOf("/a", "1", false)
	for range 2 * RequestsPerSecond {
		listen(rec)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { listen(rec) }))
}

func BenchmarkListen(b *testing.B) {
	j, err := Open(Config{Dir: b.TempDir(), ServiceBytes: 1 << 20, TotalBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	defer j.Close()
	listen, rec := j.Of("/a"), requestOf("/a", "1", false)
	for b.Loop() {
		listen(rec)
	}
}
