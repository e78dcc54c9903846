package audit_test

import (
	"encoding/json"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/durable/crashfs"
	"github.com/vespo-dev/vespo/services/control/audit"
	"github.com/vespo-dev/vespo/services/control/identity"
)

func entry(action string) audit.Entry {
	return audit.Entry{Result: audit.ResultOK, By: audit.By{Kind: identity.KindLocal}, Action: action}
}

func open(t testing.TB, cfg audit.Config) *audit.Log {
	t.Helper()
	l, err := audit.Open(cfg)
	require.NoError(t, err)
	return l
}

func page(t testing.TB, l *audit.Log, q audit.Query) (actions []string, next uint64) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	lines, next, err := l.Page(q)
	require.NoError(t, err)
	for _, line := range lines {
		var e audit.Entry
		require.NoError(t, json.Unmarshal(line, &e))
		actions = append(actions, e.Action)
	}
	return actions, next
}

func TestEntriesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := durable.Dir(t.TempDir())
		l := open(t, audit.Config{FS: fsys})
		begin := time.Now()
		for i := range 5 {
			require.NoError(t, l.Append(entry(fmt.Sprint(i))))
			<-time.After(time.Minute)
		}
		require.NoError(t, l.Close())
		l = open(t, audit.Config{FS: fsys})
		require.NoError(t, l.Append(entry("5")))
		all, next := page(t, l, audit.Query{})
		require.Equal(t, []string{"0", "1", "2", "3", "4", "5"}, all)
		require.EqualValues(t, 6, next)
		some, next := page(t, l, audit.Query{Limit: 2, After: 1})
		require.Equal(t, []string{"1", "2"}, some)
		require.EqualValues(t, 3, next)
		some, _ = page(t, l, audit.Query{After: next})
		require.Equal(t, []string{"3", "4", "5"}, some)
		some, next = page(t, l, audit.Query{After: 6})
		require.Empty(t, some)
		require.EqualValues(t, 6, next)
		some, _ = page(t, l, audit.Query{Since: begin.Add(150 * time.Second)})
		require.Equal(t, []string{"3", "4", "5"}, some)
		require.NoError(t, l.Close())
	})
}

func TestTheLogIsBounded(t *testing.T) {
	fsys := crashfs.New()
	l := open(t, audit.Config{FS: fsys, SegmentBytes: 1000, Bytes: 5000})
	for i := range 300 {
		require.NoError(t, l.Append(entry(fmt.Sprint(i))))
	}
	entries, err := fsys.ReadDir(".")
	require.NoError(t, err)
	require.LessOrEqual(t, len(entries), 5)
	all, next := page(t, l, audit.Query{})
	require.Equal(t, "299", all[len(all)-1])
	require.Greater(t, len(all), 20)
	require.EqualValues(t, 300, next)
	again := open(t, audit.Config{FS: fsys, SegmentBytes: 1000, Bytes: 5000})
	kept, _ := page(t, again, audit.Query{})
	require.Equal(t, all, kept)
}

// Refusals beyond a rate are counted, and push no change out of the log.
func TestRefusalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, audit.Config{FS: crashfs.New()})
		for range 250 {
			require.NoError(t, l.Refuse(entry("add")))
		}
		all, _ := page(t, l, audit.Query{})
		require.Len(t, all, 100)
		require.NoError(t, l.Append(entry("remove")))
		lines, _, err := l.Page(audit.Query{After: 100, Limit: 10})
		require.NoError(t, err)
		require.Contains(t, string(lines[0]), `"omitted":150`)
		<-time.After(10 * time.Second)
		require.NoError(t, l.Refuse(entry("add")))
		require.NoError(t, l.Refuse(entry("add")))
		all, _ = page(t, l, audit.Query{})
		require.Len(t, all, 102)
	})
}

// A part of a line, as a crash leaves it, hides no other entry.
func TestPartsOfLines(t *testing.T) {
	fsys := durable.Dir(t.TempDir())
	f, err := fsys.Create("audit-0000000000000001.jsonl", durable.FileMode)
	require.NoError(t, err)
	_, err = f.Write([]byte(`{"n":1,"action":"one"}` + "\n" + `{"n":2,"act`))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	l := open(t, audit.Config{FS: fsys})
	require.NoError(t, l.Append(entry("two")))
	all, _ := page(t, l, audit.Query{})
	require.Equal(t, []string{"one", "two"}, all)
	require.NoError(t, l.Close())
}

// Changes that a full disk refuses push no entry out of the log.
func TestAFullDiskKeepsTheLog(t *testing.T) {
	fsys := crashfs.New()
	l := open(t, audit.Config{FS: fsys})
	require.NoError(t, l.Append(entry("first")))
	for _, kind := range []string{"write", "sync"} {
		for _, effect := range []bool{false, true} {
			fsys.Inject(func(op crashfs.Operation) (f crashfs.Fault) {
				if op.Kind == kind {
					f = crashfs.Fault{Err: syscall.ENOSPC, Effect: effect}
				}
				return f
			})
			for range 1100 {
				require.ErrorIs(t, l.Append(entry("refused")), syscall.ENOSPC)
			}
		}
	}
	fsys.Inject(nil)
	require.NoError(t, l.Append(entry("last")))
	entries, err := fsys.ReadDir(".")
	require.NoError(t, err)
	require.Len(t, entries, 2)
	all, _ := page(t, l, audit.Query{})
	require.Equal(t, "first", all[0])
	require.Equal(t, "last", all[len(all)-1])
	again, _ := page(t, open(t, audit.Config{FS: fsys}), audit.Query{})
	require.Equal(t, all, again)
}
