package wasihttp3

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// arriving is a source whose data arrives when its channel is closed.
type arriving struct {
	io.Reader
	arrived chan struct{}
}

func (a arriving) Ready() <-chan struct{} { return a.arrived }

func TestPatience(t *testing.T) {
	limit := func(d time.Duration) optionalDuration { return optionalDuration{uint64(d), true} }
	synctest.Test(t, func(t *testing.T) {
		ctx, p := newPatience(t.Context(), &options{timeouts: [3]optionalDuration{limit(time.Second), limit(2 * time.Second), limit(time.Minute)}})
		advance := func(d time.Duration, over bool) {
			time.Sleep(d)
			synctest.Wait()
			require.Equal(t, over, ctx.Err() != nil)
			require.Equal(t, over, p.failure(nil) != nil)
		}
		advance(3*time.Second-1, false)
		a := arriving{arrived: make(chan struct{})}
		p.progress(a) // the response has begun
		advance(time.Minute-1, false)
		close(a.arrived)
		advance(time.Hour, false) // the guest may take its time
		p.progress(arriving{arrived: make(chan struct{})})
		advance(time.Minute-1, false)
		advance(1, true)
		p.stop()

		ctx, p = newPatience(t.Context(), &options{timeouts: [3]optionalDuration{{}, limit(0), {}}})
		advance(1, true)
		ctx, p = newPatience(t.Context(), &options{timeouts: [3]optionalDuration{{}, limit(time.Second), {}}})
		p.progress(a)
		advance(time.Hour, false) // no limit of reads
		p.stop()
		require.Error(t, ctx.Err())
	})
	ctx, p := newPatience(t.Context(), &options{timeouts: [3]optionalDuration{0: limit(1)}}) // connect alone, as with WASI 0.2
	require.Equal(t, t.Context(), ctx)
	require.Nil(t, p)
	p.progress(nil)
	p.stop()
	require.Nil(t, p.failure(nil))
}
