package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/events"
	"github.com/vespo-dev/vespo/services/events/embedded"
)

// ready is a catalogue that is loaded.
type ready struct{ Catalogue }

func (ready) Ready() bool { return true }

// backlogOf returns a backlog with its store in memory.
func backlogOf(t *testing.T, letters io.Writer, parallel int, carry func(context.Context, *event) (time.Duration, error)) *backlog {
	t.Helper()
	store, err := embedded.Open(embedded.Config{})
	require.NoError(t, err)
	cfg := Config{Catalogue: ready{}, Events: store, DeadLetters: letters, Parallel: parallel}.withDefaults()
	return newBacklog(&cfg, carry)
}

func newEvent(id, payload string) *event {
	return &event{
		target:  target{name: "fn", key: routekey.MustParse("/fn"), arn: "arn"},
		call:    &invocation.Call{RequestID: id},
		payload: []byte(payload),
	}
}

func TestEventsAreRetriedAndBuried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var letters bytes.Buffer
		var running sync.WaitGroup
		var mu sync.Mutex
		attempts := map[string][]time.Duration{}
		begin := time.Now()
		q := backlogOf(t, &letters, 0, func(_ context.Context, e *event) (time.Duration, error) {
			mu.Lock()
			defer mu.Unlock()
			id := e.call.RequestID
			attempts[id] = append(attempts[id], time.Since(begin))
			switch e.Attempts++; {
			case id == "good", id == "late" && e.Attempts == 3:
				return 0, nil
			case id == "hopeless", e.Attempts > 3:
				return 0, &invocation.Error{Type: "T", Message: "no luck"}
			}
			return time.Minute, nil
		})
		ctx, stop := context.WithCancel(t.Context())
		running.Go(func() { q.run(ctx) })
		for _, id := range []string{"good", "late", "hopeless", "bad"} {
			require.NoError(t, q.accept(ctx, newEvent(id, `{"a":1}`)))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, map[string][]time.Duration{
			"good": {0}, "late": {0, time.Minute, 2 * time.Minute}, "hopeless": {0}, "bad": {0, time.Minute, 2 * time.Minute, 3 * time.Minute},
		}, attempts)
		stop()
		running.Wait()
		require.Zero(t, q.cfg.Events.Stats().Events)
		lines := strings.Split(strings.TrimSpace(letters.String()), "\n")
		require.Len(t, lines, 2)
		var l letter
		require.NoError(t, json.Unmarshal([]byte(lines[1]), &l))
		require.Equal(t, letterContext{"bad", "arn", "RetriesExhausted", 4}, l.RequestContext)
		require.JSONEq(t, `{"errorType":"T","errorMessage":"no luck"}`, string(l.Response))
		require.JSONEq(t, `{"a":1}`, string(l.RequestPayload))
	})
}

// TestEventsAtTheEnd checks that a stop keeps waiting events, and makes attempts in progress again if they are cut off.
func TestEventsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var letters bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		release := make(chan struct{})
		q := backlogOf(t, &letters, 2, func(ctx context.Context, e *event) (time.Duration, error) {
			switch e.call.RequestID {
			case "waits":
				e.Throttles++
				return time.Hour, nil
			case "ends":
				<-release
				return 0, nil
			}
			<-ctx.Done()
			e.Attempts++
			return time.Second, nil
		})
		running.Go(func() { q.run(ctx) })
		for _, id := range []string{"waits", "ends", "cut", "queued"} {
			require.NoError(t, q.accept(ctx, newEvent(id, "1")))
			synctest.Wait()
		}
		stop()
		synctest.Wait()
		close(release)
		q.end(t.Context(), time.Second)
		running.Wait()
		require.Empty(t, letters.String())
		taken, _, err := q.cfg.Events.Take(t.Context(), 10, time.Hour)
		require.NoError(t, err)
		require.Len(t, taken, 2)
		for _, e := range taken {
			require.Contains(t, []string{"cut", "queued"}, e.ID)
			require.Equal(t, events.Progress{}, e.Progress, "an attempt that the server ended does not count")
			require.Zero(t, e.Lost)
		}
		require.Equal(t, 3, q.cfg.Events.Stats().Events, "what has begun may end")
	})
}

