package output

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// file is a file with limited room. Beyond it, writes block or fail.
type file struct {
	mu      sync.Mutex
	text    bytes.Buffer // guarded by mu, like all below
	writes  int
	fail    error         // error of writes, after room bytes
	room    int           // bytes that a failing write takes
	blocked chan struct{} // nil unless writes block until it is closed
}

func (f *file) Write(p []byte) (int, error) {
	f.mu.Lock()
	blocked := f.blocked
	f.mu.Unlock()
	if blocked != nil {
		<-blocked
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes++
	if f.fail != nil {
		n := min(f.room, len(p))
		f.text.Write(p[:n])
		f.room -= n
		return n, f.fail
	}
	return f.text.Write(p)
}

func (f *file) set(change func(*file)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *file) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.String()
}

// closed closes w and reports whether all lines were written.
func closed(w *Writer, atMost time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	return w.Close(ctx)
}

// notices records the calls of a Config.
type notices struct {
	stalled []error
	resumed []int64
}

func (n *notices) config() Config {
	return Config{
		Stalled: func(err error) { n.stalled = append(n.stalled, err) },
		Resumed: func(dropped, _ int64) { n.resumed = append(n.resumed, dropped) },
	}
}

func TestLinesAreWrittenInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{}
		w := Open(f, Config{})
		var want strings.Builder
		for i := range 1000 {
			line := fmt.Sprintln("line", i)
			want.WriteString(line)
			if i%3 == 0 {
				w.Gather([]byte(line))
			} else {
				w.Write([]byte(line))
			}
		}
		synctest.Wait()
		require.Equal(t, want.String(), f.String())
		require.True(t, closed(w, time.Second))
		require.Equal(t, Stats{Lines: 1000}, w.Stats())
		w.Write([]byte("late\n"))
		require.Equal(t, Stats{Lines: 1000, Dropped: 1}, w.Stats())
	})
}

func TestGatheredLinesAreWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{}
		w := Open(f, Config{})
		defer closed(w, time.Second)
		for range 100 {
			fmt.Fprintln(w.Gathering(), "line")
			synctest.Wait()
		}
		require.Empty(t, f.String())
		time.Sleep(GatherTime)
		synctest.Wait()
		require.Equal(t, strings.Repeat("line\n", 100), f.String())
		require.Equal(t, 1, f.writes)

		w.Gather([]byte("gathered\n"))
		w.Write([]byte("urgent\n"))
		synctest.Wait()
		require.Equal(t, 2, f.writes, "a line that does not wait takes the others along")
		w.Gather(bytes.Repeat([]byte("x"), gatherBytes))
		synctest.Wait()
		require.Equal(t, 2+gatherBytes/pieceBytes, f.writes, "so many do not wait for more")
	})
}

// TestBlockedFile checks that a blocked file costs only the
// lines beyond the bound, which are counted and reported.
func TestBlockedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := &file{blocked: make(chan struct{})}, &notices{}
		w := Open(f, n.config())
		const size = 4 << 10
		const lines = 3 * LimitBytes / size
		line := append(bytes.Repeat([]byte("x"), size-1), '\n')
		begin := time.Now()
		for range lines {
			w.Write(line)
			synctest.Wait()
		}
		require.Zero(t, time.Since(begin), "no write has waited")
		stats := w.Stats()
		require.EqualValues(t, lines, stats.Lines+stats.Dropped)
		require.LessOrEqual(t, stats.Waiting, LimitBytes+pieceBytes)
		require.Equal(t, []error{nil}, n.stalled)
		require.Empty(t, n.resumed)

		close(f.blocked)
		synctest.Wait()
		require.Equal(t, []int64{stats.Dropped}, n.resumed)
		require.Zero(t, w.Stats().Waiting)
		require.EqualValues(t, stats.Lines, strings.Count(f.String(), "\n"))
		require.True(t, closed(w, time.Second))
	})
}

func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{blocked: make(chan struct{})}
		w := Open(f, Config{})
		w.Write([]byte("line\n"))
		synctest.Wait()
		begin := time.Now()
		require.False(t, closed(w, time.Second))
		require.Equal(t, time.Second, time.Since(begin))
		close(f.blocked)
		<-w.done
		require.True(t, closed(w, time.Second), "closed again")
	})
}

