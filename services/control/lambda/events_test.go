package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/budget"
)

func newEvent(id, payload string) *event {
	return &event{target: target{arn: "arn"}, call: &invocation.Call{RequestID: id}, payload: []byte(payload)}
}

// requireEmpty checks that events hold no resources any more.
func (q *events) requireEmpty(t *testing.T) {
	t.Helper()
	require.Empty(t, q.places)
	require.Equal(t, q.cfg.EventBytes, q.bytes.Left())
}

func TestEventsAreRetriedAndBuried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var letters bytes.Buffer
		cfg := Config{DeadLetters: &letters}.withDefaults()
		q := newEvents(&cfg)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		var mu sync.Mutex
		attempts := map[string][]time.Duration{}
		begin := time.Now()
		running.Go(func() {
			q.run(ctx, func(_ context.Context, e *event) (time.Duration, error) {
				mu.Lock()
				defer mu.Unlock()
				id := e.call.RequestID
				attempts[id] = append(attempts[id], time.Since(begin))
				switch e.attempts++; {
				case id == "good", id == "late" && e.attempts == 3:
					return 0, nil
				case id == "hopeless", e.attempts > 3:
					return 0, &invocation.Error{Type: "T", Message: "no luck"}
				}
				return time.Minute, nil
			})
		})
		for _, id := range []string{"good", "late", "hopeless", "bad"} {
			require.NoError(t, q.accept(newEvent(id, `{"a":1}`)))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, map[string][]time.Duration{
			"good": {0}, "late": {0, time.Minute, 2 * time.Minute}, "hopeless": {0}, "bad": {0, time.Minute, 2 * time.Minute, 3 * time.Minute},
		}, attempts)
		stop()
		running.Wait()
		q.requireEmpty(t)
		require.Error(t, q.accept(newEvent("after", "")))
		lines := strings.Split(strings.TrimSpace(letters.String()), "\n")
		require.Len(t, lines, 2)
		var l letter
		require.NoError(t, json.Unmarshal([]byte(lines[1]), &l))
		require.Equal(t, letterContext{"bad", "arn", "RetriesExhausted", 4}, l.RequestContext)
		require.JSONEq(t, `{"errorType":"T","errorMessage":"no luck"}`, string(l.Response))
		require.JSONEq(t, `{"a":1}`, string(l.RequestPayload))
	})
}

// TestEventsAtTheEnd checks that events that are queued or wait for a retry at shutdown become dead letters.
func TestEventsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var letters bytes.Buffer
		cfg := Config{DeadLetters: &letters, Parallel: 1}.withDefaults()
		q := newEvents(&cfg)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		release := make(chan struct{})
		running.Go(func() {
			q.run(ctx, func(_ context.Context, e *event) (time.Duration, error) {
				if e.call.RequestID == "waits" {
					return time.Hour, nil
				}
				<-release
				return 0, nil
			})
		})
		for _, id := range []string{"waits", "runs", "queued"} {
			require.NoError(t, q.accept(newEvent(id, "1")))
			synctest.Wait()
		}
		stop()
		synctest.Wait()
		close(release)
		running.Wait()
		q.requireEmpty(t)
		require.Equal(t, 2, strings.Count(letters.String(), "ServerStopped"), letters.String())
		require.NotContains(t, letters.String(), `"runs"`, "what has begun may end")
	})
}

func TestEventsAreBounded(t *testing.T) {
	cfg := Config{Events: 3, EventBytes: 120}.withDefaults()
	q := newEvents(&cfg)
	var f *failure
	require.ErrorAs(t, q.accept(newEvent("large", strings.Repeat("x", 91))), &f)
	require.Equal(t, 429, f.status)
	for range 3 {
		require.NoError(t, q.accept(newEvent("fits", strings.Repeat("x", 30))))
	}
	require.ErrorAs(t, q.accept(newEvent("many", "")), &f)
	require.Equal(t, "TooManyRequestsException", f.errorType)
	require.EqualValues(t, 30, q.bytes.Left(), "a refused event holds nothing")
	stats := (&Handler{events: q, budget: budget.New(1)}).Stats()
	require.Equal(t, []int{3, 3}, []int{stats.Events, stats.MaxEvents})
	require.EqualValues(t, 90, stats.EventBytes.HeldBytes)
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
