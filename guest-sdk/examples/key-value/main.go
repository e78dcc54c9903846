// Command key-value keeps notes in a key-value store: PUT, GET and DELETE of /notes/NAME, GET of /notes for their names, and
// GET of /visits for a counter.
//
// The service needs a store (vespo add --kv notes).
package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

func init() { guest.Handle(handle) }

const prefix = "note/" // of the keys of notes

func handle(w *guest.Response, r *guest.Request) {
	notes := vespo.KV("notes")
	name, isNote := strings.CutPrefix(vespo.Rest(), "/notes/")
	var err error
	switch {
	case vespo.Rest() == "/visits":
		err = visits(w, notes)
	case vespo.Rest() == "/notes" && r.Method() == "GET":
		err = list(w, notes, "")
	case isNote && r.Method() == "GET":
		err = get(w, notes, name)
	case isNote && r.Method() == "PUT":
		err = put(w, r, notes, name)
	case isNote && r.Method() == "DELETE":
		err = notes.Delete(prefix + name)
	default:
		w.Text(404, "use PUT, GET and DELETE of /notes/NAME, or GET of /notes and /visits\n")
	}
	if err != nil {
		w.Text(status(err), err.Error()+"\n")
	}
}

func visits(w *guest.Response, s vespo.Store) error {
	n, err := s.Add("visits", 1)
	if err == nil {
		fmt.Fprintln(w, n)
	}
	return err
}

// list writes the names of all notes, page by page.
func list(w *guest.Response, s vespo.Store, cursor string) error {
	page, err := s.List(vespo.ListOptions{Prefix: prefix, Cursor: cursor})
	if err != nil {
		return err
	}
	for _, e := range page.Entries {
		fmt.Fprintln(w, strings.TrimPrefix(e.Key, prefix), e.Metadata)
	}
	if page.Next == "" {
		return nil
	}
	return list(w, s, page.Next)
}

func get(w *guest.Response, s vespo.Store, name string) error {
	e, err := s.Entry(prefix + name)
	if err != nil {
		return err
	}
	w.Header.Set("etag", fmt.Sprintf(`"%d"`, e.Version))
	_, err = w.Write(e.Value)
	return err
}

// put writes a note that expires after a day. With the header If-None-Match: *, it writes a new note only.
func put(w *guest.Response, r *guest.Request, s vespo.Store, name string) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	version, err := s.PutWith(prefix+name, text, vespo.PutOptions{
		TTL:      24 * time.Hour,
		Metadata: fmt.Sprintf(`{"bytes":%d}`, len(text)),
		Match:    r.Header.Get("if-none-match") == "*", // version 0: the key must be absent
	})
	if err == nil {
		w.Header.Set("etag", fmt.Sprintf(`"%d"`, version))
		w.SetStatus(204)
	}
	return err
}

func status(err error) int {
	switch {
	case errors.Is(err, vespo.ErrKVNotFound):
		return 404
	case errors.Is(err, vespo.ErrKVConflict):
		return 412
	case errors.Is(err, vespo.ErrKVInvalid), errors.Is(err, vespo.ErrKVTooLarge):
		return 400
	case errors.Is(err, vespo.ErrKVFull):
		return 507
	}
	return 503
}

func main() {}
