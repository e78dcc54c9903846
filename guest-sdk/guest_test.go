package guest_test

import (
	"errors"
	"io"
	"log"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func TestRequest(t *testing.T) {
	var got []string
	answer := guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
		got = []string{r.Method(), r.URI(), r.Path(), r.Query(), r.Proto(), r.RemoteAddr()}
	}, &guesttest.Request{Method: "PUT", URI: "/a%20b?c=d?", Proto: "HTTP/2.0", RemoteAddr: "[::1]:2"})
	want := []string{"PUT", "/a%20b?c=d?", "/a%20b", "c=d?", "HTTP/2.0", "[::1]:2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if answer.Status != 200 || answer.Body != "" || answer.Writes != 0 || answer.Ended {
		t.Errorf("a handler that does nothing answers %+v", answer)
	}
}

func TestHeader(t *testing.T) {
	long := strings.Repeat("long", 2000)
	answer := guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
		h := r.Header
		if got := h.Values("X-Many"); !slices.Equal(got, []string{"1", "", long}) {
			t.Errorf("values %q", got)
		}
		if h.Get("x-many") != "1" || h.Get("none") != "" || h.Values("none") != nil {
			t.Error("Get is the first value, or empty")
		}
		if got := h.Names(); !slices.Equal(got, []string{"a", "x-many"}) {
			t.Errorf("names %q", got)
		}
		w.Header.Set("A", "0")
		w.Header.Set("a", "1")
		w.Header.Add("A", "2")
		w.Header.Set("gone", "x")
		w.Header.Del("Gone")
	}, &guesttest.Request{Header: map[string][]string{"X-Many": {"1", "", long}, "A": {"b"}}})
	if want := map[string][]string{"a": {"1", "2"}}; !reflect.DeepEqual(answer.Header, want) {
		t.Errorf("header %v", answer.Header)
	}
}

func TestBody(t *testing.T) {
	text := strings.Repeat("0123456789", 5000)
	for name, body := range map[string]io.Reader{
		"whole":    strings.NewReader(text),
		"pieces":   iotest.HalfReader(strings.NewReader(text)),
		"dataErr":  iotest.DataErrReader(strings.NewReader(text)),
		"zeros":    zeroReader{strings.NewReader(text), new(bool)},
		"one byte": iotest.OneByteReader(strings.NewReader(text)),
	} {
		answer := guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
			if n, err := r.Read(nil); n != 0 || err != nil {
				t.Errorf("%s: nothing asked for: %d, %v", name, n, err)
			}
			if n, err := io.Copy(w, r); int(n) != len(text) || err != nil {
				t.Errorf("%s: %d bytes, %v", name, n, err)
			}
			if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%s: behind the end: %d, %v", name, n, err)
			}
		}, &guesttest.Request{Body: body})
		if answer.Body != text {
			t.Errorf("%s: %d bytes came back", name, len(answer.Body))
		}
	}
}

// zeroReader returns no bytes in every other call.
type zeroReader struct {
	io.Reader
	pause *bool
}

func (z zeroReader) Read(p []byte) (int, error) {
	if *z.pause = !*z.pause; *z.pause {
		return 0, nil
	}
	return z.Reader.Read(p)
}

func TestBrokenBodyEndsGuest(t *testing.T) {
	answer := guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
		io.Copy(w, r)
		t.Error("the handler goes on after its request's body broke")
	}, &guesttest.Request{Body: iotest.ErrReader(errors.New("broken"))})
	if !answer.Ended || answer.Status != 500 {
		t.Errorf("%+v", answer)
	}
}

