package pgstore

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engineurl"
	"github.com/vespo-dev/vespo/services/kv"
)

const (
	scheme         = "postgres"
	defaultPort    = "5432"
	defaultSchema  = "vespo"
	defaultTimeout = 5 * time.Second
	defaultPool    = 16
	maxPool        = 1000
	maxSchemaBytes = 40
)

// Schemes returns the schemes of the URLs.
func Schemes() []string { return []string{scheme, "postgresql"} }

// Config configures Stores. Parse makes it from a URL.
type Config struct {
	Hosts    []string // host:port; of several, the first one that takes writes
	Database string
	Schema   string
	User     string
	Password string
	TLS      *tls.Config // nil: no TLS
	Timeout  time.Duration
	Pool     int  // connections at most
	Relaxed  bool // an engine with fsync=off is accepted

	Quotas kv.Quotas
	Log    *slog.Logger     // default: discard
	Now    func() time.Time // for tests; default: the time of the engine

	files engineurl.Files
}

// Parse reads a URL like postgres://USER@HOST[:PORT][,HOST[:PORT]...]/DATABASE[?OPTION=VALUE&...]. It opens no files.
func Parse(text string) (Config, error) {
	c := Config{Schema: defaultSchema, Timeout: defaultTimeout, Pool: defaultPool}
	u, err := engineurl.Parse(text, defaultPort, Schemes()...)
	if err != nil {
		return c, err
	}
	c.User, c.Hosts, c.Database = u.User, u.Hosts, u.Path
	mode := "verify-full"
	if !slices.ContainsFunc(c.Hosts, func(h string) bool { return !engineurl.Loopback(h) }) {
		mode = "disable"
	}
	if err := c.setOptions(u.Options, &mode); err != nil {
		return c, err
	}
	if c.User == "" || c.Database == "" {
		return c, engineurl.Refuse("it needs a user and a database: write it like %s://USER@host/DATABASE", scheme)
	}
	if mode != "disable" {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: mode == "require"}
	}
	return c, c.files.Check(c.TLS != nil, "sslmode=verify-full")
}

func (c *Config) setOptions(options url.Values, mode *string) error {
	return engineurl.Each(options, func(name, value string) (known, valid bool, rule string) {
		switch name {
		case "schema":
			c.Schema = value
			return true, validSchema(value), "it must be 1 to 40 of a-z, 0-9 and _, and begin with a letter"
		case "durability":
			c.Relaxed = value == "engine"
			return true, c.Relaxed || value == "disk", "it must be disk or engine"
		case "sslmode":
			*mode = value
			return true, slices.Contains([]string{"disable", "require", "verify-full"}, value), "it must be disable, require or verify-full"
		}
		return engineurl.Common(name, value, engineurl.Settings{Timeout: &c.Timeout, Pool: &c.Pool, MaxPool: maxPool, Files: &c.files})
	}, engineurl.WithCommon("durability", "schema", "sslmode")...)
}

func validSchema(s string) bool {
	return s != "" && len(s) <= maxSchemaBytes && 'a' <= s[0] && s[0] <= 'z' && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	})
}

// Load reads the files that the URL names, by readFile. password is that of the environment; empty: the engine asks for none.
func (c *Config) Load(password string, readFile func(string) ([]byte, error)) (err error) {
	c.Password, err = c.files.Load(password, c.TLS, readFile)
	return err
}

// Read is Parse, followed by a Load of the files.
func Read(url, password string) (Config, error) {
	c, err := Parse(url)
	if err == nil {
		err = c.Load(password, engineurl.ReadFile)
	}
	return c, err
}

// String returns the URL without user, password and options.
func (c Config) String() string {
	return scheme + "://" + strings.Join(c.Hosts, ",") + "/" + c.Database
}

// isolate lets the transactions of a connection see what others have committed, as the statements expect: a stricter default of the
// database or the role makes them fail where they would wait. It is no parameter of the start of a connection, as PgBouncer refuses
// those, and sets nothing where nothing differs, as other clients get the connection in PgBouncer's mode transaction.
func isolate(ctx context.Context, conn *pgconn.PgConn) error {
	const name, level = "default_transaction_isolation", "read committed"
	return conn.ExecParams(ctx, "SELECT set_config($1, $2, false) WHERE current_setting($1) <> $2", [][]byte{[]byte(name), []byte(level)}, []uint32{pgtype.TextOID, pgtype.TextOID}, nil, nil).Read().Err
}

// PoolConfig returns the configuration of the client.
func (c Config) PoolConfig() (*pgxpool.Config, error) {
	p, err := pgxpool.ParseConfig("host=localhost sslmode=disable user=x") // its settings follow
	if err != nil {
		return nil, err
	}
	p.MaxConns, p.MinConns = int32(c.Pool), 0
	conn := p.ConnConfig
	conn.Database, conn.User, conn.Password = c.Database, c.User, c.Password
	conn.ConnectTimeout = c.Timeout
	conn.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	conn.AfterConnect = isolate
	conn.RuntimeParams = map[string]string{}
	conn.Fallbacks = nil
	for i, hostport := range c.Hosts {
		host, text, _ := net.SplitHostPort(hostport)
		port, _ := strconv.ParseUint(text, 10, 16) // Parse has checked it
		f := &pgconn.FallbackConfig{Host: host, Port: uint16(port)}
		if c.TLS != nil {
			f.TLSConfig = c.TLS.Clone()
			f.TLSConfig.ServerName = host
		}
		if i == 0 {
			conn.Host, conn.Port, conn.TLSConfig = f.Host, f.Port, f.TLSConfig
			continue
		}
		conn.Fallbacks = append(conn.Fallbacks, f)
	}
	return p, nil
}
