package server

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/acme"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs"
	"github.com/vespo-dev/vespo/internal/problem"
)

// Listeners, as --tls-on names them.
const (
	onPublic  = "public"
	onAdmin   = "admin"
	onWorkers = "workers"
	onLambda  = "lambda"
	onAll     = "all"
)

// maxHSTS is the longest --hsts: what lists of browsers ask for is a year or two.
const maxHSTS = 10 * 365 * 24 * time.Hour

// TLSSettings are the settings of TLS, as a part of Config.
type TLSSettings struct {
	TLSCert        []string      `name:"tls-cert" placeholder:"FILE" sep:"," type:"path" help:"Certificate chain in PEM, with which the server speaks TLS (https). Read again when it changes. May be repeated, each with a --tls-key; the name that a client asks for selects one."`
	TLSKey         []string      `name:"tls-key" placeholder:"FILE" sep:"," type:"path" help:"Private key of a --tls-cert, in PEM."`
	ACMEDomain     []string      `name:"acme-domain" placeholder:"DOMAIN" sep:"," help:"Obtain and renew a certificate for this domain by ACME, and accept the terms of the authority. The domain leads to this server. May be repeated."`
	ACMEEmail      string        `name:"acme-email" placeholder:"ADDRESS" help:"Address at which the authority reaches you."`
	ACMEDirectory  string        `name:"acme-directory" placeholder:"URL" default:"https://acme-v02.api.letsencrypt.org/directory" help:"Authority to obtain certificates from (${default})."`
	ACMECA         string        `name:"acme-ca" placeholder:"FILE" type:"path" help:"Authorities, in PEM, of the certificate of --acme-directory itself, if the system does not know them."`
	TLSOn          []string      `name:"tls-on" placeholder:"LISTENER" sep:"," help:"Listeners that speak TLS: public, admin, workers, lambda or all (public, and others that other machines reach)."`
	HTTPRedirect   string        `name:"http-redirect" placeholder:"HOST:PORT" help:"Address without TLS, such as :80, whose requests are redirected to https."`
	HSTS           time.Duration `name:"hsts" placeholder:"DURATION" default:"0s" help:"Tell browsers to use https alone for this long (Strict-Transport-Security); 0 is never (${default})."`
	AdminClientCA  string        `name:"admin-client-ca" placeholder:"FILE" type:"path" help:"Authorities, in PEM, one of which must have signed the certificate of a client of --admin-listen."`
	WorkerClientCA string        `name:"worker-client-ca" placeholder:"FILE" type:"path" help:"Authorities, in PEM, one of which must have signed the certificate of a worker of queues."`
}

// strings returns the settings that are given as flags, one per line.
func (t *TLSSettings) strings() string {
	var b strings.Builder
	for _, f := range [...]struct{ flag, value string }{
		{"tls-cert", strings.Join(t.TLSCert, ",")},
		{"tls-key", strings.Join(t.TLSKey, ",")},
		{"acme-domain", strings.Join(t.ACMEDomain, ",")},
		{"acme-email", t.ACMEEmail},
		{"acme-directory", t.ACMEDirectory},
		{"acme-ca", t.ACMECA},
		{"tls-on", strings.Join(t.TLSOn, ",")},
		{"http-redirect", t.HTTPRedirect},
		{"hsts", t.HSTS.String()},
		{"admin-client-ca", t.AdminClientCA},
		{"worker-client-ca", t.WorkerClientCA},
	} {
		if f.value != "" && f.value != "0s" {
			fmt.Fprintf(&b, "--%s=%s\n", f.flag, f.value)
		}
	}
	return b.String()
}

// hasTLS reports whether the server has certificates.
func (t *TLSSettings) hasTLS() bool { return len(t.TLSCert)+len(t.ACMEDomain) > 0 }

// pairs returns the files of the certificates.
func (t *TLSSettings) pairs() (all []certs.Pair) {
	for i, cert := range t.TLSCert {
		all = append(all, certs.Pair{Cert: cert, Key: t.TLSKey[i]})
	}
	return all
}

