package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs"
)

// Protocol is the application protocol of the challenge over TLS. A listener that answers it has to offer it.
const Protocol = "acme-tls/1"

// ValidDomain reports whether a certificate can be obtained for a domain. Those with wildcards need challenges by DNS.
func ValidDomain(domain string) bool {
	return certmagic.SubjectQualifiesForCert(domain) && !strings.Contains(domain, "*")
}

// Config describes certificates to obtain.
type Config struct {
	Domains   []string
	Email     string         // of the account; may be empty
	Directory string         // URL of the authority
	Roots     *x509.CertPool // of the authority's own server; nil: those of the system
	Dir       string         // keeps the certificates and the account
	Default   bool           // clients that ask for no name, or for another one, get the certificate of the first domain
	Log       *slog.Logger
}

// Manager obtains and renews certificates. Create it with Open.
type Manager struct {
	cfg    Config
	cache  *certmagic.Cache
	magic  *certmagic.Config
	issuer *certmagic.ACMEIssuer // set by Run before it is used; its ports are those of the listeners
}

// Open returns a Manager with the certificates that are kept. It contacts no authority.
func Open(ctx context.Context, cfg Config) *Manager {
	m := &Manager{cfg: cfg}
	logger := zap.New(bridge{log: cfg.Log})
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return m.magic, nil },
		RenewCheckInterval: certs.Interval,
		Logger:             logger,
	})
	own := certmagic.Config{
		Storage: &certmagic.FileStorage{Path: cfg.Dir},
		OnEvent: m.note,
		Logger:  logger,
	}
	if cfg.Default {
		own.DefaultServerName, own.FallbackServerName = cfg.Domains[0], cfg.Domains[0]
	}
	m.magic = certmagic.New(m.cache, own)
	m.issuer = certmagic.NewACMEIssuer(m.magic, certmagic.ACMEIssuer{
		CA:           cfg.Directory,
		Email:        cfg.Email,
		Agreed:       true,
		TrustedRoots: cfg.Roots,
		Logger:       logger,
	})
	m.magic.Issuers = []certmagic.Issuer{m.issuer}
	for _, domain := range cfg.Domains {
		if _, err := m.magic.CacheManagedCertificate(ctx, domain); err != nil {
			cfg.Log.Debug("no kept certificate", "domain", domain, "error", err) // Run obtains one
		}
	}
	return m
}

// Certificate returns the certificate for a client, or that for a challenge. It has the signature of
// tls.Config.GetCertificate.
func (m *Manager) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return m.magic.GetCertificate(hello)
}

// Handler returns a handler that answers the challenges over HTTP, and passes other requests on.
func (m *Manager) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if certmagic.LooksLikeHTTPChallenge(r) && m.issuer.HandleHTTPChallenge(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Run obtains missing certificates and renews the others in time, until ctx ends. secure is the address of
// the listener with TLS, plain that of the one whose requests go through Handler; nil if there is none. Both are open.
func (m *Manager) Run(ctx context.Context, secure, plain net.Addr) {
	m.issuer.AltTLSALPNPort = port(secure)
	m.issuer.ListenHost = host(secure)
	if m.issuer.DisableHTTPChallenge = plain == nil; plain != nil {
		m.issuer.AltHTTPPort = port(plain)
	}
	if err := m.magic.ManageAsync(ctx, m.cfg.Domains); err != nil {
		m.cfg.Log.Error("certificates are not obtained or renewed until the next start of the server", "domains", m.cfg.Domains, "error", err)
	}
	<-ctx.Done()
}

// Close ends the goroutines that renew certificates.
func (m *Manager) Close() { m.cache.Stop() }

// note logs what became of a certificate. It implements certmagic.Config.OnEvent.
func (m *Manager) note(_ context.Context, event string, data map[string]any) error {
	switch event {
	case "cert_obtained":
		m.cfg.Log.Info("a certificate was obtained", "domain", data["identifier"], "renewal", data["renewal"], "issuer", data["issuer"])
	case "cert_failed":
		m.cfg.Log.Error("no certificate was obtained; it is tried again", "domain", data["identifier"], "renewal", data["renewal"], "error", data["error"])
	}
	return nil
}

func port(a net.Addr) int {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}

// host returns the address without its port, "" for all addresses of the machine.
func host(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && !tcp.IP.IsUnspecified() {
		return tcp.IP.String()
	}
	return ""
}
