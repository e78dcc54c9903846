package redisstore

import (
	"crypto/tls"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engineurl"
	"github.com/vespo-dev/vespo/services/kv"
)

const (
	scheme         = "redis"
	secureScheme   = "rediss" // TLS
	defaultPort    = "6379"
	defaultPrefix  = "vespo"
	defaultTimeout = 5 * time.Second
	defaultPool    = 32
	maxPool        = 1000
	maxDatabase    = 1 << 20
	maxPrefixBytes = 100
)

// Schemes returns the schemes of the URLs.
func Schemes() []string { return []string{scheme, secureScheme} }

// Durability is what a write waits for.
type Durability string

// The durabilities.
const (
	Disk   Durability = "disk"   // the disk of the engine. Connections to an engine with other settings are refused
	Engine Durability = "engine" // the memory of the engine, which its settings may or may not write to a disk
)

// Config configures Stores. Parse makes it from a URL.
type Config struct {
	Hosts      []string // host:port; several are nodes of one cluster
	Cluster    bool     // Redis Cluster
	Database   int      // number; 0 in a cluster
	Prefix     string   // of all keys
	User       string
	Password   string
	TLS        *tls.Config // nil: no TLS
	Timeout    time.Duration
	Pool       int // connections at most
	Durability Durability

	Quotas kv.Quotas
	Log    *slog.Logger     // default: discard
	Now    func() time.Time // for tests; default: the time of the engine

	files engineurl.Files
}

// Parse reads a URL like redis://[USER@]HOST[:PORT][,HOST[:PORT]...][/DATABASE][?OPTION=VALUE&...]. It opens no files.
func Parse(text string) (Config, error) {
	c := Config{Prefix: defaultPrefix, Timeout: defaultTimeout, Pool: defaultPool, Durability: Disk}
	u, err := engineurl.Parse(text, defaultPort, Schemes()...)
	if err != nil {
		return c, err
	}
	c.User, c.Hosts = u.User, u.Hosts
	if u.Scheme == secureScheme {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if u.Path != "" {
		if c.Database, err = strconv.Atoi(u.Path); err != nil || c.Database < 0 || c.Database > maxDatabase {
			return c, engineurl.Refuse("the database %.80q must be a number, as in %s://host/0", u.Path, scheme)
		}
	}
	if err := c.setOptions(u.Options); err != nil {
		return c, err
	}
	switch {
	case len(c.Hosts) > 1 && !c.Cluster:
		return c, engineurl.Refuse("only a cluster has several hosts: add cluster=true, or name one host")
	case c.Cluster && c.Database != 0:
		return c, engineurl.Refuse("a cluster has the database 0 alone")
	}
	return c, c.files.Check(c.TLS != nil, secureScheme)
}

func (c *Config) setOptions(options url.Values) error {
	return engineurl.Each(options, func(name, value string) (known, valid bool, rule string) {
		switch name {
		case "prefix":
			c.Prefix = value
			return true, validPrefix(value), "it must be 1 to 100 letters, digits and any of - _ . : /"
		case "durability":
			c.Durability = Durability(value)
			return true, slices.Contains([]Durability{Disk, Engine}, c.Durability), "it must be disk or engine"
		case "cluster":
			c.Cluster = value == "true"
			return true, c.Cluster || value == "false", "it must be true or false"
		}
		return engineurl.Common(name, value, engineurl.Settings{Timeout: &c.Timeout, Pool: &c.Pool, MaxPool: maxPool, Files: &c.files})
	}, engineurl.WithCommon("cluster", "durability", "prefix")...)
}

func validPrefix(s string) bool {
	return s != "" && len(s) <= maxPrefixBytes && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("-_.:/", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// Load reads the files that the URL names, by readFile. password is that of the environment; empty: there is none.
func (c *Config) Load(password string, readFile func(string) ([]byte, error)) (err error) {
	c.Password, err = c.files.Load(password, c.TLS, readFile)
	if err == nil && c.User != "" && c.Password == "" {
		return engineurl.NoPassword(c.User)
	}
	return err
}

// String returns the URL without user, password and options.
func (c Config) String() string {
	s := scheme
	if c.TLS != nil {
		s = secureScheme
	}
	return s + "://" + strings.Join(c.Hosts, ",") + "/" + strconv.Itoa(c.Database)
}
