package peer_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// mute returns a host that takes connections, and never answers. opened counts them.
func mute(t *testing.T) (h *peer.Host, opened *atomic.Int32) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	opened = new(atomic.Int32)
	ended := make(chan struct{})
	var conns []net.Conn
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			opened.Add(1)
			conns = append(conns, c)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return hostAt(t, "http://"+l.Addr().String()), opened
}

func hostAt(t *testing.T, url string) *peer.Host {
	h, err := peer.NewHost(peer.HostConfig{URL: url, Token: "secret"})
	require.NoError(t, err)
	t.Cleanup(h.Close)
	return h
}

// gone returns a host that is not there.
func gone(t *testing.T) *peer.Host {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return hostAt(t, "http://"+l.Addr().String())
}

// TestRememberedHosts gets a blob from the one remembered host that is there, which others do not delay or spoil.
func TestRememberedHosts(t *testing.T) {
	blob := random(1, 2<<20)
	there, without := newOther(t, nil, cut(100_000)), newOther(t)
	damaged := newOther(t, nil, flip, flip)
	d := there.put(blob)
	damaged.put(blob)
	silent, _ := mute(t)
	hosts := []*peer.Host{silent, gone(t), hostAt(t, without.URL), hostAt(t, damaged.URL), hostAt(t, there.URL)}
	f := fetcher(t, peer.Config{Remembered: func() []*peer.Host { return hosts }})
	got, err := f.Fetch(t.Context(), d)
	require.NoError(t, err)
	require.Equal(t, blob, got)
}

// TestRememberedHostsAreLast asks a host that is there first, and remembered ones before an object store.
func TestRememberedHostsAreLast(t *testing.T) {
	living, remembered := newOther(t), newOther(t)
	at, elsewhere, nowhere := living.put([]byte("living")), remembered.put([]byte("remembered")), registry.DigestOf([]byte("nowhere"))
	var last atomic.Int32
	f := fetcher(t, peer.Config{
		Remembered: func() []*peer.Host { return []*peer.Host{hostAt(t, remembered.URL)} },
		Last: func(context.Context, registry.Digest) ([]byte, error) {
			last.Add(1)
			return nil, registry.ErrBlobMissing
		},
	}, living)
	_, err := f.Fetch(t.Context(), at)
	require.NoError(t, err)
	require.Zero(t, remembered.asked.Load())
	got, err := f.Fetch(t.Context(), elsewhere)
	require.NoError(t, err)
	require.Equal(t, "remembered", string(got))
	require.Zero(t, last.Load())
	_, err = f.Fetch(t.Context(), nowhere)
	require.ErrorIs(t, err, registry.ErrBlobMissing)
	require.EqualValues(t, 1, last.Load())
}

// TestSilentRememberedHost waits a short time for hosts that do not answer, and does not ask them for each blob.
func TestSilentRememberedHost(t *testing.T) {
	silent, opened := mute(t)
	refusing := newOther(t, status(http.StatusUnauthorized), status(http.StatusUnauthorized))
	hosts := []*peer.Host{silent, hostAt(t, refusing.URL)}
	f := fetcher(t, peer.Config{Remembered: func() []*peer.Host { return hosts }})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 10 {
		_, err := f.Fetch(ctx, registry.DigestOf([]byte("nowhere")))
		require.Error(t, err)
		require.NotErrorIs(t, err, registry.ErrBlobMissing, "a host that does not answer may have it")
	}
	require.NoError(t, ctx.Err())
	require.EqualValues(t, 1, opened.Load())
	require.EqualValues(t, 1, refusing.asked.Load())
}

// TestCanceledFetchFromRememberedHosts ends with its caller, and does not count against a host.
func TestCanceledFetchFromRememberedHosts(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("left")
	there := newOther(t, func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		cancel(left)
		<-r.Context().Done()
		return true
	})
	d := there.put([]byte("blob"))
	hosts := []*peer.Host{hostAt(t, there.URL)}
	f := fetcher(t, peer.Config{Remembered: func() []*peer.Host { return hosts }})
	_, err := f.Fetch(ctx, d)
	require.ErrorIs(t, err, left)
	_, err = f.Fetch(t.Context(), d)
	require.NoError(t, err)
}
