package vespo_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

// Counters of all requests are in the store.
func ExampleStore_Add() {
	handler := func(w *guest.Response, r *guest.Request) {
		n, err := vespo.KV("visits").Add(r.Path(), 1)
		if err != nil {
			w.Text(503, err.Error()+"\n")
			return
		}
		fmt.Fprintln(w, "visit", n)
	}
	stores := map[string]*guesttest.Store{"visits": {}}
	for range 2 {
		fmt.Print(guesttest.ServeWith(handler, &guesttest.Request{Stores: stores}).Body)
	}
	// Output:
	// visit 1
	// visit 2
}

// Update changes a value without losing the change of another request.
func ExampleStore_Update() {
	handler := func(w *guest.Response, r *guest.Request) {
		err := vespo.KV("log").Update("lines", func(old []byte) ([]byte, error) {
			return append(old, r.Path()+"\n"...), nil
		})
		if err != nil {
			w.Text(503, err.Error()+"\n")
		}
	}
	log := &guesttest.Store{}
	for _, path := range []string{"/a", "/b"} {
		guesttest.ServeWith(handler, &guesttest.Request{URI: path, Stores: map[string]*guesttest.Store{"log": log}})
	}
	lines, _ := log.Get("lines")
	fmt.Print(string(lines.Value))
	// Output:
	// /a
	// /b
}

// store calls f with a store in a handler.
func store(t *testing.T, f func(s vespo.Store)) {
	t.Helper()
	within(t, &guesttest.Request{Stores: map[string]*guesttest.Store{"a": {}}}, func() { f(vespo.KV("a")) })
}

func TestEntries(t *testing.T) {
	store(t, func(s vespo.Store) {
		for _, n := range []int{0, 1, 2047, 2048, 2049, 100_000} {
			want := strings.Repeat("x", n)
			version, err := s.PutWith("k", []byte(want), vespo.PutOptions{TTL: time.Hour, Metadata: want[:min(n, 1000)]})
			if err != nil {
				t.Error(err)
			}
			e, err := s.Entry("k")
			if err != nil || string(e.Value) != want || e.Metadata != want[:min(n, 1000)] || e.Version != version || time.Until(e.Expires) < time.Minute {
				t.Errorf("%d: %v, %v", n, e, err)
			}
		}
		if err := s.Delete("k"); err != nil {
			t.Error(err)
		}
		if _, err := s.Get("k"); !errors.Is(err, vespo.ErrKVNotFound) {
			t.Error(err)
		}
		if err := s.Delete("k"); err != nil {
			t.Error(err)
		}
	})
}

func TestVersions(t *testing.T) {
	store(t, func(s vespo.Store) {
		first, err := s.PutWith("k", nil, vespo.PutOptions{Match: true})
		if err != nil {
			t.Error(err)
		}
		if _, err := s.PutWith("k", nil, vespo.PutOptions{Match: true}); !errors.Is(err, vespo.ErrKVConflict) {
			t.Error(err)
		}
		second, err := s.PutWith("k", nil, vespo.PutOptions{Match: true, Version: first})
		if err != nil || second <= first {
			t.Error(first, second, err)
		}
		if err := s.DeleteMatch("k", first); !errors.Is(err, vespo.ErrKVConflict) {
			t.Error(err)
		}
		if err := s.DeleteMatch("k", second); err != nil {
			t.Error(err)
		}
	})
}

func TestUpdateIsTriedAgain(t *testing.T) {
	store(t, func(s vespo.Store) {
		calls := 0
		err := s.Update("k", func(old []byte) ([]byte, error) {
			if calls++; calls < 3 {
				_ = s.Put("k", []byte{byte(calls)})
			}
			return append(old, 'x'), nil
		})
		value, _ := s.Get("k")
		if err != nil || string(value) != "\x02x" || calls != 3 {
			t.Errorf("%q after %d calls: %v", value, calls, err)
		}
		err = s.Update("k", func([]byte) ([]byte, error) { return nil, s.Put("k", nil) })
		if !errors.Is(err, vespo.ErrKVConflict) {
			t.Error(err)
		}
		other := errors.New("stop")
		if err := s.Update("k", func([]byte) ([]byte, error) { return nil, other }); err != other {
			t.Error(err)
		}
	})
}

func TestLists(t *testing.T) {
	store(t, func(s vespo.Store) {
		var want []string
		for n := range 150 {
			key := fmt.Sprintf("key-%03d", n)
			want = append(want, key)
			if _, err := s.PutWith(key, []byte("v"), vespo.PutOptions{Metadata: strings.Repeat("m", n)}); err != nil {
				t.Error(err)
			}
		}
		_ = s.Put("other", nil)
		for _, limit := range []int{0, 1, 7, 150, 1000} {
			var found []string
			for o := (vespo.ListOptions{Prefix: "key-", Limit: limit}); ; {
				page, err := s.List(o)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page.Entries {
					found = append(found, e.Key)
					if e.Version == 0 || !e.Expires.IsZero() || len(e.Metadata) != len(found)-1 {
						t.Errorf("%+v", e)
					}
				}
				if o.Cursor = page.Next; page.Next == "" {
					break
				}
			}
			if !slices.Equal(found, want) {
				t.Errorf("%d: %q", limit, found)
			}
		}
		if page, err := s.List(vespo.ListOptions{Prefix: "none"}); err != nil || len(page.Entries) != 0 {
			t.Error(page, err)
		}
	})
}

func TestKVErrors(t *testing.T) {
	store(t, func(s vespo.Store) {
		other := vespo.KV("other")
		_, get := other.Get("k")
		_, list := other.List(vespo.ListOptions{})
		_, limit := s.List(vespo.ListOptions{Limit: 1001})
		_, ttl := s.PutWith("k", nil, vespo.PutOptions{TTL: time.Microsecond})
		_ = s.Put("text", []byte("x"))
		_, number := s.Add("text", 1)
		for _, c := range []struct {
			err  error
			code vespo.KVCode
		}{
			{get, vespo.ErrKVNoStore},
			{list, vespo.ErrKVNoStore},
			{other.Put("k", nil), vespo.ErrKVNoStore},
			{s.Put("", nil), vespo.ErrKVInvalid},
			{s.Put("a\x00", nil), vespo.ErrKVInvalid},
			{s.Put(strings.Repeat("k", 513), nil), vespo.ErrKVTooLarge},
			{s.Put("k", make([]byte, 1<<20+1)), vespo.ErrKVTooLarge},
			{limit, vespo.ErrKVInvalid},
			{ttl, vespo.ErrKVInvalid},
			{number, vespo.ErrKVNotNumber},
		} {
			if !errors.Is(c.err, c.code) {
				t.Errorf("%v, and not %v", c.err, c.code)
			}
		}
		var e *vespo.KVError
		if !errors.As(get, &e) || e.Store != "other" || e.Key != "k" || get.Error() != `vespo: store other, key "k": this service has no such store` {
			t.Error(get)
		}
	})
}
