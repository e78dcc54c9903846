// Package engineurl reads the URLs of engines that keep key-value stores and queues, and the files that these and that of a catalogue name. Passwords are not
// part of a URL: the list of processes and logs would show them.
package engineurl

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/router/cache"
	"github.com/vespo-dev/vespo/router/ratelimit"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/queues"
)

const (
	minTimeout = 100 * time.Millisecond
	maxTimeout = time.Minute
)

// ErrURL is matched by all errors of this package except those of files.
var ErrURL = errors.New("not the URL of an engine")

// PasswordVariables are the variables of the environment that may have the password.
const PasswordVariables = kv.PasswordVariable + " for key-value stores, " + queues.PasswordVariable + " for queues, " + ratelimit.PasswordVariable + " for rate limits, " + cache.PasswordVariable + " for kept answers"

// maxFileBytes bounds the files that a URL names.
const maxFileBytes = 1 << 20

// ReadFile reads a file that a URL names.
func ReadFile(name string) ([]byte, error) { return regular.ReadFile(name, maxFileBytes) }

// Refuse returns an error that matches ErrURL.
func Refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrURL, fmt.Sprintf(format, args...))
}

// NoPassword is the error of a user without a password.
func NoPassword(user string) error {
	return Refuse("the user %.80q has no password: set %s, or password_file", user, PasswordVariables)
}

// URL is a URL in its parts.
type URL struct {
	Scheme  string
	User    string
	Hosts   []string // host:port
	Path    string   // without slashes around it
	Options url.Values
}

// Loopback reports whether HOST:PORT is on this machine.
func Loopback(hostport string) bool {
	host, _, _ := net.SplitHostPort(hostport)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Parse reads SCHEME://[USER@]HOST[:PORT][,HOST[:PORT]...][/PATH][?OPTION=VALUE&...] with one of the schemes. No error has
// the text of the URL in front of the @.
func Parse(text, defaultPort string, schemes ...string) (URL, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || !slices.Contains(schemes, scheme) {
		return URL{}, Refuse("write it like %s://host", schemes[0])
	}
	u := URL{Scheme: scheme}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndex(rest, "@"); i >= len(authority) {
		return u, Refuse("a user or password with a / cannot be part of it")
	}
	hosts := authority
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		u.User, hosts = authority[:i], authority[i+1:]
	}
	if strings.Contains(u.User, ":") {
		return u, Refuse("a password in it would be seen in the list of processes: set %s, or password_file", PasswordVariables)
	}
	for host := range strings.SplitSeq(hosts, ",") {
		name, port, err := net.SplitHostPort(host)
		if err != nil {
			name, port = strings.Trim(host, "[]"), defaultPort
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || name == "" || strings.ContainsAny(name, " #%\\") {
			return u, Refuse("%.80q is not a host, or a host and a port", host)
		}
		u.Hosts = append(u.Hosts, net.JoinHostPort(name, port))
	}
	var err error
	if u.Path, err = url.PathUnescape(strings.Trim(path, "/")); err != nil {
		return u, Refuse("its path cannot be read")
	}
	if u.Options, err = url.ParseQuery(query); err != nil {
		return u, Refuse("its options cannot be read")
	}
	return u, nil
}

// WithCommon returns the names of options with those of Common.
func WithCommon(names ...string) []string {
	return append([]string{"ca", "cert", "key", "password_file", "pool", "timeout"}, names...)
}

// Each calls set with all options, whose names are names. known is false if there is no such option; rule is what the value must be.
func Each(options url.Values, set func(name, value string) (known, valid bool, rule string), names ...string) error {
	for name, values := range options {
		if name == "password" || name == "sslpassword" {
			return Refuse("a password in it would be seen in the list of processes: set %s, or password_file", PasswordVariables)
		}
		if len(values) > 1 {
			return Refuse("the option %.80s is there twice", name)
		}
		known, valid, rule := set(name, values[0])
		if !known {
			return Refuse("it has no option %.80q: the options are %s", name, strings.Join(slices.Sorted(slices.Values(names)), ", "))
		}
		if !valid {
			return Refuse("the option %s is %.80q: %s", name, values[0], rule)
		}
	}
	return nil
}

// Settings are where Common stores the options of all engines.
type Settings struct {
	Timeout *time.Duration // of one operation
	Pool    *int           // connections
	MaxPool int
	Files   *Files
}

// Common sets an option of all engines, for Each.
func Common(name, value string, s Settings) (known, valid bool, rule string) {
	texts := map[string]*string{"ca": &s.Files.CA, "cert": &s.Files.Cert, "key": &s.Files.Key, "password_file": &s.Files.Password}
	switch {
	case texts[name] != nil:
		*texts[name] = value
		return true, value != "", "it must be a file"
	case name == "timeout":
		d, err := time.ParseDuration(value)
		*s.Timeout = d
		return true, err == nil && d >= minTimeout && d <= maxTimeout, fmt.Sprintf("it must be a time between %s and %s", minTimeout, maxTimeout)
	case name == "pool":
		n, err := strconv.Atoi(value)
		*s.Pool = n
		return true, err == nil && n > 0 && n <= s.MaxPool, fmt.Sprintf("it must be a number from 1 to %d", s.MaxPool)
	}
	return false, false, ""
}

// Files are the names of files in a URL.
type Files struct{ CA, Cert, Key, Password string }

// Check returns an error if the files do not match each other. secure is what to write for TLS.
func (f Files) Check(hasTLS bool, secure string) error {
	switch {
	case (f.Cert == "") != (f.Key == ""):
		return Refuse("the options cert and key belong together")
	case !hasTLS && (f.CA != "" || f.Cert != ""):
		return Refuse("ca, cert and key are for TLS: use %s", secure)
	}
	return nil
}

// Load reads the files, those of TLS into config. It returns the password: that of the file, or else the given one.
func (f Files) Load(password string, config *tls.Config, readFile func(string) ([]byte, error)) (string, error) {
	if f.Password != "" {
		text, err := readFile(f.Password)
		if err != nil {
			return "", fmt.Errorf("password_file: %w", err)
		}
		if password = strings.TrimRight(string(text), "\r\n"); password == "" {
			return "", Refuse("the password_file is empty")
		}
	}
	if f.CA != "" {
		text, err := readFile(f.CA)
		if err != nil {
			return "", fmt.Errorf("ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return "", fmt.Errorf("ca: %s has no certificate in PEM", f.CA)
		}
	}
	if f.Cert == "" {
		return password, nil
	}
	cert, err := readFile(f.Cert)
	if err != nil {
		return "", fmt.Errorf("cert: %w", err)
	}
	key, err := readFile(f.Key)
	if err != nil {
		return "", fmt.Errorf("key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return "", fmt.Errorf("cert and key: %w", err)
	}
	config.Certificates = []tls.Certificate{pair}
	return password, nil
}
