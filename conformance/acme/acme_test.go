package acme

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

var vespo string // path of the executable

func TestMain(m *testing.M) {
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "10"} {
		os.Setenv(name, value)
	}
	os.Exit(program.Main(m, map[*string]program.Source{&vespo: program.Vespo}))
}

const domain = "www.vespo.example"

// authority is a running Pebble.
type authority struct {
	directory string // URL
	file      string // certificate of the server at directory
	roots     *x509.CertPool
	close     func()
}

// newAuthority starts an authority that checks domains at ports of this machine. Its certificates are valid for a time.
func newAuthority(t *testing.T, httpPort, tlsPort int, validity time.Duration) *authority {
	t.Helper()
	logger := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: uint64(validity / time.Second)}})
	front := wfe.New(logger, store, va.New(logger, httpPort, tlsPort, true, resolver(t), store), issuer, nil, true, false, 0, 0)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)
	a := &authority{directory: server.URL + wfe.DirectoryPath, file: filepath.Join(t.TempDir(), "ca.pem"), roots: x509.NewCertPool(), close: server.Close}
	require.NoError(t, os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	a.roots.AppendCertsFromPEM(issuer.GetRootCert(0).PEM())
	return a
}

// resolver starts a server of DNS that has the address of this machine for every name.
func resolver(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // Pebble asks over TCP
	require.NoError(t, err)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		answer := new(dns.Msg).SetReply(r)
		if q := r.Question[0]; q.Qtype == dns.TypeA {
			head := dns.RR_Header{
				Name:   q.Name,
				Rrtype: q.Qtype,
				Class:  dns.ClassINET,
			}
			answer.Answer = []dns.RR{&dns.A{Hdr: head, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(answer)
	})
	server := &dns.Server{Listener: l, Handler: handler}
	ended := make(chan struct{})
	go func() { _ = server.ActivateAndServe(); close(ended) }()
	t.Cleanup(func() { _ = server.Shutdown(); l.Close(); <-ended })
	return l.Addr().String()
}

// freePort returns a port on which no program listens.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// serial waits until a server has a certificate for the domain other than that with a serial number, and returns its own.
func serial(t *testing.T, a *authority, port int, other *big.Int) (found *big.Int) {
	t.Helper()
	require.Eventually(t, func() bool {
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{ServerName: domain, RootCAs: a.roots})
		if err != nil {
			return false
		}
		defer conn.Close()
		found = conn.ConnectionState().PeerCertificates[0].SerialNumber
		return other == nil || found.Cmp(other) != 0
	}, time.Minute, 100*time.Millisecond)
	return found
}

// TestIssue obtains a certificate by each challenge. The next start of the server uses it without the authority.
func TestIssue(t *testing.T) {
	for _, challenge := range []string{"tls-alpn-01", "http-01"} {
		t.Run(challenge, func(t *testing.T) {
			secure, plain := freePort(t), freePort(t)
			checked := secure
			args := []string{"--data=" + t.TempDir(), fmt.Sprintf("--listen=127.0.0.1:%d", secure), "--acme-domain=" + domain, "--acme-email=a@vespo.example"}
			if challenge == "http-01" {
				checked = freePort(t) // no challenge over TLS succeeds
				args = append(args, fmt.Sprintf("--http-redirect=127.0.0.1:%d", plain))
			}
			a := newAuthority(t, plain, checked, time.Hour)
			args = append(args, "--acme-directory="+a.directory, "--acme-ca="+a.file)
			s := program.Serve(t, vespo, args...)
			require.Equal(t, fmt.Sprintf("https://127.0.0.1:%d", secure), s.URL)
			first := serial(t, a, secure, nil)
			s.Line("a certificate was obtained.*domain=" + domain)
			s.Kill()
			a.close()
			program.Serve(t, vespo, args...)
			require.Zero(t, first.Cmp(serial(t, a, secure, nil)))
		})
	}
}

// TestRenewal uses certificates that are valid for so short a time that they are renewed while the test waits.
func TestRenewal(t *testing.T) {
	port := freePort(t)
	a := newAuthority(t, freePort(t), port, 20*time.Second)
	s := program.Serve(t, vespo, "--data="+t.TempDir(), fmt.Sprintf("--listen=127.0.0.1:%d", port), "--acme-domain="+domain,
		"--acme-directory="+a.directory, "--acme-ca="+a.file)
	serial(t, a, port, serial(t, a, port, nil))
	s.Line("a certificate was obtained.*renewal=true")
}
