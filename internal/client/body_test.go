package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
)

// deadlines is a ResponseWriter that sets read deadlines on a connection, and counts them.
type deadlines struct {
	http.ResponseWriter
	conn net.Conn
	set  []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return d.conn.SetReadDeadline(at)
}

// request returns a request with this body.
func request(ctx context.Context, body io.Reader) *http.Request {
	r := httptest.NewRequest("POST", "/", nil).WithContext(ctx)
	r.Body = io.NopCloser(body)
	return r
}

// read reads the body that send writes, in a bubble of fake time, with a rest between two reads.
func read(t *testing.T, terms func() Terms, send func(w io.Writer), rest time.Duration) (b *Body, took time.Duration, err error) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		var sending sync.WaitGroup
		sending.Go(func() {
			send(client)
			client.Close()
		})
		d := &deadlines{ResponseWriter: httptest.NewRecorder(), conn: server}
		b = NewBody(d, request(t.Context(), server), terms())
		begin := time.Now()
		for p := make([]byte, 64<<10); err == nil; {
			if _, err = b.Read(p); err == nil {
				time.Sleep(rest)
			}
		}
		took = time.Since(begin)
		require.True(t, d.set[0].IsZero(), "the server's deadline is replaced")
		if b.End() != Stalled {
			require.Len(t, d.set, 1, "no deadline is set while the client keeps to the terms")
		}
		b.Stop()
		server.Close()
		sending.Wait()
	})
	return b, took, err
}

// every returns a sender that writes size bytes repeatedly, with a pause before each write.
func every(pause time.Duration, size, times int) func(io.Writer) {
	return func(w io.Writer) {
		for range times {
			time.Sleep(pause)
			if _, err := io.WriteString(w, strings.Repeat("x", size)); err != nil {
				return
			}
		}
	}
}

func TestTimeOfABody(t *testing.T) {
	streamed := func() Terms { return Terms{Pace: Streamed()} }
	collected := func() Terms { return Terms{Pace: Collected()} }
	within := func(d time.Duration) func() Terms {
		return func() Terms { return Terms{Until: time.Now().Add(d), Pace: Collected()} }
	}
	const silence, second = 5 * time.Second, time.Second
	for name, c := range map[string]struct {
		terms func() Terms
		send  func(io.Writer)
		rest  time.Duration // between reads
		got   int64
		took  time.Duration // for a body that is too slow; otherwise 0
	}{
		"silent":                     {streamed, every(time.Hour, 1, 1), 0, 0, silence},
		"silent after a byte":        {streamed, every(time.Hour, 1, 2), 0, 0, silence},
		"all at once":                {streamed, every(0, 1<<20, 1), 0, 1 << 20, 0},
		"at the rate":                {streamed, every(second, 256, 1000), 0, 256_000, 0},
		"a little below the silence": {streamed, every(silence-second, 2560, 10), 0, 25_600, 0},
		"a byte now and then":        {streamed, every(second, 1, 1000), 0, 5, silence + second*5/256},
		"rich and then silent":       {streamed, func(w io.Writer) { every(0, 1<<20, 1)(w); time.Sleep(time.Hour) }, 0, 1 << 20, silence},
		"a reader that takes hours":  {streamed, every(0, 64<<10, 5), time.Hour, 5 * 64 << 10, 0},
		"collected, silent":          {collected, every(time.Hour, 1, 1), 0, 0, 10 * second},
		"collected, half the rate":   {collected, every(second, 15<<10, 100), 0, 17 * 15 << 10, 10*second + 17*15*second/32},
		"collected, at the rate":     {collected, every(second, 32<<10, 100), 0, 100 * 32 << 10, 0},
		"until":                      {within(3500 * time.Millisecond), every(second, 1<<20, 10), 0, 3 << 20, 3500 * time.Millisecond},
		"until, with silence":        {within(3 * second), every(time.Hour, 1, 1), 0, 0, 3 * second},
		"until is after the pace":    {within(time.Hour), every(2*time.Hour, 1, 1), 0, 0, 10 * second},
		"only until":                 {func() Terms { return Terms{Until: time.Now().Add(time.Hour)} }, every(2*time.Hour, 1, 1), 0, 0, time.Hour},
		"no bounds":                  {func() Terms { return Terms{} }, every(time.Hour, 1, 10), 0, 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b, took, err := read(t, c.terms, c.send, c.rest)
			if c.took == 0 {
				require.Equal(t, io.EOF, err)
				require.Equal(t, Complete, b.End())
				require.NoError(t, b.Failure())
			} else {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.InDelta(t, c.took, took, float64(time.Millisecond))
				require.Equal(t, Stalled, b.End())
				require.Equal(t, problem.RequestTimeout, problem.From(b.Failure()).Kind())
			}
			require.Equal(t, c.got, b.Received())
		})
	}
}

