package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/kv/kvlines"
)

// KVCmd works with the key-value stores of a server.
type KVCmd struct {
	List   KVListCmd   `cmd:"" aliases:"ls" help:"List the stores with their sizes, or the keys of one."`
	Get    KVGetCmd    `cmd:"" help:"Print the value of a key."`
	Put    KVPutCmd    `cmd:"" help:"Set a key."`
	Delete KVDeleteCmd `cmd:"" aliases:"rm" help:"Delete a key, or a store with all of its keys."`
	Export KVExportCmd `cmd:"" help:"Print all keys of a store as JSON lines."`
	Import KVImportCmd `cmd:"" help:"Set keys from JSON lines, as export prints them."`
}

// linesType is the media type of exports and imports.
const linesType = "application/jsonl"

// storeArg names a store.
type storeArg struct {
	Store string `arg:"" help:"Name of the store."`
}

func (a storeArg) query() url.Values { return url.Values{"store": {a.Store}} }

// KVListCmd lists stores or keys.
type KVListCmd struct {
	Store  string `arg:"" optional:"" help:"Name of a store, to list its keys."`
	Prefix string `placeholder:"TEXT" help:"List keys that begin with this."`
	Cursor string `placeholder:"KEY" help:"List keys behind this one."`
	Limit  int    `placeholder:"N" default:"1000" help:"List at most so many keys, up to 1000 (${default})."`

	clientFlags
}

// kvStores and kvKeys are responses.
type (
	kvStores struct {
		Stores []struct {
			Store    string   `json:"store"`
			Keys     int64    `json:"keys"`
			Bytes    int64    `json:"bytes"`
			Services []string `json:"services"`
			Problem  string   `json:"problem"`
		} `json:"stores"`
	}
	kvKeys struct {
		Keys []struct {
			Key      string    `json:"key"`
			Size     int64     `json:"size"`
			Metadata string    `json:"metadata"`
			Expires  time.Time `json:"expires"`
		} `json:"keys"`
		Cursor string `json:"cursor"`
	}
	kvChanged struct {
		Store string `json:"store"`
		Key   string `json:"key"`
		kvlines.Imported
	}
)

// Run is called by kong.
func (c *KVListCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client("")
	if err != nil {
		return err
	}
	if c.Store == "" {
		a, err := client.Get(ctx, "/services/kv", nil)
		if err != nil {
			return err
		}
		return show(&c.clientFlags, s, a, writeStores)
	}
	query := url.Values{"store": {c.Store}, "limit": {strconv.Itoa(c.Limit)}}
	for name, value := range map[string]string{"prefix": c.Prefix, "cursor": c.Cursor} {
		if value != "" {
			query.Set(name, value)
		}
	}
	a, err := client.Get(ctx, "/services/kv/list", query)
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, writeKeys)
}

func writeStores(to *screen, all *kvStores) error {
	if len(all.Stores) == 0 {
		_, err := fmt.Fprintln(to, "no key-value stores; a service has one with \"vespo add --kv NAME\"")
		return err
	}
	t := newTable(to)
	t.right, t.cut = []int{1, 2}, []int{3}
	t.row("STORE", "KEYS", "SIZE", "SERVICES", "PROBLEM")
	for _, st := range all.Stores {
		t.row(st.Store, strconv.FormatInt(st.Keys, 10), st.Bytes, strings.Join(st.Services, ", "), st.Problem)
	}
	t.dropEmpty()
	return t.flush()
}

func writeKeys(to *screen, page *kvKeys) error {
	if len(page.Keys) == 0 && page.Cursor == "" {
		_, err := fmt.Fprintln(to, "no keys")
		return err
	}
	t := newTable(to)
	t.right, t.cut = []int{1}, []int{3, 0}
	t.row("KEY", "SIZE", "EXPIRES", "METADATA")
	for _, k := range page.Keys {
		expires := ""
		if !k.Expires.IsZero() {
			expires = to.until(k.Expires)
		}
		t.row(k.Key, k.Size, expires, k.Metadata)
	}
	if len(page.Keys) > 0 {
		t.dropEmpty()
	}
	if err := t.flush(); err != nil || page.Cursor == "" {
		return err
	}
	_, err := fmt.Fprintf(to, "more keys follow: --cursor %s\n", strconv.Quote(page.Cursor))
	return err
}

// KVGetCmd prints a value.
type KVGetCmd struct {
	storeArg
	Key string `arg:"" help:"The key."`

	clientFlags
}

// Run is called by kong. Without a terminal, it writes the bytes of the value and nothing else.
func (c *KVGetCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client("")
	if err != nil {
		return err
	}
	query := c.query()
	query.Set("key", c.Key)
	a, err := client.Get(ctx, "/services/kv/get", query)
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, func(to *screen, l *kvlines.Line) error {
		value := l.Bytes()
		if to.columns > 0 {
			value = []byte(stdio.Printable(string(value), '\n') + "\n")
		}
		_, err := to.Write(value)
		return err
	})
}

// KVPutCmd sets a key.
type KVPutCmd struct {
	storeArg
	Key       string        `arg:"" help:"The key."`
	Value     *string       `arg:"" optional:"" help:"The value. Without it, --file names it."`
	File      string        `placeholder:"FILE" help:"Read the value from a file; - is the standard input."`
	TTL       time.Duration `name:"ttl" placeholder:"DURATION" help:"Time after which the key expires."`
	Metadata  string        `placeholder:"TEXT" help:"Text that is kept beside the value, such as JSON."`
	IfVersion *uint64       `placeholder:"N" help:"Set the key only if it has this version; 0: only if it is absent."`

	clientFlags
}

