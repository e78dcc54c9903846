package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/vespo-dev/vespo/services/kv"
)

// Silence turns the log of the client library off, which has a line for each failed attempt. Stores log themselves. It
// concerns the whole process, and is called before Open.
func Silence() { redis.SetLogger(silent{}) }

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// options are those of a connection to one node. Nothing is tried again: a write must not be made twice.
func (c Config) options() *redis.Options {
	return &redis.Options{
		Addr:                     c.Hosts[0],
		Dialer:                   c.dial,
		OnConnect:                c.checkEngine,
		Username:                 c.User,
		Password:                 c.Password,
		DB:                       c.Database,
		MaxRetries:               -1,
		DialerRetries:            1,
		DialTimeout:              c.Timeout,
		ReadTimeout:              c.Timeout,
		WriteTimeout:             c.Timeout,
		ContextTimeoutEnabled:    true,
		PoolSize:                 c.Pool,
		MaxActiveConns:           c.Pool,
		PoolTimeout:              c.Timeout,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// clusterOptions are those of connections to a cluster.
func (c Config) clusterOptions() *redis.ClusterOptions {
	o := c.options()
	return &redis.ClusterOptions{
		Addrs:                    c.Hosts,
		Dialer:                   o.Dialer,
		OnConnect:                o.OnConnect,
		Username:                 o.Username,
		Password:                 o.Password,
		MaxRedirects:             -1,
		MaxRetries:               o.MaxRetries,
		DialerRetries:            o.DialerRetries,
		DialTimeout:              o.DialTimeout,
		ReadTimeout:              o.ReadTimeout,
		WriteTimeout:             o.WriteTimeout,
		ContextTimeoutEnabled:    true,
		PoolSize:                 o.PoolSize,
		MaxActiveConns:           o.MaxActiveConns,
		PoolTimeout:              o.PoolTimeout,
		DisableIdentity:          true,
		MaintNotificationsConfig: o.MaintNotificationsConfig,
	}
}

// errSettings is matched if the settings of the engine do not keep the promises.
var errSettings = errors.New("the engine does not keep what it acknowledges")

// settings are what the engine must have so that it loses nothing that it has acknowledged.
func settings() []struct{ name, value, why string } {
	return []struct{ name, value, why string }{
		{"appendonly", "yes", "it writes no log of changes"},
		{"appendfsync", "always", "it answers before its disk has a change"},
		{"no-appendfsync-on-rewrite", "no", "it does not wait for its disk while it rewrites the log"},
	}
}

// checkEngine refuses a connection to an engine that can lose what it has acknowledged.
func (c Config) checkEngine(ctx context.Context, conn *redis.Conn) error {
	if c.Durability != Disk {
		return nil
	}
	found := make(map[string]string)
	for _, pattern := range []string{"*append*", "maxmemory*"} {
		some, err := conn.ConfigGet(ctx, pattern).Result()
		if redis.HasErrorPrefix(err, "NOAUTH") {
			return notSent(fmt.Errorf("%w Set %s, or password_file", err, kv.PasswordVariable))
		}
		if err != nil {
			return notSent(fmt.Errorf("%w, or does not tell: CONFIG GET fails (%w). If it has appendfsync always, or you accept "+
				"the loss, add durability=engine", errSettings, err))
		}
		for name, value := range some {
			found[name] = value
		}
	}
	for _, s := range settings() {
		if found[s.name] != s.value {
			return notSent(fmt.Errorf("%w: %s, since %s is %q. Set it to %q, or accept the loss by durability=engine",
				errSettings, s.why, s.name, found[s.name], s.value))
		}
	}
	if policy := found["maxmemory-policy"]; found["maxmemory"] != "0" && !strings.HasPrefix(policy, "volatile-") && policy != "noeviction" {
		return notSent(fmt.Errorf("%w: it evicts keys when its memory is full, since maxmemory-policy is %q. "+
			"Set it to noeviction, or accept the loss by durability=engine", errSettings, policy))
	}
	return nil
}
