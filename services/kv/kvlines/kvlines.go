// Package kvlines writes the content of a key-value store as JSON lines, and reads it back.
//
// A line is an object with key, and value or, for bytes that are not UTF-8, base64; and metadata, expires (RFC 3339) and
// version, if there are any. Imports do not use the version.
package kvlines

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/vespo-dev/vespo/services/kv"
)

// MaxLineBytes is the length of a line. JSON may write a byte of a value as six.
const MaxLineBytes = 6*kv.MaxChangeBytes + 1<<10

// Line is one key.
type Line struct {
	Key      string     `json:"key"`
	Value    *string    `json:"value,omitempty"`
	Base64   []byte     `json:"base64,omitempty"`
	Metadata string     `json:"metadata,omitempty"`
	Expires  time.Time  `json:"expires,omitzero"`
	Version  kv.Version `json:"version,omitempty"`
	// IfVersion is the version that the key must have, 0 if it must be absent. Only a request to put one key has it.
	IfVersion *kv.Version `json:"if_version,omitempty"`
}

// LineOf returns the line of an entry.
func LineOf(e kv.Entry) Line {
	l := Line{Key: e.Key, Metadata: e.Metadata, Expires: e.Expires.UTC(), Version: e.Version}
	if e.Expires.IsZero() {
		l.Expires = time.Time{}
	}
	if utf8.Valid(e.Value) {
		text := string(e.Value)
		l.Value = &text
		return l
	}
	l.Base64 = e.Value
	return l
}

// Bytes returns the value.
func (l Line) Bytes() []byte {
	if l.Value != nil {
		return []byte(*l.Value)
	}
	return l.Base64
}

// Change returns the change that sets the key.
func (l Line) Change() kv.Change {
	return kv.Change{Key: l.Key, Value: l.Bytes(), Metadata: l.Metadata, Expires: l.Expires, If: l.IfVersion}
}

// Append appends the line with its line feed.
func (l Line) Append(to []byte) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(l); err != nil {
		panic("kvlines: a line can always be encoded: " + err.Error())
	}
	return append(to, b.Bytes()...)
}

// Parse reads a line. Unknown members are refused.
func Parse(text []byte) (Line, error) {
	var l Line
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return l, fmt.Errorf("is not a JSON object with key, value or base64, metadata and expires: %w", err)
	}
	if rest, _ := io.ReadAll(dec.Buffered()); len(bytes.TrimSpace(rest)) > 0 {
		return l, errors.New("has more than one JSON object")
	}
	if l.Value != nil && len(l.Base64) > 0 {
		return l, errors.New("has a value and base64: give one of them")
	}
	return l, nil
}

// Export writes all keys with a prefix, in the order of their bytes. Each page is of one moment, the whole is not.
func Export(ctx context.Context, stores kv.Stores, store, prefix string, to io.Writer) error {
	q := kv.Query{Prefix: prefix, Limit: kv.MaxPage, Values: true}
	for {
		page, err := stores.List(ctx, store, q)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if _, err := to.Write(LineOf(e).Append(nil)); err != nil {
				return err
			}
		}
		if q.After = page.Next; q.After == "" {
			return nil
		}
	}
}

// Imported counts the lines of an import.
type Imported struct {
	Keys    int `json:"keys"`    // written
	Expired int `json:"expired"` // left out
}

// LineError is an error of an import. The batches before it were written, the one with this line was not.
type LineError struct {
	Line int
	Done Imported
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d %v", e.Line, e.Err) }

func (e *LineError) Unwrap() error { return e.Err }

// Import writes keys in batches, each of which is atomic: as many consecutive lines as one write takes. Keys that are not among the lines stay.
// Errors are *LineError, except for those of the reader.
func Import(ctx context.Context, stores kv.Stores, store string, from io.Reader) (done Imported, err error) {
	var batch []kv.Change
	size, number, last := 0, 0, 0 // last is the number of the last line in the batch
	keys := make(map[string]bool)
	flush := func() error {
		if _, err := stores.Write(ctx, store, batch); err != nil {
			return err
		}
		done.Keys += len(batch)
		batch, size = nil, 0
		clear(keys)
		return nil
	}
	scan := bufio.NewScanner(from)
	scan.Buffer(make([]byte, 0, 64<<10), MaxLineBytes)
	for scan.Scan() && scan.Err() == nil { // after an error, the line may be a part of one
		number++
		if len(bytes.TrimSpace(scan.Bytes())) == 0 {
			continue
		}
		c, err := changeOf(scan.Bytes())
		bytes := len(c.Key) + len(c.Value) + len(c.Metadata)
		if err == nil && (len(batch) == kv.MaxChanges || size+bytes > kv.MaxChangeBytes || keys[c.Key]) {
			if err := flush(); err != nil {
				return done, &LineError{last, done, err}
			}
		}
		switch {
		case err != nil:
			return done, &LineError{number, done, err}
		case !c.Expires.IsZero() && !c.Expires.After(time.Now()):
			done.Expired++
			continue
		}
		batch, size, keys[c.Key], last = append(batch, c), size+bytes, true, number
	}
	switch err := scan.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return done, &LineError{number + 1, done, fmt.Errorf("is longer than %d bytes", MaxLineBytes)}
	case err != nil:
		return done, err
	}
	if err := flush(); err != nil {
		return done, &LineError{last, done, err}
	}
	return done, nil
}

func changeOf(text []byte) (kv.Change, error) {
	l, err := Parse(text)
	if err != nil {
		return kv.Change{}, err
	}
	c := l.Change()
	return c, kv.CheckChanges([]kv.Change{c}, time.Now())
}