// TestUntilMoves checks that a new time applies to a read in progress.
func TestUntilMoves(t *testing.T) {
	for name, c := range map[string]struct{ until, moved, want time.Duration }{
		"earlier": {time.Hour, time.Minute, time.Minute},
		"later":   {time.Minute, time.Hour, time.Hour},
		"over":    {time.Hour, time.Second / 2, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				defer client.Close()
				defer server.Close()
				begin := time.Now()
				b := NewBody(&deadlines{ResponseWriter: httptest.NewRecorder(), conn: server}, request(t.Context(), server), Terms{Until: begin.Add(c.until)})
				time.AfterFunc(time.Second, func() { b.SetUntil(begin.Add(c.moved)) })
				_, err := b.Read(make([]byte, 1))
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.Equal(t, c.want, time.Since(begin))
			})
		})
	}
}

func TestEndOfABody(t *testing.T) {
	gone, left := errors.New("gone"), errors.New("left")
	for name, c := range map[string]struct {
		body    io.Reader
		left    bool // the context of the request is done
		chunked bool
		end     End
		failure error
		kind    problem.Kind
		got     string
	}{
		"empty":         {body: strings.NewReader(""), end: Complete},
		"whole":         {body: strings.NewReader("12345"), end: Complete, got: "12345"},
		"data and end":  {body: iotest.DataErrReader(strings.NewReader("12345")), end: Complete, got: "12345"},
		"too large":     {body: strings.NewReader("123456"), end: TooLarge, kind: problem.BodyTooLarge, got: "12345"},
		"much too long": {body: strings.NewReader(strings.Repeat("12345", 1000)), end: TooLarge, kind: problem.BodyTooLarge, got: "12345"},
		"truncated":     {body: io.MultiReader(strings.NewReader("12"), iotest.ErrReader(io.ErrUnexpectedEOF)), end: Truncated, failure: http.ErrAbortHandler, got: "12"},
		"gone":          {body: iotest.ErrReader(gone), end: Gone, failure: http.ErrAbortHandler},
		"client left":   {body: iotest.ErrReader(gone), left: true, end: Gone, failure: context.Canceled},
		"bad chunk":     {body: io.MultiReader(strings.NewReader("12"), iotest.ErrReader(gone)), chunked: true, end: Malformed, kind: problem.BadRequest, got: "12"},
		"short chunk":   {body: iotest.ErrReader(io.ErrUnexpectedEOF), chunked: true, end: Truncated, failure: http.ErrAbortHandler},
		"reset":         {body: iotest.ErrReader(&net.OpError{Err: gone}), chunked: true, end: Gone, failure: http.ErrAbortHandler},
		"read too late": {body: iotest.ErrReader(http.ErrBodyReadAfterClose), chunked: true, end: Gone, failure: http.ErrAbortHandler},
		"late chunk":    {body: iotest.ErrReader(os.ErrDeadlineExceeded), chunked: true, end: Stalled, kind: problem.RequestTimeout},
		"late":          {body: iotest.ErrReader(os.ErrDeadlineExceeded), end: Stalled, kind: problem.RequestTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			if c.left {
				cancel(left)
			}
			r := request(ctx, c.body)
			if c.chunked {
				r.ProtoMajor, r.TransferEncoding = 1, []string{"chunked"}
			}
			b := NewBody(httptest.NewRecorder(), r, Terms{Bytes: 5})
			require.True(t, b.Untouched())
			require.Equal(t, Open, b.End())
			got, err := io.ReadAll(b)
			require.Equal(t, c.got, string(got))
			require.EqualValues(t, len(c.got), b.Received())
			require.Equal(t, c.end, b.End())
			require.False(t, b.Untouched())
			_, again := b.Read(make([]byte, 1))
			require.Equal(t, b.Err(), again, "the end stays")
			switch failure := b.Failure(); {
			case c.end == Complete:
				require.NoError(t, errors.Join(err, failure))
			case c.kind != "":
				require.Equal(t, c.kind, problem.From(failure).Kind())
				require.Equal(t, c.kind, problem.From(err).Kind(), "an error that is only passed on says it, too")
			default:
				require.ErrorIs(t, failure, c.failure)
			}
			b.Stop()
			require.Equal(t, c.end, b.End(), "Stop does not change how it ended")
		})
	}
}

