package nethttp_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
)

func serve(h http.HandlerFunc, r *guesttest.Request) *guesttest.Answer {
	return guesttest.ServeWith(nethttp.Handler(h), r)
}

func TestRequest(t *testing.T) {
	called := false
	serve(func(w http.ResponseWriter, r *http.Request) {
		called = true
		if r.Method != "POST" || r.RequestURI != "/a%2Fb?c=d" || r.URL.Path != "/a/b" || r.URL.RawPath != "/a%2Fb" || r.FormValue("c") != "d" {
			t.Errorf("%s %s, %+v", r.Method, r.RequestURI, r.URL)
		}
		if r.Host != "example.com" || r.Header.Get("Host") != "" || r.RemoteAddr != "192.0.2.1:1234" {
			t.Errorf("host %q, remote %q", r.Host, r.RemoteAddr)
		}
		if r.ContentLength != 4 || r.ProtoMajor != 2 || r.ProtoMinor != 0 || r.Proto != "HTTP/2" {
			t.Errorf("length %d, protocol %d.%d", r.ContentLength, r.ProtoMajor, r.ProtoMinor)
		}
		if got := r.Header["X-Two"]; !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("header %v", r.Header)
		}
		if body, err := io.ReadAll(r.Body); string(body) != "body" || err != nil {
			t.Errorf("body %q, %v", body, err)
		}
		r.Body.Close()
		if _, err := r.Body.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
			t.Errorf("read after close: %v", err)
		}
	}, &guesttest.Request{
		Method: "POST",
		URI:    "/a%2Fb?c=d",
		Proto:  "HTTP/2",
		Body:   strings.NewReader("body"),
		Header: map[string][]string{
			"host": {"example.com"}, "content-length": {"4"}, "x-two": {"1", "2"},
		},
	})
	if !called {
		t.Error("not served")
	}
}

func TestUnusableRequest(t *testing.T) {
	for _, r := range []*guesttest.Request{
		{URI: "no-slash"}, {URI: "/%zz"}, {Proto: "GOPHER"}, {Header: map[string][]string{"content-length": {"-1"}}},
	} {
		answer := serve(func(http.ResponseWriter, *http.Request) { t.Errorf("served: %+v", r) }, r)
		if answer.Status != 400 || answer.Ended {
			t.Errorf("%+v: %+v", r, answer)
		}
	}
}

func TestContentLength(t *testing.T) {
	for _, test := range []struct {
		request guesttest.Request
		want    int64
		body    string
	}{
		{guesttest.Request{Method: "GET"}, 0, ""},
		{guesttest.Request{Method: "GET", Body: strings.NewReader("has one")}, -1, "has one"},
		{guesttest.Request{Method: "POST", Body: strings.NewReader("chunked")}, -1, "chunked"},
		{guesttest.Request{Method: "POST", Header: map[string][]string{"content-length": {"0"}}}, 0, ""},
	} {
		serve(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if r.ContentLength != test.want || string(body) != test.body || err != nil {
				t.Errorf("length %d, body %q, %v; want %d, %q", r.ContentLength, body, err, test.want, test.body)
			}
		}, &test.request)
	}
}

func TestResponse(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		status  int
		header  map[string][]string
		body    string
	}{
		"nothing": {func(w http.ResponseWriter, r *http.Request) {}, 200, map[string][]string{}, ""},
		"sniffed": {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") },
			200, map[string][]string{"content-type": {"text/html; charset=utf-8"}}, "<html>"},
		"encoded": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write([]byte("zip"))
		}, 200, map[string][]string{"content-encoding": {"gzip"}}, "zip"},
		"no type": {func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			w.Write([]byte("x"))
		}, 200, map[string][]string{}, "x"},
		"cookies": {func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
			http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
			w.WriteHeader(204)
		}, 204, map[string][]string{"set-cookie": {"a=1", "b=2"}}, ""},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(103)
			w.Header().Set("Location", "/x")
			w.WriteHeader(302)
			w.WriteHeader(200)
			w.Header().Set("Late", "1")
		}, 302, map[string][]string{"location": {"/x"}}, ""},
	} {
		answer := serve(test.handler, &guesttest.Request{})
		if answer.Status != test.status || answer.Body != test.body || !maps.EqualFunc(answer.Header, test.header, slices.Equal) {
			t.Errorf("%s: %+v", name, answer)
		}
	}
}