// Run is called by kong.
func (c *KVPutCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client("")
	if err != nil {
		return err
	}
	value, err := c.value(s)
	if err != nil {
		return err
	}
	line := kvlines.LineOf(kv.Entry{Key: c.Key, Value: value, Metadata: c.Metadata})
	if c.TTL != 0 {
		line.Expires = time.Now().Add(c.TTL).UTC()
	}
	if c.IfVersion != nil {
		v := kv.Version(*c.IfVersion)
		line.IfVersion = &v
	}
	text := line.Append(nil)
	a, err := client.Call(ctx, http.MethodPost, "/services/kv/import", c.query(), Upload{
		Body:        bytes.NewReader(text),
		SizeBytes:   int64(len(text)),
		ContentType: linesType,
	})
	if err != nil {
		return ofOneLine(err)
	}
	return show(&c.clientFlags, s, a, func(to *screen, done *kvChanged) error {
		_, err := fmt.Fprintf(to, "put %s into %s\n", stdio.Printable(c.Key), stdio.Printable(done.Store))
		return err
	})
}

// ofOneLine returns the refusal of an import without what it says about lines.
func ofOneLine(err error) error {
	var refused *Refusal
	if errors.As(err, &refused) {
		refused.Detail = strings.TrimSuffix(strings.TrimPrefix(refused.Detail, "line 1: "), "; 0 keys of the lines before were written")
	}
	return err
}

// value returns the value of the flags.
func (c *KVPutCmd) value(s stdio.Streams) ([]byte, error) {
	switch {
	case (c.Value != nil) == (c.File != ""):
		return nil, errors.New("give a VALUE or --file")
	case !utf8.ValidString(c.Key) || !utf8.ValidString(c.Metadata):
		return nil, errors.New("the key and --metadata must be UTF-8; a value may have any bytes")
	case c.TTL < 0:
		return nil, fmt.Errorf("--ttl is %s: it must be more than 0", c.TTL)
	case c.Value != nil:
		return []byte(*c.Value), nil
	}
	from, closeFile, err := input(c.File, s)
	if err != nil {
		return nil, err
	}
	defer closeFile()
	return io.ReadAll(io.LimitReader(from, kv.MaxValueBytes+1)) // the server refuses what is too long
}

// input opens a file; - is the standard input.
func input(name string, s stdio.Streams) (from io.Reader, closeFile func(), err error) {
	if name == "-" {
		return s.In, func() {}, nil
	}
	f, err := regular.Open(name)
	if err != nil {
		return nil, nil, err
	}
	return f, func() { _ = f.Close() }, nil
}

// KVDeleteCmd deletes a key or a store.
type KVDeleteCmd struct {
	storeArg
	Key string `arg:"" optional:"" help:"The key."`
	All bool   `help:"Delete the store with all of its keys."`
	Yes bool   `short:"y" help:"With --all: do not ask. Without a terminal, nothing is asked in any case."`

	clientFlags
}

// Run is called by kong.
func (c *KVDeleteCmd) Run(ctx context.Context, s stdio.Streams) error {
	if c.All == (c.Key != "") {
		return errors.New("give a KEY, or --all to delete the store")
	}
	client, err := c.client("")
	if err != nil {
		return err
	}
	query := c.query()
	if c.All {
		if !c.Yes && stdio.IsTerminal(s.In) {
			if err := c.confirm(ctx, client, s); err != nil {
				return err
			}
		}
		query.Set("all", "true")
	} else {
		query.Set("key", c.Key)
	}
	a, err := client.Post(ctx, "/services/kv/delete", query)
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, func(to *screen, done *kvChanged) error {
		what := "the store " + done.Store
		if done.Key != "" {
			what = done.Key + " from " + done.Store
		}
		_, err := fmt.Fprintf(to, "deleted %s\n", stdio.Printable(what))
		return err
	})
}

// confirm asks on the terminal whether to delete the store, if there is one.
func (c *KVDeleteCmd) confirm(ctx context.Context, client *Client, s stdio.Streams) error {
	a, err := client.Get(ctx, "/services/kv", nil)
	if err != nil {
		return err
	}
	var all kvStores
	if err := a.Decode(&all); err != nil {
		return err
	}
	for _, found := range all.Stores {
		if found.Store == c.Store {
			question := fmt.Sprintf("delete the store %s with its %s from %s?", stdio.Printable(c.Store), counted(int(found.Keys), "key"), client.base)
			return agree(s, question, "nothing was deleted")
		}
	}
	return nil
}

// KVExportCmd exports a store.
type KVExportCmd struct {
	storeArg
	Prefix string `placeholder:"TEXT" help:"Export keys that begin with this."`

	clientFlags
}

// Run is called by kong.
func (c *KVExportCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client("")
	if err != nil {
		return err
	}
	query := c.query()
	if c.Prefix != "" {
		query.Set("prefix", c.Prefix)
	}
	lines, err := client.stream(ctx, "/services/kv/export", query)
	if err != nil {
		return err
	}
	defer lines.Close()
	if _, err := io.Copy(s.Out, lines); err != nil {
		return fmt.Errorf("the export is incomplete: %w", err)
	}
	return nil
}
