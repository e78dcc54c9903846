package runtimeapi

import (
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A worker whose connection ended may answer on another one, but not for long.
func TestWorkerLosesItsConnection(t *testing.T) {
	for name, late := range map[string]bool{"and answers": false, "and is lost": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := New(Config{Log: slog.New(slog.DiscardHandler)})
				a, b := net.Pipe()
				first, other := e.opened(a), e.opened(b)
				ended := make(chan error, 1)
				go func() {
					reply, err := e.Invoke(t.Context(), Input{Timeout: time.Hour, Wait: time.Hour})
					if err == nil {
						reply.Close()
					}
					ended <- err
				}()
				p, _ := e.take(t.Context(), first)
				e.closed(a)
				time.Sleep(lostAfter / 2)
				if late {
					require.ErrorIs(t, <-ended, ErrWorkerLost)
					return
				}
				again, err := e.begin(p.id, other)
				require.NoError(t, err)
				time.Sleep(lostAfter)
				require.True(t, e.complete(again, NewReply(nil, "", func() {})))
				require.NoError(t, <-ended)
			})
		})
	}
}