// arrivedBody is a body of which the router has read all.
type arrivedBody struct{ io.ReadCloser }

func (arrivedBody) Arrived() bool { return true }

func TestBodiesThatHaveArrivedNeedNoDeadline(t *testing.T) {
	for _, body := range []io.ReadCloser{http.NoBody, arrivedBody{io.NopCloser(strings.NewReader("x"))}} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Body = body
		d := &deadlines{ResponseWriter: httptest.NewRecorder()} // without a connection, a deadline would panic
		b := NewBody(d, r, Terms{Pace: Streamed(), Until: time.Unix(1, 0)})
		require.False(t, b.Waits())
		_, err := io.ReadAll(b)
		require.NoError(t, err)
		b.Interrupt()
		b.Stop()
	}
}

// TestStop checks that the rest of a body is bounded after Stop, and that nothing is set after a complete one.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for whole := range 2 {
			server, client := net.Pipe()
			d := &deadlines{ResponseWriter: httptest.NewRecorder(), conn: server}
			b := NewBody(d, request(t.Context(), server), Terms{Pace: Streamed()})
			go func() { _, _ = io.WriteString(client, "x") }()
			_, err := b.Read(make([]byte, 1))
			require.NoError(t, err)
			if whole == 1 {
				require.NoError(t, client.Close())
				_, err = b.Read(make([]byte, 1))
				require.Equal(t, io.EOF, err)
			}
			b.Stop()
			b.check() // a timer that has already fired
			begin := time.Now()
			if _, err = server.Read(make([]byte, 1)); whole == 1 {
				require.Len(t, d.set, 1)
			} else {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.Equal(t, Leftover, time.Since(begin))
				_, err = b.Read(make([]byte, 1))
				require.ErrorIs(t, err, ErrOver)
				require.Equal(t, Stopped, b.End())
				require.NoError(t, b.Failure(), "it is no fault of the client")
			}
			_, _ = server.Close(), client.Close()
		}
	})
}

func TestInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		defer server.Close()
		d := &deadlines{ResponseWriter: httptest.NewRecorder(), conn: server}
		b := NewBody(d, request(t.Context(), server), Terms{})
		time.AfterFunc(time.Second, b.Interrupt)
		_, err := b.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, Stalled, b.End())
		set := len(d.set)
		b.Stop()
		require.Len(t, d.set, set, "a body that was interrupted gets no more time")
	})
}

// TestProgress checks that every part is reported once, and the end.
func TestProgress(t *testing.T) {
	var total, ends int
	b := NewBody(httptest.NewRecorder(), request(t.Context(), iotest.HalfReader(strings.NewReader(strings.Repeat("x", 1000)))), Terms{
		Progress: func(n int, ended bool) {
			if total += n; ended {
				ends++
			}
		},
	})
	_, err := io.Copy(io.Discard, b)
	require.NoError(t, err)
	require.Equal(t, 1000, total)
	require.Equal(t, 1, ends)
}

// TestBodyIsSharedWithOtherGoroutines is for the race detector.
func TestBodyIsSharedWithOtherGoroutines(t *testing.T) {
	data := make([]byte, 1<<16)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	b := NewBody(httptest.NewRecorder(), request(t.Context(), iotest.OneByteReader(bytes.NewReader(data))), Terms{Pace: Collected(), Until: time.Now().Add(time.Hour)})
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for b.End() == Open {
				_, _, _ = b.Received(), b.Untouched(), b.Failure()
				b.SetUntil(time.Now().Add(time.Hour))
			}
		})
	}
	got, err := io.ReadAll(b)
	require.NoError(t, err)
	require.Equal(t, data, got)
	others.Wait()
	b.Stop()
}
