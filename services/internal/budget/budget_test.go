package budget

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 8192, 99_999, 100_000} {
		b := New(1 << 20)
		a := b.For("a")
		text := strings.Repeat("x", n)
		for _, r := range []func() io.Reader{
			func() io.Reader { return strings.NewReader(text) },
			func() io.Reader { return iotest.OneByteReader(strings.NewReader(text)) },
			func() io.Reader { return iotest.DataErrReader(strings.NewReader(text)) },
		} {
			body, held, err := a.Read(r(), 100_000)
			require.NoError(t, err)
			require.Equal(t, text, string(body.Bytes()))
			require.EqualValues(t, n, body.Len())
			var capacity int64
			for _, c := range body.Chunks() {
				require.NotEmpty(t, c)
				capacity += int64(cap(c))
			}
			require.Equal(t, capacity, held, "what is counted is what is allocated")
			require.LessOrEqual(t, held, max(2*int64(n), minChunk))
			require.Equal(t, int64(1<<20)-held, b.Left())
			again, err := io.ReadAll(body.Reader())
			require.NoError(t, err)
			require.Equal(t, text, string(again))
			var copied bytes.Buffer
			_, err = body.WriteTo(&copied)
			require.NoError(t, err)
			require.Equal(t, text, copied.String())
			a.Give(held)
			data, held, err := a.ReadAll(r(), 100_000)
			require.NoError(t, err)
			require.Equal(t, text, string(data))
			require.GreaterOrEqual(t, held, int64(n))
			a.Give(held)
			require.EqualValues(t, 1<<20, b.Left())
			require.Empty(t, b.held)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	b := New(100_000)
	a := b.For("a")
	for _, c := range []struct {
		r     func() io.Reader
		limit int64
		want  error
	}{
		{func() io.Reader { return bytes.NewReader(make([]byte, 5001)) }, 5000, ErrTooLong},
		{func() io.Reader { return bytes.NewReader(make([]byte, 1)) }, 0, ErrTooLong},
		{func() io.Reader { return bytes.NewReader(make([]byte, 200_000)) }, 1 << 20, ErrExhausted},
		{func() io.Reader { return iotest.ErrReader(io.ErrUnexpectedEOF) }, 10, io.ErrUnexpectedEOF},
	} {
		for _, read := range []func() (int, int64, error){
			func() (int, int64, error) {
				body, held, err := a.Read(c.r(), c.limit)
				return int(body.Len()), held, err
			},
			func() (int, int64, error) { data, held, err := a.ReadAll(c.r(), c.limit); return len(data), held, err },
		} {
			n, held, err := read()
			require.ErrorIs(t, err, c.want)
			if errors.Is(c.want, ErrTooLong) {
				require.EqualValues(t, c.limit+1, n, "the beginning")
			} else {
				require.Zero(t, n)
			}
			a.Give(held)
			require.Equal(t, int64(100_000), b.Left(), "what was held is given back")
		}
	}
}

func TestWriter(t *testing.T) {
	b := New(1 << 20)
	w := b.For("a").Writer(10_000)
	var want bytes.Buffer
	for want.Len() < 9000 {
		piece := bytes.Repeat([]byte{byte(want.Len())}, rand.IntN(500))
		n, err := w.Write(piece)
		require.NoError(t, err)
		require.Len(t, piece, n)
		want.Write(piece)
	}
	require.Equal(t, want.Bytes(), w.Body.Bytes())
	_, err := w.Write(make([]byte, 2000))
	require.ErrorIs(t, err, ErrTooLong)
	require.Equal(t, 1<<20-w.Held, b.Left())
}

// TestShares checks that services never take the whole budget: one more service always finds bytes left.
func TestShares(t *testing.T) {
	const whole = 256 << 20
	for services := 1; services <= 8; services++ {
		b := New(whole)
		held := make([]int64, services)
		for more := true; more; { // all services take in turns until none can take more
			more = false
			for i := range held {
				if b.For(string(rune('a' + i))).Take(1 << 20) {
					held[i] += 1 << 20
					more = true
				}
			}
		}
		var total int64
		for _, h := range held {
			require.LessOrEqual(t, h, int64(whole)*Share/(Share+1), "no service has more than its share of the whole")
			total += h
		}
		require.Equal(t, whole-total, b.Left())
		require.True(t, b.For("new").Take(4<<20), "%d services: one that comes new gets something", services)
	}
}

func TestTakeTogether(t *testing.T) {
	b := New(1000)
	var mu sync.Mutex
	taken := map[string]int64{}
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			service := string(rune('a' + i%3))
			if b.For(service).Take(1) {
				mu.Lock()
				taken[service]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for service, n := range taken {
		b.For(service).Give(n)
	}
	require.EqualValues(t, 1000, b.Left())
	require.Empty(t, b.held)
}

func TestStats(t *testing.T) {
	b := New(1000)
	require.True(t, b.For("a").Take(600))
	require.True(t, b.For("b").Take(100))
	require.False(t, b.For("a").Take(600))
	require.Equal(t, Stats{SizeBytes: 1000, HeldBytes: 700, Accounts: 2, Refused: 1}, b.Stats())
	b.For("a").Give(600)
	b.For("b").Give(100)
	require.Equal(t, Stats{SizeBytes: 1000, Refused: 1}, b.Stats())
}
