package proxy

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var ended atomic.Int64
		expire := func() { ended.Store(int64(time.Since(begin))) }
		expired := func() time.Duration { return time.Duration(ended.Load()) }

		p := newPatience(begin, 10*time.Second)
		p.start(expire)
		for range 10 { // in total far longer than the limit
			time.Sleep(9 * time.Second)
			p.progress(10<<10, false)
		}
		time.Sleep(9 * time.Second)
		p.progress(0, true)
		time.Sleep(9 * time.Second)
		require.Zero(t, expired(), "the limit counts from the end of the body")
		time.Sleep(2 * time.Second)
		require.Equal(t, 109*time.Second, expired())
		require.False(t, p.stop())
		p.progress(1, false)

		begin = time.Now()
		ended.Store(0)
		p = newPatience(begin, 10*time.Second)
		p.start(expire)
		for range 100 { // single bytes do not extend the wait
			time.Sleep(time.Second)
			p.progress(1, false)
		}
		require.Equal(t, 10, int(expired()/time.Second))

		begin = time.Now()
		ended.Store(0)
		p = newPatience(begin, 10*time.Second)
		p.start(expire)
		require.True(t, p.stop())
		p.progress(1, true)
		time.Sleep(time.Minute)
		require.Zero(t, expired())
	})
}
