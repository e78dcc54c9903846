package enginetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/regular"
)

// Password is that of the user postgres of StartPostgresTLS.
const Password = "se-cret"

// Certificates are files in PEM: of an authority, and a certificate of it for a server and a client.
type Certificates struct{ CA, Cert, Key string }

// NewCertificates writes certificates for a name to a directory, which it creates.
func NewCertificates(t testing.TB, dir, name string) Certificates {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	authority := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test"},
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "postgres"},
		DNSNames:     []string{name},
		NotAfter:     authority.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	c := Certificates{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	write := func(name, kind string, der []byte, err error) {
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, signer.Public(), signer)
	write(c.CA, "CERTIFICATE", der, err)
	der, err = x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), signer)
	write(c.Cert, "CERTIFICATE", der, err)
	write(c.Key, "PRIVATE KEY", private, nil)
	return c
}

// StartPostgresTLS is like StartPostgres, but connections over TCP need TLS, a certificate of the authority, and Password.
func StartPostgresTLS(t testing.TB, c Certificates) *Postgres {
	t.Helper()
	return startPostgres(t, func(dir string) []string {
		options := []string{"ssl=on"}
		for name, from := range map[string]string{"ssl_ca_file": c.CA, "ssl_cert_file": c.Cert, "ssl_key_file": c.Key} {
			text, err := regular.ReadFile(from, 1<<20)
			require.NoError(t, err)
			to := filepath.Join(dir, filepath.Base(from))
			require.NoError(t, os.WriteFile(to, text, 0o600))
			own(t, to)
			options = append(options, name+"="+to)
		}
		rules := filepath.Join(dir, "hba")
		require.NoError(t, os.WriteFile(rules, []byte("local all all trust\nhostssl all all all scram-sha-256 clientcert=verify-full\n"), 0o644))
		return append(options, "hba_file="+rules)
	})
}
