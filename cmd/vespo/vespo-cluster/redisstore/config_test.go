package redisstore

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs/certtest"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engineurl"
	"github.com/vespo-dev/vespo/router/cache"
)

func TestParse(t *testing.T) {
	c, err := Parse("redis://me@a,b:7000,[::1]/?cluster=true&prefix=x/y&pool=3&timeout=2s&durability=engine&password_file=p")
	require.NoError(t, err)
	require.Equal(t, []string{"a:6379", "b:7000", "[::1]:6379"}, c.Hosts)
	require.Equal(t, []any{"me", true, "x/y", 3, 2 * time.Second, Engine}, []any{c.User, c.Cluster, c.Prefix, c.Pool, c.Timeout, c.Durability})
	require.Equal(t, "redis://a:6379,b:7000,[::1]:6379/0", c.String())
	c, err = Parse("rediss://a/3")
	require.NoError(t, err)
	require.NotNil(t, c.TLS)
	require.Equal(t, "rediss://a:6379/3", c.String())
	for url, says := range map[string]string{
		"":                                   "write it like redis://host",
		"http://a":                           "write it like redis://host",
		"redis://":                           "is not a host",
		"redis://a:0":                        "is not a host",
		"redis://a:99999":                    "is not a host",
		"redis://u:secret@a":                 "VESPO_KV_PASSWORD",
		"redis://u:sec/ret@a":                "cannot be part of it",
		"redis://a/x":                        "must be a number",
		"redis://a/-1":                       "must be a number",
		"redis://a,b":                        "cluster=true",
		"redis://a/1?cluster=true":           "database 0 alone",
		"redis://a?cluster=yes":              "true or false",
		"redis://a?durability=none":          "disk or engine",
		"redis://a?prefix=":                  "letters",
		"redis://a?prefix={}":                "letters",
		"redis://a?pool=0":                   "a number from 1 to",
		"redis://a?timeout=1":                "a time between",
		"redis://a?max_retries=3":            "the options are ca, cert, cluster, durability, key, password_file, pool, prefix, timeout",
		"redis://a?pool=1&pool=2":            "twice",
		"redis://a?password=secret":          "VESPO_KV_PASSWORD",
		"redis://a?ca=f":                     "use rediss",
		"rediss://a?cert=f":                  "belong together",
		"redis://a?%zz":                      "options cannot be read",
		"rediss://a?password_file=":          "it must be a file",
		"redis://secret%40a:pw@host?pool=no": "VESPO_KV_PASSWORD",
	} {
		_, err := Parse(url)
		require.ErrorIs(t, err, engineurl.ErrURL, url)
		require.ErrorContains(t, err, says, url)
		require.NotContains(t, err.Error(), "secret")
	}
}

// TestSettings refuses engines that lose what they acknowledge.
func TestSettings(t *testing.T) {
	relaxed := func(c *Config) { c.Durability = Engine }
	for option, says := range map[[2]string]string{
		{"--appendonly", "no"}:                 "appendonly",
		{"--appendfsync", "everysec"}:          "appendfsync",
		{"--no-appendfsync-on-rewrite", "yes"}: "no-appendfsync-on-rewrite",
		{"--maxmemory-policy", "allkeys-lru"}:  "maxmemory-policy",
		{"--rename-command CONFIG", "x"}:       "CONFIG GET fails",
	} {
		engine := enginetest.StartRedis(t, option[0], option[1], "--maxmemory", "100mb")
		cfg, err := Parse("redis://" + engine.Address)
		require.NoError(t, err)
		_, err = Open(t.Context(), cfg)
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, "durability=engine")
		s := openAt(t, engine.Address, relaxed)
		require.NoError(t, enginetest.Put(t, s, "k", "v"))
		require.NoError(t, s.Close())
		engine.Kill()
	}
}

