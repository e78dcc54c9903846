package remote

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs"
)

// tlsFlags are the flags for the security of the connection to a server. Files are not of kong's type path: it takes
// an empty variable for the current directory.
type tlsFlags struct {
	CA           string `name:"ca" placeholder:"FILE" env:"VESPO_CA" help:"Accept certificates of the server from the authorities in this file, in PEM, and from no other."`
	ClientCert   string `name:"client-cert" placeholder:"FILE" env:"VESPO_CLIENT_CERT" help:"Certificate that shows the server who you are (serve --admin-client-ca), in PEM."`
	ClientKey    string `name:"client-key" placeholder:"FILE" env:"VESPO_CLIENT_KEY" help:"Private key of --client-cert, in PEM."`
	InsecureHTTP bool   `name:"insecure-http" env:"VESPO_INSECURE_HTTP" help:"Send the token to another machine over http, where others can read it on its way."`
}

// check returns an error if the flags cannot be used with a server and a token.
func (f *tlsFlags) check(base, token string) error {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return err
	case (f.ClientCert == "") != (f.ClientKey == ""):
		return errors.New("--client-cert and --client-key belong together: give both")
	case f.ClientCert != "" && u.Scheme != "https":
		return fmt.Errorf("--client-cert is for https, and --server is %s", base)
	case token != "" && u.Scheme != "https" && !thisMachine(u.Hostname()) && !f.InsecureHTTP:
		return fmt.Errorf("the token is not sent to %s: without https, others can read it on its way; "+
			"use https:// in --server, or --insecure-http if you trust the network in between", base)
	}
	return nil
}

// thisMachine reports whether a host is a name or an address of the loopback interface.
func thisMachine(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.Unmap().IsLoopback()
}

// config returns the TLS configuration of a client.
func (f *tlsFlags) config() (*tls.Config, error) {
	cfg := &tls.Config{}
	if f.CA != "" {
		pool, err := certs.ReadAuthorities(kong.ExpandPath(f.CA))
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		cfg.RootCAs = pool
	}
	if f.ClientCert != "" {
		pair, err := tls.LoadX509KeyPair(kong.ExpandPath(f.ClientCert), kong.ExpandPath(f.ClientKey))
		if err != nil {
			return nil, fmt.Errorf("--client-cert with --client-key: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
