package redisstore

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vespo-dev/vespo/router/ratelimit"
)

// Limits keeps the times of rate limits in Redis or Valkey. It implements ratelimit.Engine. A key
// {PREFIX}:rate:KEY has the time of a key in microseconds, by the clock of the engine, and expires at that time.
type Limits struct{ *lossy }

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

// OpenLimits is a ratelimit.Opener.
func OpenLimits(_ context.Context, o ratelimit.Options) (ratelimit.Engine, error) {
	l, err := openLossy("rate limits", o.URL, o.Password, o.Log)
	if err != nil {
		return nil, err
	}
	return &Limits{l}, nil
}

// Spend implements ratelimit.Engine. The script is sent again only if the engine has refused to run it.
func (l *Limits) Spend(ctx context.Context, costs []ratelimit.Cost) (ahead []time.Duration, err error) {
	keys, args := make([]string, len(costs)), make([]any, len(costs))
	for i, c := range costs {
		keys[i] = l.key(c.Key)
		args[i] = strconv.FormatFloat(float64(c.Time)/float64(time.Microsecond), 'f', 3, 64)
	}
	var found []int64
	err = l.on(ctx, func(node *redis.Client) (err error) {
		found, err = spendScript.Run(ctx, node, keys, args...).Int64Slice()
		return err
	})
	for _, us := range found {
		ahead = append(ahead, time.Duration(us)*time.Microsecond)
	}
	return ahead, err
}

// key returns the name of a key.
func (l *Limits) key(k ratelimit.Key) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], k[0])
	binary.BigEndian.PutUint64(b[8:], k[1])
	return l.stores.key("rate:" + base64.RawURLEncoding.EncodeToString(b[:]))
}