// TestFailingFile checks that pending lines are written without a torn line when a full disk has room again.
func TestFailingFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("no space left on device")
		f, n := &file{fail: full, room: 7}, &notices{}
		w := Open(f, n.config())
		w.Write([]byte("line 1\nline 2\n"))
		time.Sleep(time.Minute)
		require.Equal(t, "line 1\n", f.String())
		require.Less(t, f.writes, 80, "attempts are apart")
		require.Less(t, len(n.stalled), 8)
		require.Equal(t, full, n.stalled[0])
		f.set(func(f *file) { f.fail = nil })
		w.Write([]byte("line 3\n"))
		time.Sleep(2 * lastRetry)
		require.Equal(t, "line 1\nline 2\nline 3\n", f.String())
		require.Empty(t, n.resumed, "nothing was dropped")
		require.True(t, closed(w, time.Second))
	})
}

func TestCloseOfAFailingFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := Open(&file{fail: io.ErrClosedPipe}, Config{})
		w.Write([]byte("line\n"))
		synctest.Wait()
		require.False(t, closed(w, time.Hour))
		require.Equal(t, Stats{Lines: 1, Waiting: 5}, w.Stats())
	})
}

// TestNoticesAreBounded checks that notices about a file that
// stays slow keep their interval, and together count all lines.
func TestNoticesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := &file{}, &notices{}
		w := Open(f, n.config())
		for range 30 {
			blocked := make(chan struct{})
			f.set(func(f *file) { f.blocked = blocked })
			for range 3 {
				w.Write(bytes.Repeat([]byte("x"), LimitBytes/2+1))
				synctest.Wait()
			}
			f.set(func(f *file) { f.blocked = nil })
			close(blocked)
			time.Sleep(time.Second)
		}
		require.True(t, closed(w, time.Second))
		require.LessOrEqual(t, len(n.stalled), 4)
		require.LessOrEqual(t, len(n.resumed), 5)
		total := int64(0)
		for _, dropped := range n.resumed {
			total += dropped
		}
		require.Equal(t, w.Stats().Dropped, total)
		require.GreaterOrEqual(t, total, int64(30))
	})
}

// TestNoticesMayGoToTheSameFile checks that the server's own log can report the lines that it dropped.
func TestNoticesMayGoToTheSameFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{blocked: make(chan struct{})}
		var w *Writer
		opened := make(chan struct{})
		w = Open(f, Config{Resumed: func(dropped, _ int64) {
			<-opened
			fmt.Fprintf(w, "dropped %d\n", dropped)
		}})
		close(opened)
		for range 3 {
			w.Write(append(bytes.Repeat([]byte("x"), LimitBytes-1), '\n'))
			synctest.Wait()
		}
		close(f.blocked)
		synctest.Wait()
		require.True(t, strings.HasSuffix(f.String(), "x\ndropped 1\n"))
		require.True(t, closed(w, time.Second))
	})
}

func TestPiecesEndWithALine(t *testing.T) {
	for _, c := range []struct {
		batch string
		want  int
	}{
		{"a\nb", 3},
		{strings.Repeat("x", pieceBytes-3) + "\nabc\n", pieceBytes - 2},
		{strings.Repeat("x", 2*pieceBytes), pieceBytes},
	} {
		require.Equal(t, c.want, pieceEnd([]byte(c.batch)))
	}
}

func TestHammer(t *testing.T) {
	f := &file{}
	w := Open(f, Config{})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 500 {
				fmt.Fprintf(w, "writer %d line %d\n", i, j)
				fmt.Fprintf(w.Gathering(), "writer %d gathered %d\n", i, j)
			}
		})
	}
	all.Wait()
	require.True(t, closed(w, time.Minute))
	require.Equal(t, 8000, strings.Count(f.String(), "\n"))
	require.Equal(t, Stats{Lines: 8000}, w.Stats())
}

func BenchmarkGather(b *testing.B) {
	w := Open(io.Discard, Config{})
	defer closed(w, time.Second)
	line := append(bytes.Repeat([]byte("x"), 400), '\n')
	b.ReportAllocs()
	for b.Loop() {
		w.Gather(line)
	}
}