// clientCA returns the file of the authorities for the clients of a listener; "" if it asks for no certificate.
func (t *TLSSettings) clientCA(listener string) string {
	switch listener {
	case onAdmin:
		return t.AdminClientCA
	case onWorkers:
		return t.WorkerClientCA
	}
	return ""
}

// clientCASetting returns the name of the setting that clientCA returns.
func clientCASetting(listener string) string { return strings.TrimSuffix(listener, "s") + "-client-ca" }

// secures reports whether a listener at an address speaks TLS. Unless the user names the listeners, those for
// programs on this machine do not: no certificate has the name of a loopback address.
func (t *TLSSettings) secures(listener, address string) bool {
	switch {
	case !t.hasTLS():
		return false
	case len(t.TLSOn) > 0:
		return slices.Contains(t.TLSOn, listener) || slices.Contains(t.TLSOn, onAll)
	case listener == onPublic || t.clientCA(listener) != "":
		return true
	}
	host, _, err := net.SplitHostPort(address)
	return err == nil && !loopbackHost(host)
}

// check returns the violations in the settings.
func (t *TLSSettings) check() (violations problem.Violations) {
	if len(t.TLSCert) != len(t.TLSKey) {
		violations.Add("tls-key", "is given %d times: each --tls-cert needs one, and there are %d", len(t.TLSKey), len(t.TLSCert))
	}
	for _, name := range t.TLSOn {
		if !slices.Contains([]string{onPublic, onAdmin, onWorkers, onLambda, onAll}, name) {
			violations.Add("tls-on", "has %q: it must be public, admin, workers, lambda or all", name)
		}
	}
	needs := func(set bool, setting string) {
		if set && !t.hasTLS() {
			violations.Add(setting, "needs a certificate: give --tls-cert and --tls-key, or --acme-domain")
		}
	}
	needs(len(t.TLSOn) > 0, "tls-on")
	needs(t.HTTPRedirect != "", "http-redirect")
	needs(t.HSTS > 0, "hsts")
	for _, listener := range [...]string{onAdmin, onWorkers} {
		setting := clientCASetting(listener)
		needs(t.clientCA(listener) != "", setting)
		if t.hasTLS() && t.clientCA(listener) != "" && !t.secures(listener, "") {
			violations.Add(setting, "needs TLS on that listener: add %s to --tls-on", listener)
		}
	}
	violations = append(violations, t.checkACME()...)
	if t.HTTPRedirect != "" && !validAddress(t.HTTPRedirect) {
		violations.Add("http-redirect", "is %q: write it like :80", t.HTTPRedirect)
	}
	if t.HSTS < 0 || t.HSTS > maxHSTS || t.HSTS%time.Second != 0 {
		violations.Add("hsts", "is %s: it must be 0, for never, or whole seconds, at most %s", t.HSTS, maxHSTS)
	}
	return violations
}

// checkACME returns the violations in the settings of ACME.
func (t *TLSSettings) checkACME() (violations problem.Violations) {
	for _, domain := range t.ACMEDomain {
		if !acme.ValidDomain(domain) {
			violations.Add("acme-domain", "has %q: it must be the name of a domain, without a wildcard", domain)
		}
	}
	u, err := url.Parse(t.ACMEDirectory)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		violations.Add("acme-directory", "is %q: it must be a URL with https", t.ACMEDirectory)
	}
	return violations
}

// readable returns an error if a file of the settings cannot be used.
func (t *TLSSettings) readable() error {
	if _, err := certs.Open(t.pairs(), slog.New(slog.DiscardHandler)); err != nil {
		return settingsError{problem.Violate("tls-cert", "cannot be used with its --tls-key: %v", err)}
	}
	for setting, path := range map[string]string{"acme-ca": t.ACMECA, "admin-client-ca": t.AdminClientCA, "worker-client-ca": t.WorkerClientCA} {
		if path == "" {
			continue
		}
		if _, err := certs.ReadAuthorities(path); err != nil {
			return settingsError{problem.Violate(setting, "cannot be used: %v", err)}
		}
	}
	return nil
}