// TestEventsAreGivenUp checks the limits that no answer of a function has reached.
func TestEventsAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var letters bytes.Buffer
		q := backlogOf(t, &letters, 0, func(context.Context, *event) (time.Duration, error) {
			t.Error("it runs")
			return 0, nil
		})
		require.NoError(t, q.accept(t.Context(), newEvent("lost", "1")))
		for range maxLost {
			taken, _, err := q.cfg.Events.Take(t.Context(), 1, time.Minute)
			require.NoError(t, err)
			require.Len(t, taken, 1)
			time.Sleep(2 * time.Minute)
		}
		require.NoError(t, q.cfg.Events.Put(t.Context(), events.Event{ID: "strange", Function: "fn", Content: []byte("?")}))
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { q.run(ctx) })
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Contains(t, letters.String(), `"condition":"RetriesExhausted"`)
		require.Equal(t, 1, q.cfg.Events.Stats().Events)
		stop()
		running.Wait()
		letters.Reset()
		require.NoError(t, q.accept(t.Context(), newEvent("old", "1")))
		time.Sleep(events.MaxAge + time.Second)
		ctx, stop = context.WithCancel(t.Context())
		running.Go(func() { q.run(ctx) })
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Contains(t, letters.String(), `"condition":"EventAgeExceeded"`)
		require.Zero(t, q.cfg.Events.Stats().Events)
		stop()
		running.Wait()
	})
}

// fullDisk fails writes until it has room.
type fullDisk struct {
	bytes.Buffer
	room atomic.Bool
}

func (d *fullDisk) Write(line []byte) (int, error) {
	if !d.room.Load() {
		return 0, errors.New("full")
	}
	return d.Buffer.Write(line)
}

// TestDeadLetterWaits checks that an event stays until its dead letter is written, and is not invoked again.
func TestDeadLetterWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{}
		calls := 0
		q := backlogOf(t, disk, 1, func(_ context.Context, e *event) (time.Duration, error) {
			calls++
			e.Attempts++
			return 0, &invocation.Error{Type: "T", Message: "no luck"}
		})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { q.run(ctx) })
		require.NoError(t, q.accept(ctx, newEvent("e", "not JSON")))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Equal(t, 1, q.cfg.Events.Stats().Events)
		disk.room.Store(true)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		stop()
		running.Wait()
		require.Equal(t, 1, calls)
		require.Zero(t, q.cfg.Events.Stats().Events)
		require.Equal(t, 1, strings.Count(disk.String(), "no luck"))
		require.Contains(t, disk.String(), `"approximateInvokeCount":1`)
	})
}

// TestPausedBacklog checks that a host that is drained takes no events.
func TestPausedBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var paused atomic.Bool
		paused.Store(true)
		calls := 0
		q := backlogOf(t, io.Discard, 1, func(context.Context, *event) (time.Duration, error) {
			calls++
			return 0, nil
		})
		q.cfg.Paused = paused.Load
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { q.run(ctx) })
		require.NoError(t, q.accept(ctx, newEvent("e", "1")))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Zero(t, calls)
		paused.Store(false)
		time.Sleep(time.Minute)
		stop()
		running.Wait()
		require.Equal(t, 1, calls)
	})
}

