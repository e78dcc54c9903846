package readahead

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// over returns a Reader of from that is not interrupted.
func over(from io.Reader) *Reader {
	r := &Reader{}
	r.Reset(from, func() { panic("interrupted") })
	return r
}

// ready reports whether the channel is closed.
func ready(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestPollingChangesNothing(t *testing.T) {
	failure := errors.New("failure")
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 0))
		want := make([]byte, random.IntN(3*chunkBytes))
		for i := range want {
			want[i] = byte(random.Uint32())
		}
		end := []error{io.EOF, failure}[seed%2]
		var from io.Reader = io.MultiReader(bytes.NewReader(want), iotest.ErrReader(end))
		if seed%3 == 0 {
			from = iotest.DataErrReader(from)
		}
		r := over(from)
		var got []byte
		for {
			if random.IntN(2) == 0 {
				polled := r.Ready()
				require.Equal(t, polled, r.Ready(), "one read at a time")
				if random.IntN(2) == 0 {
					<-polled
				}
			}
			p := make([]byte, random.IntN(2*chunkBytes))
			n, err := r.Read(p)
			got = append(got, p[:n]...)
			if err != nil {
				require.ErrorIs(t, err, end)
				break
			}
		}
		require.True(t, bytes.Equal(want, got), "seed %d", seed)
		<-r.Ready()
		_, err := r.Read(make([]byte, 1))
		require.ErrorIs(t, err, end, "the end stays")
		r.Stop()
	}
}

func TestReadyWaitsForData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		r := over(from)
		polled := r.Ready()
		synctest.Wait()
		require.False(t, ready(polled))
		_, err := to.Write([]byte("data"))
		require.NoError(t, err)
		synctest.Wait()
		require.True(t, ready(polled))
		require.True(t, ready(r.Ready()), "as long as there is data")
		p := make([]byte, 3)
		n, err := r.Read(p)
		require.NoError(t, err)
		require.Equal(t, "dat", string(p[:n]))
		require.True(t, ready(r.Ready()))
		n, err = r.Read(p)
		require.NoError(t, err)
		require.Equal(t, "a", string(p[:n]))
		polled = r.Ready()
		synctest.Wait()
		require.False(t, ready(polled))
		require.NoError(t, to.Close())
		synctest.Wait()
		require.True(t, ready(polled), "the end is ready too")
		_, err = r.Read(p)
		require.Equal(t, io.EOF, err)
		r.Stop()
	})
}

func TestReadWaitsForTheReadAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		r := over(from)
		r.Ready()
		read := make(chan string)
		go func() {
			p := make([]byte, 10)
			n, _ := r.Read(p)
			read <- string(p[:n])
		}()
		synctest.Wait()
		_, err := to.Write([]byte("data"))
		require.NoError(t, err)
		require.Equal(t, "data", <-read)
		r.Stop()
	})
}

func TestStopInterrupts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		from, _ := io.Pipe()
		r := &Reader{}
		r.Reset(from, func() { require.NoError(t, from.Close()) })
		polled := r.Ready()
		synctest.Wait()
		require.False(t, ready(polled))
		r.Stop()
		require.True(t, ready(polled))
		_, err := r.Read(make([]byte, 1))
		require.ErrorIs(t, err, ErrStopped)
		require.True(t, ready(r.Ready()))
		_, err = r.Read(make([]byte, 1))
		require.ErrorIs(t, err, ErrStopped)
		r.Stop()
	})
}

func TestWithoutPollingThereIsNoCost(t *testing.T) {
	r, p := over(bytes.NewReader(nil)), make([]byte, 1)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, _ = r.Read(p)
	}))
}