func TestNoBody(t *testing.T) {
	answer := serve(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(304)
		if _, err := io.WriteString(w, "body"); err != http.ErrBodyNotAllowed {
			t.Errorf("body of a 304: %v", err)
		}
	}, &guesttest.Request{})
	if answer.Body != "" {
		t.Errorf("%+v", answer)
	}
	answer = serve(func(w http.ResponseWriter, r *http.Request) {
		for range 2 {
			if n, err := io.WriteString(w, "body"); n != 4 || err != nil {
				t.Errorf("HEAD: %d, %v", n, err)
			}
		}
	}, &guesttest.Request{Method: "HEAD"})
	if answer.Body != "" || answer.Header["content-type"][0] != "text/plain; charset=utf-8" {
		t.Errorf("%+v", answer)
	}
}

// TestCopy tests ReadFrom, which io.Copy uses.
func TestCopy(t *testing.T) {
	text := strings.Repeat("0123456789", 5000)
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		method string
		from   io.Reader
		err    error
		body   string
	}{
		"whole":     {"GET", strings.NewReader(text), nil, text},
		"by half":   {"GET", iotest.HalfReader(strings.NewReader(text)), nil, text},
		"data, EOF": {"GET", iotest.DataErrReader(strings.NewReader("short")), nil, "short"},
		"empty":     {"GET", strings.NewReader(""), nil, ""},
		"slow":      {"GET", &slowReader{from: strings.NewReader(text)}, nil, text},
		"head":      {"HEAD", strings.NewReader(text), nil, ""},
		"broken":    {"GET", io.MultiReader(strings.NewReader("part"), iotest.ErrReader(broken)), broken, "part"},
		"at once":   {"GET", iotest.ErrReader(broken), broken, ""},
	} {
		answer := serve(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(w, struct{ io.Reader }{test.from}); err != test.err {
				t.Errorf("%s: %v", name, err)
			}
		}, &guesttest.Request{Method: test.method})
		if answer.Body != test.body {
			t.Errorf("%s: %d bytes", name, len(answer.Body))
		}
	}
}

// slowReader returns no bytes on the first call.
type slowReader struct {
	from  io.Reader
	asked bool
}

func (s *slowReader) Read(p []byte) (int, error) {
	if !s.asked {
		s.asked = true
		return 0, nil
	}
	return s.from.Read(p)
}

func TestFlush(t *testing.T) {
	answer := serve(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		for i := range 3 {
			fmt.Fprintf(w, "%d\n", i)
			if err := control.Flush(); err != nil {
				t.Error(err)
			}
		}
	}, &guesttest.Request{})
	if answer.Body != "0\n1\n2\n" || answer.Writes != 3 {
		t.Errorf("%+v", answer)
	}
}

func TestTrailers(t *testing.T) {
	answer := serve(func(w http.ResponseWriter, r *http.Request) {
		if _, announced := r.Trailer["X-Sum"]; !announced {
			t.Errorf("announced: %v", r.Trailer)
		}
		w.Header().Set("Trailer", "X-One, X-Two")
		io.Copy(w, r.Body)
		w.Header().Set("X-One", r.Trailer.Get("X-Sum"))
		w.Header().Set(http.TrailerPrefix+"X-Three", "3")
	}, &guesttest.Request{
		Method:  "POST",
		Body:    strings.NewReader("x"),
		Trailer: map[string][]string{"X-Sum": {"1"}},
		Header:  map[string][]string{"trailer": {"X-Sum"}},
	})
	if want := map[string][]string{"x-one": {"1"}, "x-three": {"3"}}; !reflect.DeepEqual(answer.Trailer, want) {
		t.Errorf("trailer %v", answer.Trailer)
	}
	if answer.Header["x-one"] != nil || answer.Header["trailer"] == nil {
		t.Errorf("header %v", answer.Header)
	}
}

func TestPanic(t *testing.T) {
	answer := serve(func(w http.ResponseWriter, r *http.Request) { panic("secret") }, &guesttest.Request{})
	if !answer.Ended || answer.Status != 500 || answer.Body != "" || !strings.Contains(answer.Log[0].Text, "secret") ||
		!strings.Contains(answer.Log[0].Text, "TestPanic") {
		t.Errorf("%+v", answer)
	}
	answer = serve(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, &guesttest.Request{})
	if !answer.Ended || len(answer.Log) != 0 {
		t.Errorf("%+v", answer)
	}
}