// TestResponseBuffer compares the sent and the written bytes, for sizes around that of the buffer.
func TestResponseBuffer(t *testing.T) {
	const buffer = 8 << 10
	for _, sizes := range [][]int{
		{0}, {1, 2, 3}, {buffer}, {buffer - 1, 1}, {buffer - 1, 2}, {1, buffer}, {1, buffer + 1}, {buffer, buffer, 1}, {3 * buffer, 1},
	} {
		var want strings.Builder
		answer := guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
			for i, size := range sizes {
				piece := strings.Repeat(string(rune('a'+i)), size)
				want.WriteString(piece + piece)
				for _, write := range []func() (int, error){
					func() (int, error) { return w.Write([]byte(piece)) },
					func() (int, error) { return w.WriteString(piece) },
				} {
					if n, err := write(); n != size || err != nil {
						t.Errorf("%v: wrote %d, %v", sizes, n, err)
					}
				}
			}
		}, &guesttest.Request{})
		if answer.Body != want.String() {
			t.Errorf("%v: other bytes arrive than were written", sizes)
		}
		if most := want.Len()/buffer + 2*len(sizes); answer.Writes > most {
			t.Errorf("%v: %d pieces for %d bytes", sizes, answer.Writes, want.Len())
		}
	}
}

func TestFlush(t *testing.T) {
	answer := guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
		w.Flush()
		w.SetStatus(201)
		w.WriteString("a")
		w.Flush()
		w.Flush()
		w.WriteString("b")
		w.SetStatus(202)
	}, &guesttest.Request{})
	if answer.Status != 201 || answer.Body != "ab" || answer.Writes != 2 {
		t.Errorf("%+v", answer)
	}
	if len(answer.Log) != 1 || !strings.Contains(answer.Log[0].Text, "too late") {
		t.Errorf("no warning of the late status: %v", answer.Log)
	}
}

// TestReadFromSends tests that ReadFrom sends the bytes of each read before the next read.
func TestReadFromSends(t *testing.T) {
	answer := guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
		w.WriteString("before ")
		io.Copy(w, struct{ io.Reader }{io.MultiReader(strings.NewReader("a"), strings.NewReader("b"))}) // hides WriteTo
	}, &guesttest.Request{})
	if answer.Body != "before ab" || answer.Writes != 2 {
		t.Errorf("%+v", answer)
	}
}

func TestReadFromError(t *testing.T) {
	broken := errors.New("broken")
	answer := guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
		n, err := io.Copy(w, io.MultiReader(strings.NewReader("part"), iotest.ErrReader(broken)))
		if n != 4 || err != broken {
			t.Errorf("%d, %v", n, err)
		}
	}, &guesttest.Request{})
	if answer.Body != "part" {
		t.Errorf("%q", answer.Body)
	}
}

func TestTrailers(t *testing.T) {
	echo := func(w *guest.Response, r *guest.Request) {
		guest.EnableTrailers()
		io.Copy(w, r)
		w.Trailer.Set("sum", r.Trailer.Get("sum"))
	}
	request := guesttest.Request{Trailer: map[string][]string{"Sum": {"42"}}}
	request.Body = strings.NewReader("body")
	answer := guesttest.ServeWith(echo, &request)
	if !slices.Equal(answer.Trailer["sum"], []string{"42"}) {
		t.Errorf("trailer %v", answer.Trailer)
	}

	request.NoTrailers = true
	answer = guesttest.ServeWith(echo, &request)
	if len(answer.Trailer) != 0 || answer.Ended || len(answer.Log) == 0 {
		t.Errorf("a host without trailers: %+v", answer)
	}
}

func TestPanic(t *testing.T) {
	for message, value := range map[string]any{
		"a string": "a string", "an error": errors.New("an error"), "42": 42, "-7": int64(-7), "8": uint64(8), "0.5": 0.5, "true": true,
		"neither": struct{}{}, "stringer": stringer{}, "PanicNilError": nil,
	} {
		answer := guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
			w.Header.Set("x-secret", "1")
			w.WriteString("secret")
			panic(value)
		}, &guesttest.Request{})
		if !answer.Ended || answer.Status != 500 || answer.Body != "" || len(answer.Header) != 0 {
			t.Errorf("%s: %+v", message, answer)
		}
		if len(answer.Log) != 1 || answer.Log[0].Level != guest.LevelError {
			t.Fatalf("%s: log %v", message, answer.Log)
		}
		text := answer.Log[0].Text
		if message != "PanicNilError" && !strings.Contains(text, message) || !strings.Contains(text, "TestPanic") {
			t.Errorf("%s: message or stack is missing: %s", message, text)
		}
	}
}

