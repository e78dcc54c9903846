package redisstore

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engine"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engineurl"
	"github.com/vespo-dev/vespo/router/ratelimit"
)

// Limits keeps the times of rate limits in Redis or Valkey. It implements ratelimit.Engine. A key
// {PREFIX}:rate:KEY has the time of a key in microseconds, by the clock of the engine, and expires at that time.
type Limits struct{ stores *Stores } // for its client

var _ ratelimit.Engine = (*Limits)(nil)

// spendLua adds ARGV[i] microseconds to the time of KEYS[i]. It returns how far ahead of now each is then, in microseconds.
const spendLua = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local ahead = {}
for i, key in ipairs(KEYS) do
  local text = redis.call('GET', key)
  local at = math.max(text and tonumber(text) or 0, now) + tonumber(ARGV[i])
  redis.call('SET', key, string.format('%.2f', at), 'PX', math.ceil((at - now) / 1000) + 1)
  ahead[i] = math.ceil(at - now)
end
return ahead
`

// spendScript is loaded by the engine when it is used first.
var spendScript = redis.NewScript(spendLua)

// OpenLimits is a ratelimit.Opener. Counts need not survive the engine: its settings are not checked.
func OpenLimits(_ context.Context, o ratelimit.Options) (ratelimit.Engine, error) {
	cfg, err := Parse(o.URL)
	if err == nil {
		err = cfg.Load(o.Password, engineurl.ReadFile)
	}
	if err != nil {
		return nil, err
	}
	cfg.Durability, cfg.Log = Engine, o.Log
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stores{cfg: cfg, presence: engine.NewPresence(cfg.Log, "rate limits", cfg.String())}
	if cfg.Cluster {
		s.cluster = redis.NewClusterClient(cfg.clusterOptions())
	} else {
		s.node = redis.NewClient(cfg.options())
	}
	return &Limits{stores: s}, nil
}

// Spend implements ratelimit.Engine. The script is sent again only if the engine has refused to run it.
func (l *Limits) Spend(ctx context.Context, costs []ratelimit.Cost) ([]time.Duration, error) {
	keys, args := make([]string, len(costs)), make([]any, len(costs))
	for i, c := range costs {
		keys[i] = l.key(c.Key)
		args[i] = strconv.FormatFloat(float64(c.Time)/float64(time.Microsecond), 'f', 3, 64)
	}
	for range 2 {
		node, err := l.stores.master(ctx)
		if err != nil {
			return nil, l.seen(err)
		}
		found, err := spendScript.Run(ctx, node, keys, args...).Int64Slice()
		if moved(err) && l.stores.cluster != nil {
			l.stores.cluster.ReloadState(ctx)
			continue
		}
		ahead := make([]time.Duration, len(found))
		for i, us := range found {
			ahead[i] = time.Duration(us) * time.Microsecond
		}
		return ahead, l.seen(err)
	}
	return nil, l.seen(errors.New("the nodes of the cluster disagree about its slots"))
}

// seen takes the outcome of a call, for the log.
func (l *Limits) seen(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, redis.ErrClosed) {
		return err
	}
	l.stores.presence.Seen(err)
	if err != nil {
		return fmt.Errorf("rate limits: %w", err)
	}
	return nil
}

// key returns the name of a key.
func (l *Limits) key(k ratelimit.Key) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], k[0])
	binary.BigEndian.PutUint64(b[8:], k[1])
	return l.stores.key("rate:" + base64.RawURLEncoding.EncodeToString(b[:]))
}

// Close implements ratelimit.Engine.
func (l *Limits) Close() error { return l.stores.closeClient() }
