package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engine"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engineurl"
	"github.com/vespo-dev/vespo/services/kv"
)

// Stores implements kv.Stores. It is safe for concurrent use.
type Stores struct {
	cfg     Config               // immutable
	scripts scripts              // immutable
	node    *redis.Client        // immutable; nil for a cluster
	cluster *redis.ClusterClient // immutable; nil for a single node

	presence *engine.Presence // immutable
	counted  engine.Counted
	quit     context.CancelFunc // immutable; ends the sweeps
	swept    sync.WaitGroup     // the goroutine that sweeps
}

var _ kv.Stores = (*Stores)(nil)

// Open connects to the engine. An engine that does not answer does not fail Open: operations fail until it does. One that
// answers, but whose settings do not keep the promises, does.
func Open(ctx context.Context, cfg Config) (*Stores, error) {
	cfg.Quotas = cfg.Quotas.WithDefaults()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stores{cfg: cfg, scripts: newScripts(), presence: engine.NewPresence(cfg.Log, "key-value stores", cfg.String())}
	if cfg.Cluster {
		s.cluster = redis.NewClusterClient(cfg.clusterOptions())
	} else {
		s.node = redis.NewClient(cfg.options())
	}
	_, err := s.sizes(ctx)
	var refused redis.Error
	if errors.Is(err, errSettings) || errors.As(err, &refused) && !temporary(err) {
		return nil, errors.Join(fmt.Errorf("key-value stores at %s: %w", cfg, err), s.closeClient())
	}
	sweeping, quit := context.WithCancel(context.WithoutCancel(ctx))
	s.quit = quit
	s.swept.Go(func() { engine.Keep(sweeping, cfg.Log, s.count, s.sweep) })
	return s, nil
}

// OpenURL is a kv.Opener.
func OpenURL(ctx context.Context, o kv.Options) (kv.Engine, error) {
	cfg, err := Parse(o.URL)
	if err == nil {
		err = cfg.Load(o.Password, engineurl.ReadFile)
	}
	if err != nil {
		return nil, err
	}
	cfg.Quotas, cfg.Log = o.Quotas, o.Log
	s, err := Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends all operations and closes all connections. It must be called once.
func (s *Stores) Close() error {
	s.quit()
	err := s.closeClient()
	s.swept.Wait()
	return err
}

func (s *Stores) closeClient() error {
	if s.cluster != nil {
		return s.cluster.Close()
	}
	return s.node.Close()
}

// key returns the name of a key of all stores.
func (s *Stores) key(name string) string { return "{" + s.cfg.Prefix + "}:" + name }

// keys returns the KEYS of all scripts.
func (s *Stores) keys(store string) []string {
	return []string{
		s.key("stores"), s.key("totals"),
		s.key("info:" + store), s.key("values:" + store), s.key("order:" + store), s.key("expiry:" + store),
	}
}

// now returns the time for scripts.
func (s *Stores) now() string {
	if s.cfg.Now == nil {
		return ""
	}
	return strconv.FormatInt(s.cfg.Now().UnixMicro(), 10)
}

// Get implements kv.Stores.
func (s *Stores) Get(ctx context.Context, store, key string) (kv.Entry, error) {
	if err := errors.Join(ctx.Err(), kv.CheckName(store), kv.CheckKey(key)); err != nil {
		return kv.Entry{}, err
	}
	found, err := s.read(ctx, s.scripts.get, store, s.now(), key)
	if errors.Is(err, redis.Nil) {
		return kv.Entry{}, kv.Reject(kv.ErrNotFound, "the key %.100q is not present", key)
	}
	if err != nil {
		return kv.Entry{}, err
	}
	entries, err := entriesOf(append([]any{key}, found...))
	if err != nil {
		return kv.Entry{}, s.damaged(store, err)
	}
	return entries[0], nil
}

// List implements kv.Stores.
func (s *Stores) List(ctx context.Context, store string, q kv.Query) (kv.Page, error) {
	if err := errors.Join(ctx.Err(), kv.CheckName(store), q.Check()); err != nil {
		return kv.Page{}, err
	}
	from, to := "["+q.Prefix, "+"
	if q.After != "" && q.After >= q.Prefix {
		from = "(" + q.After
	}
	if q.Prefix != "" { // no byte of UTF-8 is 0xff
		last := len(q.Prefix) - 1
		to = "(" + q.Prefix[:last] + string([]byte{q.Prefix[last] + 1})
	}
	values := "0"
	if q.Values {
		values = "1"
	}
	found, err := s.read(ctx, s.scripts.list, store, s.now(), from, to, q.Limit, values, kv.MaxScan, kv.MaxPageBytes)
	if err != nil {
		return kv.Page{}, err
	}
	next, _ := found[0].(string)
	entries, err := entriesOf(found[1:])
	if err != nil {
		return kv.Page{}, s.damaged(store, err)
	}
	for i := range entries {
		if !q.Values {
			entries[i].Value = nil
		}
	}
	return kv.Page{Entries: entries, Next: next}, nil
}

// All implements kv.Stores.
func (s *Stores) All(ctx context.Context) ([]kv.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found, err := s.sizes(ctx)
	if err != nil {
		return nil, engine.Unavailable(ctx, err)
	}
	var all []kv.Info
	for name, usage := range found {
		info := kv.Info{Name: name}
		if _, err := fmt.Sscanf(usage, "%d %d", &info.Keys, &info.Bytes); err != nil {
			info.Problem = "its size cannot be read"
		}
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b kv.Info) int { return strings.Compare(a.Name, b.Name) })
	s.counted.Note(all)
	return all, nil
}

