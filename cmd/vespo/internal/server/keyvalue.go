package server

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/kv/boltstore"
)

// KVSettings are the settings of key-value stores, as a part of Config.
type KVSettings struct {
	KV string `name:"kv" placeholder:"URL" env:"VESPO_KV" help:"Engine of the key-value stores, such as redis://host or postgres://user@host/database (vespo-cluster alone). Without it, they are in --data."`

	OpenKV kv.Opener `kong:"-"` // nil: this program has no engines
}

// check returns the violations of the settings.
func (s *KVSettings) check() (violations problem.Violations) {
	if s.KV != "" && s.OpenKV == nil {
		violations.Add("kv", unsupported)
	}
	return violations
}

// strings returns the settings that are given as flags, one per line. Users and options of the URL may be secrets.
func (s *KVSettings) strings() string { return engineFlag("kv", s.KV) }

// engineFlag returns a line with the URL of an engine, without user and options, or nothing if there is none.
func engineFlag(name, url string) string {
	if url == "" {
		return ""
	}
	url, _, _ = strings.Cut(url, "?")
	scheme, rest, _ := strings.Cut(url, "://")
	return fmt.Sprintf("--%s=%s://%s\n", name, scheme, rest[strings.LastIndex(rest, "@")+1:])
}

// openStores opens the key-value stores, those of the data directory unless there is an engine.
func (c *core) openStores(ctx context.Context, list *parts.List, cfg *Config, log *slog.Logger) error {
	quotas := kv.Quotas{StoreBytes: int64(cfg.KVSize), Bytes: int64(cfg.KVTotal)}
	var opened kv.Engine
	return list.Open(ctx, parts.Part{
		Name: "the key-value stores",
		Data: true,
		Open: func(ctx context.Context) (err error) {
			if cfg.KV == "" {
				opened, err = openEmbedded(boltstore.Config{Dir: c.store.KVDir(), Limits: quotas, Log: log})
			} else {
				opened, err = cfg.OpenKV(ctx, kv.Options{URL: cfg.KV, Password: os.Getenv(kv.PasswordVariable), Quotas: quotas, Log: log})
			}
			c.stores, c.engine = opened, opened
			return err
		},
		Close: func(context.Context) error { return opened.Close() },
	})
}

// openEmbedded opens the key-value stores in files.
func openEmbedded(cfg boltstore.Config) (kv.Engine, error) {
	s, err := boltstore.Open(cfg)
	if err != nil {
		return nil, err
	}
	return s, nil
}
