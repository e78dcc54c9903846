package vespo_test

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

// within calls f in a handler. The test fails if f panics.
func within(t *testing.T, r *guesttest.Request, f func()) {
	t.Helper()
	answer := guesttest.ServeWith(func(*guest.Response, *guest.Request) { f() }, r)
	if answer.Ended {
		t.Errorf("the guest ended: %v", answer.Log)
	}
}

func TestPrefix(t *testing.T) {
	for _, test := range []struct{ mounted, uri, prefix, rest string }{
		{"", "/a/b?c", "/", "/a/b"},
		{"/", "/", "/", "/"},
		{"/shop", "/shop", "/shop", "/"},
		{"/shop", "/shop/item%201/?q", "/shop", "/item%201/"},
	} {
		within(t, &guesttest.Request{Prefix: test.mounted, URI: test.uri}, func() {
			if prefix, rest := vespo.Prefix(), vespo.Rest(); prefix != test.prefix || rest != test.rest {
				t.Errorf("%+v: %q, %q", test, prefix, rest)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	within(t, &guesttest.Request{Settings: map[string]string{"long": long, "empty": ""}}, func() {
		for name, want := range map[string]string{"long": long, "empty": ""} {
			if value, ok := vespo.Config(name); value != want || !ok {
				t.Errorf("%s: %d bytes, %t", name, len(value), ok)
			}
		}
		if value, ok := vespo.Config("none"); value != "" || ok {
			t.Errorf("%q, %t", value, ok)
		}
	})
}

func TestFetch(t *testing.T) {
	var got guesttest.OutboundRequest
	outbound := func(r *guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) {
		got = *r
		return &guesttest.OutboundAnswer{
			Status:  201,
			Body:    r.Body,
			Header:  map[string][]string{"A": {"1", "2"}, "B": {"3"}},
			Trailer: map[string][]string{"Sum": {"4"}},
		}, nil
	}
	body := strings.Repeat("0123456789", 3000)
	within(t, &guesttest.Request{Outbound: outbound}, func() {
		answer, err := vespo.Fetch(&vespo.Call{
			Method: "PUT",
			URI:    "http://a.example/x",
			Header: [][2]string{{"H", "1"}, {"h", "2"}},
			Body:   iotest.DataErrReader(strings.NewReader(body)),
		})
		if err != nil {
			t.Error(err)
			return
		}
		if answer.Status != 201 || answer.Get("a") != "1" || answer.Get("c") != "" || !slices.Equal(answer.Names(), []string{"a", "b"}) {
			t.Errorf("%+v, %v", answer, answer.Names())
		}
		if got := answer.Fields(); !slices.Equal(got, [][2]string{{"A", "1"}, {"A", "2"}, {"B", "3"}}) || !slices.Equal(answer.Values("A"), []string{"1", "2"}) {
			t.Errorf("%v", got)
		}
		if len(answer.TrailerNames()) != 0 {
			t.Error("trailers before the end of the body")
		}
		if back, err := io.ReadAll(answer); string(back) != body || err != nil {
			t.Errorf("%d bytes, %v", len(back), err)
		}
		if !slices.Equal(answer.TrailerNames(), []string{"sum"}) || !slices.Equal(answer.TrailerValues("Sum"), []string{"4"}) {
			t.Errorf("trailers %v", answer.TrailerNames())
		}
		for range 2 {
			if err := answer.Close(); err != nil {
				t.Error(err)
			}
		}
		if n, err := answer.Read(make([]byte, 1)); n != 0 || err != io.EOF || answer.Names() != nil || answer.Fields() != nil || answer.TrailerFields() != nil {
			t.Errorf("a closed answer gives %d, %v, %v", n, err, answer.Names())
		}
	})
	want := guesttest.OutboundRequest{Method: "PUT", URI: "http://a.example/x", Header: map[string][]string{"h": {"1", "2"}}, Body: body}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sent %s %s %v, %d bytes", got.Method, got.URI, got.Header, len(got.Body))
	}
}

// TestManyFields has more of them than a buffer of the SDK.
func TestManyFields(t *testing.T) {
	var want [][2]string
	header := map[string][]string{}
	for i := range 500 {
		name, value := fmt.Sprintf("X-%03d", i), strings.Repeat("v", i)
		header[strings.ToLower(name)] = []string{value, ""}
		want = append(want, [2]string{name, value}, [2]string{name, ""})
	}
	within(t, &guesttest.Request{Outbound: func(r *guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) {
		if !reflect.DeepEqual(r.Header, header) {
			t.Errorf("%d fields arrive", len(r.Header))
		}
		return &guesttest.OutboundAnswer{Header: r.Header}, nil
	}}, func() {
		answer, err := vespo.Fetch(&vespo.Call{URI: "http://a.example/", Header: want})
		if err != nil || !slices.Equal(answer.Fields(), want) || len(answer.Names()) != 500 || answer.Get("X-499") != want[998][1] {
			t.Errorf("%v", err)
		}
	})
}

func TestFetchDefaults(t *testing.T) {
	within(t, &guesttest.Request{Outbound: func(r *guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) {
		if r.Method != "GET" || r.Body != "" {
			t.Errorf("%+v", r)
		}
		return &guesttest.OutboundAnswer{}, nil
	}}, func() {
		answer, err := vespo.Fetch(&vespo.Call{URI: "http://a.example/"})
		if err != nil || answer.Status != 200 {
			t.Errorf("%v, %v", answer, err)
		}
	})
}

func TestFetchErrors(t *testing.T) {
	broken := errors.New("broken")
	fails := func(code error) func(*guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) {
		return func(*guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) { return nil, code }
	}
	for name, test := range map[string]struct {
		outbound func(*guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error)
		call     vespo.Call
		want     error
	}{
		"not allowed": {nil, vespo.Call{}, vespo.ErrDenied},
		"header":      {fails(nil), vespo.Call{Header: [][2]string{{"a", "b\r\nc: d"}}}, vespo.ErrMalformed},
		"NUL":         {fails(nil), vespo.Call{Header: [][2]string{{"a", "b\x00authorization\x00c"}}}, vespo.ErrMalformed},
		"NUL in name": {fails(nil), vespo.Call{Header: [][2]string{{"a\x00b", ""}}}, vespo.ErrMalformed},
		"deadline":    {fails(vespo.ErrDeadline), vespo.Call{}, vespo.ErrDeadline},
		"other":       {fails(errors.New("dns")), vespo.Call{}, vespo.ErrUnreachable},
		"body":        {fails(nil), vespo.Call{Body: iotest.ErrReader(broken)}, broken},
	} {
		test.call.URI = "http://a.example/"
		within(t, &guesttest.Request{Outbound: test.outbound}, func() {
			_, err := vespo.Fetch(&test.call)
			if !errors.Is(err, test.want) {
				t.Errorf("%s: %v", name, err)
			}
			if failed := (*vespo.Error)(nil); test.want != broken && (!errors.As(err, &failed) || failed.URI != test.call.URI) {
				t.Errorf("%s: %v does not tell the URI", name, err)
			}
		})
	}
}

// TestCodes tests that the texts of all codes are different.
func TestCodes(t *testing.T) {
	seen := map[string]bool{}
	for code := vespo.ErrClosed; code >= vespo.ErrLoop-1; code-- {
		if text := code.Error(); seen[text] {
			t.Errorf("%d is %q as another code is", code, text)
		} else {
			seen[text] = true
		}
	}
}
