package etcdstore

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engineurl"
	"github.com/vespo-dev/vespo/registry"
)

// Scheme is the scheme of the store's URLs.
const Scheme = "etcd"

const (
	defaultPort    = "2379"
	defaultPrefix  = "/vespo"
	defaultDial    = 5 * time.Second
	defaultRequest = 5 * time.Second
	defaultLease   = 15 * time.Second
	maxTime        = time.Minute
	keepAliveTime  = 5 * time.Second // a connection without an answer for twice that is dead
	maxReconnect   = 3 * time.Second
)

// Config says where the store is. Parse makes it from a URL.
type Config struct {
	Endpoints      []string // host:port
	Prefix         string   // of all keys; begins with a slash and does not end with one
	User           string
	Password       string
	TLS            *tls.Config // nil: no TLS
	DialTimeout    time.Duration
	RequestTimeout time.Duration
	Lease          time.Duration  // of a host's announcement
	Name           string         // of this host, for people
	Copy           registry.Store // of this host, for starts without the store; nil: none

	files engineurl.Files // of TLS and the password
}

// String returns the URL without user, password and options.
func (c Config) String() string { return Scheme + "://" + strings.Join(c.Endpoints, ",") + c.Prefix }

// ErrURL is matched by the errors of Parse.
var ErrURL = errors.New("not the URL of a store")

// Parse reads a URL like etcd://[USER@]HOST[:PORT][,HOST[:PORT]...][/PREFIX][?OPTION=VALUE&...]. It opens no files.
func Parse(text string) (Config, error) {
	c := Config{Prefix: defaultPrefix, DialTimeout: defaultDial, RequestTimeout: defaultRequest, Lease: defaultLease}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != Scheme {
		return c, refuse("write it like %s://host1,host2,host3%s", Scheme, defaultPrefix)
	}
	rest, options, _ := strings.Cut(rest, "?")
	authority, prefix, _ := strings.Cut(rest, "/")
	user, hosts, ok := cutLast(authority, "@")
	if !ok {
		user, hosts = "", authority
	}
	if strings.Contains(user, ":") {
		return c, refuse("a password in it would be seen in the list of processes: set %s, or password_file", cluster.PasswordVariable)
	}
	c.User = user
	if err := c.setEndpoints(hosts); err != nil {
		return c, err
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		c.Prefix = "/" + prefix
	}
	if strings.ContainsFunc(c.Prefix, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '%' }) {
		return c, refuse("the prefix %.80q must not contain spaces, control characters or %%", c.Prefix)
	}
	return c, c.setOptions(options)
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrURL, fmt.Sprintf(format, args...))
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func (c *Config) setEndpoints(hosts string) error {
	for host := range strings.SplitSeq(hosts, ",") {
		name, port, err := net.SplitHostPort(host)
		if err != nil {
			name, port = strings.Trim(host, "[]"), defaultPort
		}
		if _, invalid := strconv.ParseUint(port, 10, 16); name == "" || invalid != nil || strings.ContainsAny(name, " /?#@") {
			return refuse("%.80q is not a host, or a host and a port", host)
		}
		c.Endpoints = append(c.Endpoints, net.JoinHostPort(name, port))
	}
	return nil
}

// setOptions sets the options of a URL.
func (c *Config) setOptions(query string) error {
	options, err := url.ParseQuery(query)
	if err != nil {
		return refuse("its options cannot be read: %v", err)
	}
	texts := map[string]*string{"ca": &c.files.CA, "cert": &c.files.Cert, "key": &c.files.Key, "password_file": &c.files.Password}
	times := map[string]*time.Duration{"dial_timeout": &c.DialTimeout, "timeout": &c.RequestTimeout, "lease": &c.Lease}
	for name, values := range options {
		value := values[len(values)-1]
		switch {
		case len(values) > 1:
			return refuse("the option %s is there twice", name)
		case texts[name] != nil:
			*texts[name] = value
		case times[name] != nil:
			d, err := time.ParseDuration(value)
			if err != nil || d < time.Second || d > maxTime {
				return refuse("the option %s is %.80q: it must be a time between 1s and %s", name, value, maxTime)
			}
			*times[name] = d
		case name == "tls" && (value == "on" || value == "off"):
			if value == "on" {
				c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
			}
		default:
			return refuse("it has no option %.80q of the value %.80q: the options are ca, cert, dial_timeout, key, lease, password_file, timeout and tls (on or off)", name, value)
		}
	}
	return c.checkOptions(options)
}

func (c *Config) checkOptions(options url.Values) error {
	files := []string{c.files.CA, c.files.Cert, c.files.Key}
	switch {
	case (c.files.Cert == "") != (c.files.Key == ""):
		return refuse("the options cert and key belong together")
	case options.Get("tls") == "off" && slices.ContainsFunc(files, func(s string) bool { return s != "" }):
		return refuse("tls is off, but ca, cert or key is set")
	case c.files.Password != "" && c.User == "":
		return refuse("password_file is set, but there is no user: write it like %s://USER@host", Scheme)
	}
	if c.files.CA != "" || c.files.Cert != "" {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.User != "" && c.TLS == nil && options.Get("tls") == "" && slices.ContainsFunc(c.Endpoints, func(e string) bool { return !engineurl.Loopback(e) }) {
		return refuse("the password would pass the network without TLS: add ca or tls=on, or tls=off if you trust the network in between")
	}
	return nil
}

// Load reads the files that the URL names, by readFile. password is that of the environment; empty: there is none.
func (c *Config) Load(password string, readFile func(string) ([]byte, error)) (err error) {
	c.Password, err = c.files.Load(password, c.TLS, readFile)
	if err == nil && c.User != "" && c.Password == "" {
		return refuse("the user %.80q has no password: set %s, or password_file", c.User, cluster.PasswordVariable)
	}
	return err
}

// connect returns a client, and the one that asks for tokens of the user; nil without a user.
func (c Config) connect(counts *counts) (client, tokens *clientv3.Client, err error) {
	options := counts.dialOptions()
	if c.User != "" {
		if tokens, err = c.dial(counts.noting()); err != nil {
			return nil, nil, err
		}
		user := &login{user: c.User, password: c.Password, anonymous: tokens, timeout: c.RequestTimeout}
		options = append(options, user.dialOptions()...)
	}
	if client, err = c.dial(options...); err != nil && tokens != nil {
		_ = tokens.Close() // it has sent nothing
	}
	return client, tokens, err
}

// dial returns a client. It connects in the background, and again whenever a connection is lost.
func (c Config) dial(options ...grpc.DialOption) (*clientv3.Client, error) {
	scheme := "http://"
	if c.TLS != nil {
		scheme = "https://"
	}
	var endpoints []string
	for _, e := range c.Endpoints {
		endpoints = append(endpoints, scheme+e)
	}
	quick := backoff.DefaultConfig
	quick.MaxDelay = maxReconnect
	return clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		TLS:                  c.TLS,
		DialTimeout:          c.DialTimeout,
		DialKeepAliveTime:    keepAliveTime,
		DialKeepAliveTimeout: keepAliveTime,
		PermitWithoutStream:  true,
		DialOptions:          append(options, grpc.WithConnectParams(grpc.ConnectParams{Backoff: quick, MinConnectTimeout: c.DialTimeout})),
		Logger:               zap.NewNop(),
	})
}