type stringer struct{}

func (stringer) String() string { return "stringer" }

func TestRuntimePanic(t *testing.T) {
	answer := guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
		var m map[string]int
		//lint:ignore SA5000 the test needs the panic
		m["x"]++
	}, &guesttest.Request{})
	if len(answer.Log) != 1 || !strings.Contains(answer.Log[0].Text, "nil map") {
		t.Errorf("%v", answer.Log)
	}
}

func TestPanicAfterFlush(t *testing.T) {
	answer := guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
		w.WriteString("part")
		w.Flush()
		w.WriteString("never sent")
		panic("late")
	}, &guesttest.Request{})
	if !answer.Ended || answer.Body != "part" || answer.Status != 200 {
		t.Errorf("%+v", answer)
	}
}

func TestAbort(t *testing.T) {
	answer := guesttest.ServeWith(func(w *guest.Response, r *guest.Request) { panic(guest.ErrAbort) }, &guesttest.Request{})
	if !answer.Ended || len(answer.Log) != 0 {
		t.Errorf("%+v", answer)
	}
}

func TestHandle(t *testing.T) {
	previous := guest.SwapHandler(nil)
	defer func() { guest.SwapHandler(previous) }()
	answer := guesttest.Serve(&guesttest.Request{})
	if !answer.Ended || !strings.Contains(answer.Log[0].Text, "init function") {
		t.Errorf("without a handler: %+v", answer)
	}
	guest.Handle(func(w *guest.Response, r *guest.Request) { w.Text(418, "tea\n") })
	answer = guesttest.Serve(&guesttest.Request{})
	if answer.Status != 418 || answer.Body != "tea\n" || answer.Header["content-type"][0] != "text/plain; charset=utf-8" {
		t.Errorf("%+v", answer)
	}
	defer func() {
		if recover() == nil {
			t.Error("a second handler is taken")
		}
	}()
	guest.Handle(func(w *guest.Response, r *guest.Request) {})
}

func TestLog(t *testing.T) {
	answer := guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
		if guest.LogEnabled(guest.LevelInfo) || !guest.LogEnabled(guest.LevelWarn) {
			t.Error("LogEnabled does not go by the host's level")
		}
		guest.Log(guest.LevelInfo, "dropped")
		guest.Log(guest.LevelError, "kept")
		log.New(guest.LogWriter(guest.LevelWarn), "p: ", 0).Print("by log")
		if n, err := guest.LogWriter(guest.LevelInfo).Write([]byte("dropped")); n != 7 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		guest.LogWriter(guest.LevelError).Write(nil)
	}, &guesttest.Request{LogLevel: guest.LevelWarn})
	want := []guesttest.LogMessage{
		{Level: guest.LevelError, Text: "kept"}, {Level: guest.LevelWarn, Text: "p: by log"}, {Level: guest.LevelError},
	}
	if !slices.Equal(answer.Log, want) {
		t.Errorf("got %v", answer.Log)
	}
}

func TestConfig(t *testing.T) {
	for _, size := range []int{0, 10, 512, 513, 100_000} {
		want := strings.Repeat("x", size)
		guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
			if got := string(guest.Config()); got != want {
				t.Errorf("%d bytes: got %d", size, len(got))
			}
		}, &guesttest.Request{Config: []byte(want)})
	}
}

func TestRand(t *testing.T) {
	seen := map[uint64]bool{}
	for range 3 {
		guesttest.ServeWith(func(w *guest.Response, r *guest.Request) {
			seen[r.Rand().Uint64()] = true
			seen[r.Rand().Uint64()] = true
		}, &guesttest.Request{})
	}
	if len(seen) != 6 {
		t.Errorf("%d different numbers of 6", len(seen))
	}
	if guest.Reseeds() {
		t.Error("outside of WebAssembly there is no snapshot, and nothing is reseeded")
	}
}
