package main

import (
	"encoding/json"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

const (
	testKey    = "0123456789abcdef0123456789abcdef"
	storeToken = "fedcba9876543210fedcba9876543210"
	jobToken   = "abcdef0123456789abcdef0123456789"
)

// TestMain makes hashing quick. The README's test signs in with all iterations.
func TestMain(m *testing.M) {
	iterations = 2
	os.Exit(m.Run())
}

// world is a store in memory with the clients of the service.
type world struct {
	t      *testing.T
	values map[string]string
	last   map[string]int
	calls  int              // to the store, of the last request
	before func(put string) // called before a PUT is carried out
	status int              // of all responses of the store; 0 is the right one
}

func newWorld(t *testing.T) *world {
	return &world{t: t, values: map[string]string{}, last: map[string]int{}}
}

// browser is a client with cookies.
type browser struct {
	*world
	cookie string
	token  string // of the last form
	page   *guesttest.Answer
}

// do sends a request with the cookie, follows no redirect, and keeps the response with its cookie and token.
func (b *browser) do(method, path string, form url.Values, header map[string][]string) *guesttest.Answer {
	b.t.Helper()
	fields := map[string][]string{
		"Host":           {"notes.example"},
		"Sec-Fetch-Site": {"same-origin"},
		"Content-Type":   {"application/x-www-form-urlencoded"},
	}
	if b.cookie != "" {
		fields["Cookie"] = []string{"other=1; " + cookieName + "=" + b.cookie}
	}
	for name, values := range header {
		fields[name] = values
	}
	b.calls = 0
	b.page = guesttest.Serve(&guesttest.Request{
		Method:   method,
		URI:      "/notes" + path,
		Prefix:   "/notes",
		Header:   fields,
		Body:     strings.NewReader(form.Encode()),
		Outbound: b.outbound,
		Settings: map[string]string{"key": testKey, "store": "http://store.example/", "store-token": storeToken, "job-token": jobToken},
	})
	if found := tokenInput.FindStringSubmatch(b.page.Body); found != nil {
		b.token = found[1]
	}
	for _, field := range b.page.Header["set-cookie"] {
		value, attributes, _ := strings.Cut(strings.TrimPrefix(field, cookieName+"="), "; ")
		b.cookie = value
		for _, want := range []string{"Path=/notes/", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age="} {
			if !strings.Contains(attributes, want) {
				b.t.Errorf("the cookie has %s, without %s", attributes, want)
			}
		}
	}
	return b.page
}

// send sends a form with the token.
func (b *browser) send(path string, fields ...string) *guesttest.Answer {
	b.t.Helper()
	form := url.Values{"token": {b.token}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.do("POST", path, form, nil)
}

func (b *browser) get(path string) *guesttest.Answer {
	b.t.Helper()
	return b.do("GET", path, nil, nil)
}

var tokenInput = regexp.MustCompile(`name="token" value="([^"]+)"`)

// user registers a user, and shows their page.
func (w *world) user(name string) *browser {
	w.t.Helper()
	b := &browser{world: w}
	if answer := b.send("/register", "name", name, "password", "correct horse"); answer.Status != 303 {
		w.t.Fatalf("%+v", answer)
	}
	if answer := b.get("/"); answer.Status != 200 {
		w.t.Fatalf("%+v", answer)
	}
	return b
}

// outbound is the store.
func (w *world) outbound(r *guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) {
	w.calls++
	if !slices.Equal(r.Header["authorization"], []string{"Bearer " + storeToken}) {
		w.t.Errorf("%+v", r)
	}
	if w.status != 0 {
		return &guesttest.OutboundAnswer{Status: w.status}, nil
	}
	u, err := url.Parse(strings.TrimPrefix(r.URI, "http://store.example"))
	if err != nil {
		return nil, err
	}
	key, one := strings.CutPrefix(u.Path, "/keys/")
	switch {
	case !one:
		return w.list(u.Query()), nil
	case r.Method == "PUT":
		return w.put(key, r), nil
	}
	value, ok := w.values[key]
	if !ok {
		return &guesttest.OutboundAnswer{Status: 404}, nil
	}
	return &guesttest.OutboundAnswer{Body: value, Header: map[string][]string{"Etag": {w.version(key)}}}, nil
}

func (w *world) put(key string, r *guesttest.OutboundRequest) *guesttest.OutboundAnswer {
	if w.before != nil {
		w.before(key)
	}
	if _, exists := w.values[key]; exists && !slices.Equal(r.Header["if-match"], []string{w.version(key)}) ||
		!exists && !slices.Equal(r.Header["if-none-match"], []string{"*"}) {
		return &guesttest.OutboundAnswer{Status: 412}
	}
	w.set(key, r.Body)
	return &guesttest.OutboundAnswer{Status: 204}
}

func (w *world) set(key, value string) {
	w.values[key] = value
	w.last[key]++
}

func (w *world) version(key string) string { return strconv.Quote(strconv.Itoa(w.last[key])) }

func (w *world) list(query url.Values) *guesttest.OutboundAnswer {
	var keys []string
	for key := range w.values {
		if strings.HasPrefix(key, query.Get("prefix")) && key > query.Get("after") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil {
		w.t.Error(err)
	}
	items := []map[string]any{}
	for _, key := range keys[:min(limit, len(keys))] {
		items = append(items, map[string]any{"key": key, "version": w.version(key), "value": json.RawMessage(w.values[key])})
	}
	body, err := json.Marshal(items)
	if err != nil {
		w.t.Error(err)
	}
	return &guesttest.OutboundAnswer{Body: string(body)}
}