func TestEventsAreBounded(t *testing.T) {
	store, err := embedded.Open(embedded.Config{Events: 3})
	require.NoError(t, err)
	cfg := Config{Events: store}.withDefaults()
	q := newBacklog(&cfg, nil)
	for _, id := range []string{"a", "b"} {
		require.NoError(t, q.accept(t.Context(), newEvent(id, "1")))
	}
	var f *failure
	require.NoError(t, store.Close())
	require.ErrorAs(t, q.accept(t.Context(), newEvent("closed", "")), &f)
	require.Equal(t, []any{503, "ServiceException"}, []any{f.status, f.errorType})
	require.NotContains(t, f.message, "closed", "clients do not see the reason")
	require.ErrorIs(t, f, events.ErrUnavailable)
	store, err = embedded.Open(embedded.Config{Events: 1, Bytes: 10})
	require.NoError(t, err)
	cfg.Events = store
	require.ErrorAs(t, q.accept(t.Context(), newEvent("large", "")), &f)
	require.Equal(t, []any{429, "TooManyRequestsException"}, []any{f.status, f.errorType})
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add(newEvent("id", "payload").encode())
	f.Add([]byte{0, 0, 0, 2, '{', '}'})
	f.Add([]byte{255, 255, 255, 255, '{', '}'})
	f.Fuzz(func(t *testing.T, content []byte) {
		e, err := decodeEvent(content)
		if err != nil {
			require.ErrorIs(t, err, errEvent)
			return
		}
		again, err := decodeEvent(e.encode())
		require.NoError(t, err)
		require.Equal(t, e, again)
	})
}

func TestDeadLetters(t *testing.T) {
	name := filepath.Join(t.TempDir(), "letters")
	d, err := OpenDeadLetters(name)
	require.NoError(t, err)
	d.maxBytes = 20
	for _, line := range []string{"first of ten\n", "second\n", "third one\n", "a line longer than all of the file\n", "last\n"} {
		_, err := d.Write([]byte(line))
		require.NoError(t, err)
	}
	require.NoError(t, d.Close())
	read := func(name string) string {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(text)
	}
	require.Equal(t, "last\n", read(name))
	require.Equal(t, "a line longer than all of the file\n", read(name+".1"))
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	d, err = OpenDeadLetters(name)
	require.NoError(t, err)
	require.EqualValues(t, 5, d.sizeBytes, "it goes on where it was")
	require.NoError(t, d.Close())
	_, err = OpenDeadLetters(filepath.Join(name, "below a file"))
	require.Error(t, err)
}

func TestFailureOfUnknownErrors(t *testing.T) {
	f := failureOf(errors.New("/secret/path"))
	require.Equal(t, 500, f.status)
	require.NotContains(t, f.message, "secret")
}

// TestTornDeadLetter opens a file whose last line a crash has torn.
func TestTornDeadLetter(t *testing.T) {
	name := filepath.Join(t.TempDir(), "letters")
	for before, want := range map[string]string{
		"":                     "{\"c\":3}\n",
		"{\"a\":1}\n":          "{\"a\":1}\n{\"c\":3}\n",
		"{\"a\":1}\n{\"b\":":   "{\"a\":1}\n{\"b\":\n{\"c\":3}\n",
		"\x00\x00\x00\x00\x00": "\x00\x00\x00\x00\x00\n{\"c\":3}\n",
	} {
		require.NoError(t, os.WriteFile(name, []byte(before), 0o600))
		d, err := OpenDeadLetters(name)
		require.NoError(t, err)
		_, err = d.Write([]byte("{\"c\":3}\n"))
		require.NoError(t, err)
		require.NoError(t, d.Close())
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, want, string(text))
	}
}

// TestNoEventBeginsAfterTheStop runs a backlog whose server has stopped, with places for due events.
func TestNoEventBeginsAfterTheStop(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for range 20 {
		q := backlogOf(t, io.Discard, 0, func(context.Context, *event) (time.Duration, error) {
			t.Error("an event was begun")
			return 0, nil
		})
		require.NoError(t, q.accept(t.Context(), newEvent("id", `{}`)))
		q.run(ctx)
		require.Equal(t, 1, q.cfg.Events.Stats().Events)
	}
}
