package parts_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
)

// diary records what happens to the parts of a list.
type diary struct {
	mu    sync.Mutex
	lines []string // guarded by mu while parts may be stuck
}

func (d *diary) note(what, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, what+" "+name)
}

func (d *diary) has(line string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Contains(d.lines, line)
}

// part returns a part that notes its opening and closing, and runs until its context ends.
func (d *diary) part(name string) parts.Part {
	return parts.Part{
		Name:  name,
		Open:  func(context.Context) error { d.note("open", name); return nil },
		Run:   func(ctx context.Context) error { <-ctx.Done(); return nil },
		Close: func(context.Context) error { d.note("close", name); return nil },
	}
}

var errInjected = errors.New("injected")

// TestOpenFails lets the opening of each part of a list fail: those before it are closed once, last in, first out.
func TestOpenFails(t *testing.T) {
	const count = 5
	for failing := range count + 1 {
		t.Run(fmt.Sprint(failing), func(t *testing.T) {
			var d diary
			l := parts.New(t.Context())
			var want []string
			for i := range count {
				p := d.part(fmt.Sprint(i))
				if i == failing {
					p.Open = func(context.Context) error { return errInjected }
					require.ErrorIs(t, l.Open(t.Context(), p), errInjected)
					break
				}
				require.NoError(t, l.Open(t.Context(), p))
				want = append(want, "open "+p.Name)
			}
			for i := len(want) - 1; i >= 0; i-- {
				want = append(want, fmt.Sprint("close ", i))
			}
			require.NoError(t, l.Close(time.Minute))
			require.NoError(t, l.Close(time.Minute), "a second time")
			require.Equal(t, want, d.lines)
		})
	}
}

// TestCloseFails lets every part fail to close: all errors are reported with the names, and all parts are closed.
func TestCloseFails(t *testing.T) {
	var d diary
	l := parts.New(t.Context())
	for _, name := range []string{"the first", "the second", "the third"} {
		p := d.part(name)
		note := p.Close
		p.Close = func(ctx context.Context) error { return errors.Join(note(ctx), errInjected) }
		require.NoError(t, l.Open(t.Context(), p))
	}
	err := l.Close(time.Minute)
	require.EqualError(t, err, "close the third: injected\nclose the second: injected\nclose the first: injected")
	require.Equal(t, []string{"close the third", "close the second", "close the first"}, d.lines[3:])
}

// TestRunFails checks that a part which fails ends the context of the list with its error.
func TestRunFails(t *testing.T) {
	var d diary
	l := parts.New(t.Context())
	require.NoError(t, l.Open(t.Context(), d.part("one")))
	p := d.part("two")
	p.Run = func(context.Context) error { return errInjected }
	require.NoError(t, l.Open(t.Context(), p))
	<-l.Context().Done()
	require.ErrorIs(t, context.Cause(l.Context()), errInjected)
	require.EqualError(t, l.Close(time.Minute), "injected")
	require.Equal(t, []string{"open one", "open two", "close two", "close one"}, d.lines)
}

// TestRunEndsByItself checks that a part whose work is done ends nothing else.
func TestRunEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := parts.New(t.Context())
		require.NoError(t, l.Open(t.Context(), parts.Part{Name: "done", Run: func(context.Context) error { return nil }}))
		synctest.Wait()
		require.NoError(t, l.Context().Err())
		require.NoError(t, l.Close(time.Minute))
	})
}

// TestRunOutlivesTheSignal checks that parts run until Close, and not only until the context of New ends.
func TestRunOutlivesTheSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := parts.New(ctx)
		ended := false
		require.NoError(t, l.Open(ctx, parts.Part{
			Name: "one",
			Run: func(ctx context.Context) error {
				<-ctx.Done()
				ended = true
				return nil
			},
		}))
		cancel()
		<-l.Context().Done()
		synctest.Wait()
		require.False(t, ended)
		require.NoError(t, l.Close(time.Minute))
		require.True(t, ended)
	})
}

// TestCloseWaitsForRun checks that the parts that a Run may use are closed after it has returned.
func TestCloseWaitsForRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		l := parts.New(t.Context())
		require.NoError(t, l.Open(t.Context(), d.part("one")))
		p := d.part("two")
		p.Run = func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Second)
			d.note("ended", "two")
			return nil
		}
		require.NoError(t, l.Open(t.Context(), p))
		require.NoError(t, l.Close(time.Minute))
		require.Equal(t, []string{"close two", "ended two", "close one"}, d.lines[2:])
	})
}

// TestStuck checks that closing is bounded, and that what a stuck part may use stays open.
func TestStuck(t *testing.T) {
	const patience = time.Minute
	for name, change := range map[string]func(*parts.Part, chan struct{}){
		"a part that does not close": func(p *parts.Part, end chan struct{}) {
			p.Close = func(context.Context) error { <-end; return nil }
		},
		"work that does not end": func(p *parts.Part, end chan struct{}) {
			p.Run = func(context.Context) error { <-end; return nil }
		},
		"a part that says so": func(p *parts.Part, _ chan struct{}) {
			p.Close = func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(parts.Grace)
				return fmt.Errorf("busy: %w", parts.ErrStuck)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d diary
				l := parts.New(t.Context())
				always := d.part("always")
				always.Always = true
				for _, p := range []parts.Part{d.part("one"), always, d.part("two")} {
					require.NoError(t, l.Open(t.Context(), p))
				}
				stuck, end := d.part("three"), make(chan struct{})
				defer close(end)
				change(&stuck, end)
				require.NoError(t, l.Open(t.Context(), stuck))
				require.NoError(t, l.Open(t.Context(), d.part("four")))
				began := time.Now()
				err := l.Close(patience)
				require.Equal(t, patience+parts.Grace, time.Since(began))
				require.ErrorIs(t, err, parts.ErrStuck)
				require.ErrorContains(t, err, "close three: ")
				require.ErrorContains(t, err, "left open, as it may be in use: two, one")
				require.True(t, d.has("close four") && d.has("close always"))
				require.False(t, d.has("close two") || d.has("close one"))
				require.NoError(t, l.Close(patience), "it is over")
			})
		})
	}
}

// TestDeadlineIsShared checks that all parts together have one deadline to finish.
func TestDeadlineIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := parts.New(t.Context())
		for range 3 {
			require.NoError(t, l.Open(t.Context(), parts.Part{
				Name: "slow",
				Close: func(ctx context.Context) error {
					<-ctx.Done()
					return ctx.Err()
				},
			}))
		}
		began := time.Now()
		require.ErrorIs(t, l.Close(time.Minute), context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(began))
	})
}

// TestReleaseClosesDataAlone checks that Release ends all work and closes the parts with data, last in, first out, and that
// Close closes the others, each once.
func TestReleaseClosesDataAlone(t *testing.T) {
	l := parts.New(t.Context())
	var closed []string
	for _, p := range []parts.Part{{Name: "catalogue", Data: true}, {Name: "engine"}, {Name: "store", Data: true}, {Name: "listener"}} {
		p.Run = func(ctx context.Context) error { <-ctx.Done(); return nil }
		p.Close = func(context.Context) error { closed = append(closed, p.Name); return nil }
		require.NoError(t, l.Open(t.Context(), p))
	}
	require.NoError(t, l.Release(t.Context()))
	require.Equal(t, []string{"store", "catalogue"}, closed)
	require.NoError(t, l.Context().Err(), "requests go on")
	require.NoError(t, l.Close(time.Minute))
	require.Equal(t, []string{"store", "catalogue", "listener", "engine"}, closed)
}