// sizes returns the sizes of all stores, as the scripts write them.
func (s *Stores) sizes(ctx context.Context) (found map[string]string, err error) {
	err = s.tryTwice(ctx, func(node *redis.Client) (err error) {
		found, err = node.HGetAll(ctx, s.key("stores")).Result()
		return err
	})
	return found, err
}

// count reads the totals.
func (s *Stores) count(ctx context.Context) error {
	_, err := s.All(ctx)
	return err
}

// Totals implements kv.Engine. They are up to ten seconds old.
func (s *Stores) Totals() kv.Totals { return s.counted.Totals(s.presence) }

// Drop implements kv.Stores.
func (s *Stores) Drop(ctx context.Context, store string) error {
	if err := errors.Join(ctx.Err(), kv.CheckName(store)); err != nil {
		return err
	}
	found, err := s.run(ctx, s.scripts.drop, store, s.now(), store)
	if err != nil {
		return s.writeFailed(ctx, store, err)
	}
	if n, _ := found.(int64); n == 0 {
		return kv.Reject(kv.ErrNotFound, "there is no store %q", store)
	}
	return nil
}

// entriesOf returns the entries of triples: key, text and value.
func entriesOf(triples []any) ([]kv.Entry, error) {
	entries := make([]kv.Entry, 0, len(triples)/3)
	for i := 0; i+2 < len(triples); i += 3 {
		key, _ := triples[i].(string)
		text, _ := triples[i+1].(string)
		value, ok := triples[i+2].(string)
		parts := strings.SplitN(text, " ", 4)
		if !ok || len(parts) != 4 {
			return nil, fmt.Errorf("the entry of the key %.100q cannot be read", key)
		}
		version, err1 := strconv.ParseUint(parts[0], 10, 64)
		expires, err2 := strconv.ParseInt(parts[1], 10, 64)
		length, err3 := strconv.ParseInt(parts[2], 10, 64)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("the entry of the key %.100q cannot be read: %w", key, err)
		}
		e := kv.Entry{
			Key:       key,
			Value:     []byte(value),
			Metadata:  parts[3],
			Version:   kv.Version(version),
			SizeBytes: int64(len(key)+len(parts[3])) + length + kv.EntryOverheadBytes,
		}
		if expires != 0 {
			e.Expires = time.UnixMilli(expires)
		}
		entries = append(entries, e)
	}
	return entries, nil
}
