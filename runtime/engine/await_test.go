package engine

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAwait(t *testing.T) {
	e := open(t, Config{})
	m := compile(t, e, "hostloop", ModuleOptions{Entries: []string{"spin"}})
	never, closed := make(chan struct{}), make(chan struct{})
	close(closed)
	for name, c := range map[string]struct {
		wait   time.Duration
		limit  time.Duration
		ready  []<-chan struct{}
		cancel bool
		want   Kind
	}{
		"one of the channels": {time.Hour, time.Hour, []<-chan struct{}{never, closed}, false, Exit},
		"the time":            {time.Millisecond, time.Hour, []<-chan struct{}{never}, false, Exit},
		"the deadline":        {time.Hour, 10 * time.Millisecond, []<-chan struct{}{never}, false, Deadline},
		"the caller":          {time.Hour, time.Hour, []<-chan struct{}{never}, true, Canceled},
		"nothing":             {time.Millisecond, time.Hour, nil, false, Exit},
		"too many":            {time.Hour, time.Hour, make([]<-chan struct{}, MaxAwaited+1), false, Trap},
	} {
		t.Run(name, func(t *testing.T) {
			in := prepare(t, m)
			paused := false
			in.OnPause = func() { paused = true }
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			in.Exchange = func(uint32) {
				if c.cancel {
					time.AfterFunc(time.Millisecond, cancel)
				}
				in.Await(c.wait, c.ready...)
				in.ExitGuest(0)
			}
			out := in.Call(ctx, time.Now().Add(c.limit), 0, make([]uint64, 1))
			require.Equal(t, c.want, out.Kind, "%v", out.Err)
			require.Equal(t, c.want != Trap, paused, "the output so far is sent, and others may use the processor")
		})
	}
}