// TestSecrets connects with TLS, a certificate, and a password. A wrong password is refused at the start, and never shown.
func TestSecrets(t *testing.T) {
	authority := certtest.NewAuthority(t)
	cert, key := authority.Files("127.0.0.1")
	engine := enginetest.StartRedis(t)
	engine.Do(t, "ACL", "SETUSER", "me", "on", ">se-cret", "~*", "+@all")
	locked := enginetest.StartRedis(t)
	locked.Do(t, "CONFIG", "SET", "requirepass", "se-cret")
	secure := engine.TLS(t, "--tls-ca-cert-file", authority.File(), "--tls-cert-file", cert, "--tls-key-file", key)
	files := map[string][]byte{"wrong": []byte("other-secret\n"), "right": []byte("se-cret\r\n"), "empty": nil, "none.pem": []byte("x")}
	readFile := func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return text, nil
		}
		return os.ReadFile(name)
	}
	open := func(url, password string) error {
		cfg, err := Parse(url)
		require.NoError(t, err)
		if err := cfg.Load(password, readFile); err != nil {
			return err
		}
		s, err := Open(t.Context(), cfg)
		if err != nil {
			return err
		}
		return errors.Join(enginetest.Put(t, s, "k", "v"), s.Close())
	}
	require.NoError(t, open("redis://me@"+engine.Address, "se-cret"))
	require.NoError(t, open("redis://me@"+engine.Address+"?password_file=right", "ignored"))
	tls := "rediss://me@" + secure + "?ca=" + authority.File()
	require.NoError(t, open(tls+"&cert="+cert+"&key="+key, "se-cret"))
	for _, c := range []struct{ url, password, says string }{
		{"redis://me@" + engine.Address, "other-secret", "WRONGPASS"},
		{"redis://" + locked.Address, "", "NOAUTH Authentication required. Set VESPO_KV_PASSWORD"},
		{"redis://me@" + engine.Address + "?password_file=wrong", "", "WRONGPASS"},
		{"redis://me@" + engine.Address + "?password_file=empty", "", "is empty"},
		{"redis://me@" + engine.Address + "?password_file=absent", "", "password_file"},
		{"redis://me@" + engine.Address, "", "has no password"},
		{"rediss://me@" + secure + "?ca=none.pem", "se-cret", "no certificate in PEM"},
		{tls, "se-cret", "unavailable"}, // no certificate of its own
	} {
		err := open(c.url, c.password)
		require.ErrorContains(t, err, c.says)
		require.NotContains(t, err.Error(), "cret")
	}
}

// TestSecretsOfTheCache connects with TLS and a password.
func TestSecretsOfTheCache(t *testing.T) {
	authority := certtest.NewAuthority(t)
	cert, key := authority.Files("127.0.0.1")
	engine := enginetest.StartRedis(t)
	engine.Do(t, "ACL", "SETUSER", "me", "on", ">se-cret", "~{mine}:*", "+@all")
	secure := engine.TLS(t, "--tls-ca-cert-file", authority.File(), "--tls-cert-file", cert, "--tls-key-file", key)
	url := "rediss://me@" + secure + "?prefix=mine&ca=" + authority.File() + "&cert=" + cert + "&key=" + key
	open := func(url, password string) error {
		c, err := OpenCache(t.Context(), cache.Options{URL: url, Password: password})
		if err != nil {
			return err
		}
		_, err = c.Log(t.Context(), cache.Position{})
		return errors.Join(err, c.Close())
	}
	require.NoError(t, open(url, "se-cret"))
	for url, says := range map[string]string{
		url: "WRONGPASS",
		"rediss://me@" + secure + "?ca=" + authority.File():                    "",
		"rediss://me@" + secure + "?prefix=other&cert=" + cert + "&key=" + key: "certificate",
		"postgres://" + secure: "redis://",
	} {
		err := open(url, "other-secret")
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "cret")
	}
	require.ErrorContains(t, open("rediss://me@"+secure+"?prefix=other&ca="+authority.File()+"&cert="+cert+"&key="+key, "se-cret"), "NOPERM")
}

// TestPortWithoutTLS asks for TLS where there is none. The log says what to write.
func TestPortWithoutTLS(t *testing.T) {
	engine := enginetest.StartRedis(t)
	cfg, err := Parse("rediss://" + engine.Address + "?timeout=2s")
	require.NoError(t, err)
	var log bytes.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	s, err := Open(t.Context(), cfg)
	require.NoError(t, err, "it need not be reachable")
	require.NoError(t, s.Close())
	require.Contains(t, log.String(), "write redis:// in place of rediss://")
}
