package server

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/version"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// FollowSettings are the settings of a server that follows another one, as a part of Config.
type FollowSettings struct {
	Follow             string        `placeholder:"URL" help:"Follow the server at this address: copy its catalogue, serve it, and refuse changes. See docs/hosts.md."`
	FollowToken        string        `placeholder:"TOKEN" env:"VESPO_FOLLOW_TOKEN" help:"A token of that server, with the scope follow."`
	FollowCA           string        `name:"follow-ca" placeholder:"FILE" type:"path" help:"Accept certificates of that server from the authorities in this file, in PEM, and from no other."`
	FollowCert         string        `placeholder:"FILE" type:"path" help:"Certificate that shows that server who you are (its --admin-client-ca), in PEM."`
	FollowKey          string        `placeholder:"FILE" type:"path" help:"Private key of --follow-cert, in PEM."`
	FollowInsecureHTTP bool          `name:"follow-insecure-http" help:"Copy the catalogue from another machine over http, where others can read its secrets and the token on their way."`
	FollowAnew         bool          `help:"Set the catalogue of the data directory aside, and copy that of --follow in its place."`
	MaxLag             time.Duration `placeholder:"DURATION" default:"0s" help:"Longest time that a server which follows, or has a --store, may be behind and still be ready; 0 is any (${default})."`
}

// strings returns the settings that are given as flags, one per line.
func (f *FollowSettings) strings() string {
	lag := ""
	if f.MaxLag != 0 {
		lag = fmt.Sprintf("--max-lag=%s\n", f.MaxLag)
	}
	if f.Follow == "" {
		return lag
	}
	return fmt.Sprintf("--follow=%s\n--follow-token=%s\n--follow-ca=%s\n--follow-cert=%s\n--follow-key=%s\n--follow-insecure-http=%v\n--follow-anew=%v\n",
		f.Follow, isSet(f.FollowToken), f.FollowCA, f.FollowCert, f.FollowKey, f.FollowInsecureHTTP, f.FollowAnew) + lag
}

// check returns the violations of the settings.
func (f *FollowSettings) check(demo, store bool) (violations problem.Violations) {
	switch {
	case f.MaxLag < 0:
		violations.Add("max-lag", "is %s: it must be 0, for any, or more", f.MaxLag)
	case f.MaxLag > 0 && f.Follow == "" && !store:
		violations.Add("max-lag", "is for a server that follows another one, or has a common catalogue: give --follow or --store too")
	}
	if f.Follow == "" {
		for _, given := range [...]struct {
			name string
			set  bool
		}{
			{"follow-ca", f.FollowCA != ""},
			{"follow-cert", f.FollowCert != ""},
			{"follow-key", f.FollowKey != ""},
			{"follow-insecure-http", f.FollowInsecureHTTP},
			{"follow-anew", f.FollowAnew},
		} {
			if given.set {
				violations.Add(given.name, "is for a server that follows another one: give --follow too")
			}
		}
		return violations
	}
	host, err := peer.NewHost(peer.HostConfig{URL: f.Follow})
	if err != nil {
		violations.Add("follow", "is %q: write it like https://primary.example.com:8080", f.Follow)
		return violations
	}
	defer host.Close()
	if demo {
		violations.Add("demo", "adds services, and a server that follows changes none: leave one of --demo and --follow out")
	}
	if store {
		violations.Add("follow", "and --store exclude each other: the hosts of a store have the same catalogue already")
	}
	if (f.FollowCert == "") != (f.FollowKey == "") {
		violations.Add("follow-cert", "and --follow-key belong together: give both")
	}
	u, err := url.Parse(host.String())
	if err == nil && u.Scheme != "https" && !localHost(u.Hostname()) && !f.FollowInsecureHTTP {
		violations.Add("follow", "is %s: without https, others can read the token and the secrets of services on their way; use https://, or --follow-insecure-http if you trust the network in between", f.Follow)
	}
	return violations
}

// localHost reports whether a host is a name or an address of the loopback interface.
func localHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.Unmap().IsLoopback()
}

// primary returns the server that is followed.
func (f *FollowSettings) primary() (*peer.Host, error) {
	secure := &tls.Config{}
	if f.FollowCA != "" {
		pool, err := certs.ReadAuthorities(f.FollowCA)
		if err != nil {
			return nil, fmt.Errorf("--follow-ca: %w", err)
		}
		secure.RootCAs = pool
	}
	if f.FollowCert != "" {
		pair, err := tls.LoadX509KeyPair(f.FollowCert, f.FollowKey)
		if err != nil {
			return nil, fmt.Errorf("--follow-cert with --follow-key: %w", err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	return peer.NewHost(peer.HostConfig{
		URL:       f.Follow,
		Token:     f.FollowToken,
		TLS:       secure,
		Proxy:     http.ProxyFromEnvironment,
		UserAgent: version.Read().UserAgent(),
	})
}
