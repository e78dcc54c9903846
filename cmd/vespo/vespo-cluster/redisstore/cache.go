package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vespo-dev/vespo/router/cache"
)

// Cache keeps answers in Redis or Valkey. It implements cache.Engine. Values are in {PREFIX}:cache:KEY. The log of removals is in the list
// {PREFIX}:cache/log, the newest first, and in the hash {PREFIX}:cache/head, which has its epoch and its number n of removals.
type Cache struct{ *lossy }

var _ cache.Engine = (*Cache)(nil)

// cacheLog bounds the removals in the log.
const cacheLog = 4096

// removeLua makes removals. KEYS[1] and KEYS[2] are head and log. For each removal there follow in KEYS the mark and the keys to be deleted, and in
// ARGV the value and the milliseconds of the mark, the number of keys to be deleted, and the notice.
const removeLua = `
local k = 3
for a = 2, #ARGV, 4 do
  redis.call('SET', KEYS[k], ARGV[a], 'PX', ARGV[a + 1])
  local n = tonumber(ARGV[a + 2])
  for i = 1, n do redis.call('DEL', KEYS[k + i]) end
  k = k + 1 + n
  redis.call('HINCRBY', KEYS[1], 'n', 1)
  redis.call('LPUSH', KEYS[2], ARGV[a + 3])
end
redis.call('LTRIM', KEYS[2], 0, ARGV[1] - 1)
return 0
`

// logLua returns the time, the epoch and the number of removals, and the notices after ARGV[2] removals of the epoch ARGV[1], unless there are more
// than ARGV[4]. A log without an epoch gets ARGV[3]. It always writes, so that it fails on a replica, whose answers may be old.
const logLua = `
local t = redis.call('TIME')
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[3])
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local n = tonumber(redis.call('HGET', KEYS[1], 'n') or '0')
local found = {t[1], t[2], string.sub(epoch, 1, 64), string.format('%.0f', n)}
local new = n - tonumber(ARGV[2])
if epoch == ARGV[1] and new > 0 and new <= tonumber(ARGV[4]) then
  local list = redis.call('LRANGE', KEYS[2], 0, new - 1)
  for i = #list, 1, -1 do found[#found + 1] = string.sub(list[i], 1, 4096) end
end
return found
`

// Scripts are loaded by the engine when they are used first.
var (
	removeScript = redis.NewScript(removeLua)
	logScript    = redis.NewScript(logLua)
)

// OpenCache is a cache.Opener.
func OpenCache(_ context.Context, o cache.Options) (cache.Engine, error) {
	l, err := openLossy("cache", o.URL, o.Password, o.Log)
	if err != nil {
		return nil, err
	}
	return &Cache{l}, nil
}

func (c *Cache) key(name string) string { return c.stores.key("cache:" + name) }

// keys returns the KEYS of scripts.
func (c *Cache) keys() []string {
	return []string{c.stores.key("cache/head"), c.stores.key("cache/log")}
}

// Read implements cache.Engine. A key of another type has no value.
func (c *Cache) Read(ctx context.Context, keys []string, limit int) (values [][]byte, at time.Time, err error) {
	err = c.on(ctx, func(node *redis.Client) error {
		var now *redis.TimeCmd
		found := make([]*redis.StringCmd, len(keys))
		_, _ = node.Pipelined(ctx, func(p redis.Pipeliner) error { // its error is that of a command
			now = p.Time(ctx)
			for i, key := range keys {
				found[i] = p.GetRange(ctx, c.key(key), 0, int64(limit))
			}
			return nil
		})
		if now.Err() != nil {
			return now.Err()
		}
		at, values = now.Val(), make([][]byte, len(keys))
		for i, f := range found {
			value, err := f.Bytes()
			if err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") {
				return err
			}
			values[i] = value
		}
		return nil
	})
	return values, at, err
}

// Write implements cache.Engine.
func (c *Cache) Write(ctx context.Context, records []cache.Record) error {
	return c.on(ctx, func(node *redis.Client) error {
		commands, _ := node.Pipelined(ctx, func(p redis.Pipeliner) error { // its error is that of a command
			for _, r := range records {
				args := []any{"SET", c.key(r.Key), r.Value, "PX", max(1, r.TTL.Milliseconds())}
				if r.New {
					args = append(args, "NX")
				}
				p.Do(ctx, args...)
			}
			return nil
		})
		for _, cmd := range commands {
			if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
		}
		return nil
	})
}

// Remove implements cache.Engine.
func (c *Cache) Remove(ctx context.Context, removals []cache.Removal) error {
	keys, args := c.keys(), []any{cacheLog}
	for _, r := range removals {
		keys = append(keys, c.key(r.Mark))
		for _, key := range r.Delete {
			keys = append(keys, c.key(key))
		}
		args = append(args, r.Value, max(1, r.TTL.Milliseconds()), len(r.Delete), r.Notice)
	}
	return c.on(ctx, func(node *redis.Client) error { return removeScript.Run(ctx, node, keys, args...).Err() })
}

// Log implements cache.Engine.
func (c *Cache) Log(ctx context.Context, after cache.Position) (log cache.Log, err error) {
	var found []string
	err = c.on(ctx, func(node *redis.Client) (err error) {
		found, err = logScript.Run(ctx, node, c.keys(), after.Epoch, after.N, rand.Text(), cacheLog).StringSlice()
		return err
	})
	if err != nil {
		return log, err
	}
	if len(found) < 4 {
		return log, c.seen(errors.New("the reply of the log is too short"))
	}
	var numbers [3]int64 // seconds and microseconds, and the number of removals
	for i, text := range []string{found[0], found[1], found[3]} {
		if numbers[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			return log, c.seen(fmt.Errorf("the reply of the log has no number: %w", err))
		}
	}
	log.At = time.Unix(numbers[0], numbers[1]*1000)
	log.Epoch, log.N = found[2], numbers[2]
	for _, notice := range found[4:] {
		log.Notices = append(log.Notices, []byte(notice))
	}
	if log.Epoch != after.Epoch || log.N-after.N != int64(len(log.Notices)) {
		log.Lost, log.Notices = true, nil
	}
	return log, nil
}
