package vespohttp_test

import (
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
	"github.com/vespo-dev/vespo/guest-sdk/vespo/vespohttp"
)

func TestStripPrefix(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /item/{id}", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.PathValue("id")+" "+r.URL.RawQuery+" "+r.RequestURI)
	})
	answer := guesttest.ServeWith(nethttp.Handler(vespohttp.StripPrefix(mux)),
		&guesttest.Request{Prefix: "/shop", URI: "/shop/item/a%2Fb?q=1"})
	if answer.Status != 200 || answer.Body != "a/b q=1 /shop/item/a%2Fb?q=1" {
		t.Errorf("%+v", answer)
	}
}

// within calls f in a handler, with a client that uses Transport.
func within(t *testing.T, outbound func(*guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error), f func(http.Client)) {
	t.Helper()
	answer := guesttest.ServeWith(func(*guest.Response, *guest.Request) { f(http.Client{Transport: vespohttp.Transport{}}) },
		&guesttest.Request{Outbound: outbound})
	if answer.Ended {
		t.Errorf("the guest ended: %v", answer.Log)
	}
}

func TestTransport(t *testing.T) {
	within(t, func(r *guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) {
		switch r.URI {
		case "http://a.example/start?q=1":
			if r.Method != "POST" || r.Body != "body" || !slices.Equal(r.Header["x-two"], []string{"1", "2"}) ||
				!slices.Equal(r.Header["content-length"], []string{"4"}) || !slices.Equal(r.Header["host"], []string{"other.example"}) {
				t.Errorf("%+v", r)
			}
			return &guesttest.OutboundAnswer{Status: 303, Header: map[string][]string{"location": {"/next"}}}, nil
		case "http://a.example/next":
			if r.Method != "GET" || r.Header["authorization"] == nil {
				t.Errorf("%+v", r)
			}
			return &guesttest.OutboundAnswer{
				Body:    "answer",
				Header:  map[string][]string{"content-length": {"6"}, "x-many": {"1", "2"}},
				Trailer: map[string][]string{"sum": {"3"}},
			}, nil
		}
		return nil, errors.New("unexpected")
	}, func(client http.Client) {
		r, err := http.NewRequest("POST", "http://me:pass@a.example/start?q=1#fragment", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header["X-Two"] = []string{"1", "2"}
		r.Header.Set("Authorization", "Basic xyz")
		r.Host = "other.example"
		response, err := client.Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if response.Status != "200 OK" || response.ContentLength != 6 || string(body) != "answer" || err != nil {
			t.Errorf("%+v, %q, %v", response, body, err)
		}
		if !slices.Equal(response.Header["X-Many"], []string{"1", "2"}) || response.Trailer.Get("Sum") != "3" {
			t.Errorf("%v, %v", response.Header, response.Trailer)
		}
	})
}

func TestTransportErrors(t *testing.T) {
	within(t, nil, func(client http.Client) {
		_, err := client.Get("http://a.example/")
		if !errors.Is(err, vespo.ErrDenied) {
			t.Errorf("%v", err)
		}
	})
}

// TestFieldsOfRequest reads them by one call of the host, as a guest with this package does.
func TestFieldsOfRequest(t *testing.T) {
	served := false
	handler := func(_ http.ResponseWriter, r *http.Request) {
		served = true
		want := http.Header{"Accept": {"*/*"}, "Empty": {""}, "X-Two": {"1", "", "2"}}
		if r.Host != "a.example" || !reflect.DeepEqual(r.Header, want) {
			t.Errorf("host %q, header %v", r.Host, r.Header)
		}
		r.Header.Add("Accept", "a")
		if got := r.Header.Values("Empty"); !slices.Equal(got, []string{""}) {
			t.Errorf("%q has changed", got)
		}
	}
	guesttest.ServeWith(nethttp.Handler(http.HandlerFunc(handler)), &guesttest.Request{
		Header: map[string][]string{"host": {"a.example"}, "accept": {"*/*"}, "empty": {""}, "x-two": {"1", "", "2"}},
	})
	if !served {
		t.Error("not served")
	}
}

func TestFieldsOfResponse(t *testing.T) {
	want := http.Header{"Empty": {""}, "Set-Cookie": {"a", "b", "a"}, "X-Last": {"1"}}
	within(t, func(*guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) {
		return &guesttest.OutboundAnswer{Header: want}, nil
	}, func(client http.Client) {
		response, err := client.Get("http://a.example/")
		if err != nil || !reflect.DeepEqual(response.Header, want) {
			t.Errorf("%v, %v", response, err)
			return
		}
		defer response.Body.Close()
		response.Header.Add("Set-Cookie", "c") // must not change the next field
		if got := response.Header.Get("X-Last"); got != "1" {
			t.Errorf("x-last is %q", got)
		}
		if body, err := io.ReadAll(response.Body); len(body) != 0 || err != nil || response.Trailer != nil {
			t.Errorf("%q, %v, trailer %v", body, err, response.Trailer)
		}
	})
}

func TestCredentialsOfURL(t *testing.T) {
	within(t, func(r *guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) {
		if r.URI != "http://a.example/" || !slices.Equal(r.Header["authorization"], []string{"Basic bWU6cGFzcw=="}) {
			t.Errorf("%+v", r)
		}
		return &guesttest.OutboundAnswer{}, nil
	}, func(client http.Client) {
		response, err := client.Get("http://me:pass@a.example/")
		if err != nil || response.ContentLength != -1 {
			t.Errorf("%+v, %v", response, err)
		}
	})
}
