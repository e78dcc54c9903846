package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs/certtest"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/linestest"
)

// name returns the name in the certificate that a client gets which asks for a server name.
func name(t *testing.T, f *certs.Files, asked string) string {
	t.Helper()
	pair, err := f.Certificate(&tls.ClientHelloInfo{
		ServerName:        asked,
		SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes:  []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		SupportedCurves:   []tls.CurveID{tls.CurveP256},
	})
	require.NoError(t, err)
	return pair.Leaf.DNSNames[0]
}

func TestNamesSelectCertificates(t *testing.T) {
	a := certtest.NewAuthority(t)
	var pairs []certs.Pair
	for _, names := range [][]string{{"a.example"}, {"b.example", "*.b.example"}} {
		cert, key := a.Files(names...)
		pairs = append(pairs, certs.Pair{Cert: cert, Key: key})
	}
	f, err := certs.Open(pairs, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	for asked, want := range map[string]string{"a.example": "a.example", "b.example": "b.example", "x.b.example": "b.example", "": "a.example", "c.example": "a.example"} {
		require.Equal(t, want, name(t, f, asked), asked)
	}
}

func TestPairsThatCannotBeUsedAreRefused(t *testing.T) {
	a := certtest.NewAuthority(t)
	cert, key := a.Files("a.example")
	_, other := a.Files("a.example")
	for _, p := range []certs.Pair{{cert, other}, {cert, cert}, {key, cert}, {"none", key}, {t.TempDir(), key}} {
		_, err := certs.Open([]certs.Pair{p}, slog.New(slog.DiscardHandler))
		require.Error(t, err)
	}
	_, err := certs.OpenAuthorities(key, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "no certificate")
}

// watched runs f in a bubble with two watched files, and a function that lets two looks pass.
func watched(t *testing.T, f func(dir string, files *certs.Files, log *linestest.Lines, look func())) {
	a := certtest.NewAuthority(t)
	dir := t.TempDir()
	write(t, dir, a, "old.example")
	synctest.Test(t, func(t *testing.T) {
		log := linestest.New()
		files, err := certs.Open([]certs.Pair{{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}},
			slog.New(slog.NewTextHandler(log, nil)))
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { files.Watch(ctx); close(ended) }()
		f(dir, files, log, func() {
			<-time.After(certs.Interval + 1)
			synctest.Wait()
		})
		stop()
		<-ended
	})
}

// write puts a new certificate and its key into dir, one after the other.
func write(t *testing.T, dir string, a *certtest.Authority, name string) {
	t.Helper()
	cert, key := a.Issue(name)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), cert, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), key, 0o600))
}

func TestRenewedFilesAreUsed(t *testing.T) {
	a := certtest.NewAuthority(t)
	watched(t, func(dir string, files *certs.Files, log *linestest.Lines, look func()) {
		look()
		require.Equal(t, "old.example", name(t, files, ""))
		require.Empty(t, log.String())
		write(t, dir, a, "new.example")
		look()
		require.Equal(t, "new.example", name(t, files, ""))
		require.Contains(t, log.String(), "new.example")
		look()
		require.Equal(t, 1, strings.Count(log.String(), "\n"))
	})
}

// TestTornPairsAreNotUsed replaces one file, then removes it, and then completes the pair.
func TestTornPairsAreNotUsed(t *testing.T) {
	a := certtest.NewAuthority(t)
	cert, key := a.Issue("new.example")
	watched(t, func(dir string, files *certs.Files, log *linestest.Lines, look func()) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), cert, 0o600))
		look()
		require.Equal(t, "old.example", name(t, files, ""))
		require.Empty(t, log.String(), "files that are being replaced")
		for range 5 {
			look()
		}
		require.Equal(t, "old.example", name(t, files, ""))
		require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), key[:len(key)/2], 0o600))
		look()
		require.NoError(t, os.Remove(filepath.Join(dir, "key.pem")))
		look()
		require.Equal(t, "old.example", name(t, files, ""))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), key, 0o600))
		look()
		require.Equal(t, "new.example", name(t, files, ""))
	})
}

// TestSwappedLinksAreFollowed replaces the files as Kubernetes does: all of them by one link to a directory.
func TestSwappedLinksAreFollowed(t *testing.T) {
	a := certtest.NewAuthority(t)
	watched(t, func(dir string, files *certs.Files, _ *linestest.Lines, look func()) {
		for _, version := range []string{"v1.example", "v2.example"} {
			data := filepath.Join(dir, version)
			require.NoError(t, os.Mkdir(data, 0o700))
			write(t, data, a, version)
			require.NoError(t, os.Symlink(version, filepath.Join(dir, "next")))
			require.NoError(t, os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "..data")))
			for _, file := range []string{"cert.pem", "key.pem"} {
				require.NoError(t, os.RemoveAll(filepath.Join(dir, file)))
				require.NoError(t, os.Symlink(filepath.Join("..data", file), filepath.Join(dir, file)))
			}
			look()
			require.Equal(t, version, name(t, files, ""))
		}
	})
}

func TestRenewedAuthoritiesAreUsed(t *testing.T) {
	before, after := certtest.NewAuthority(t), certtest.NewAuthority(t)
	path, now := before.File(), time.Now() // that of the bubble is earlier
	clients := map[*certtest.Authority]*x509.Certificate{before: before.Certificate("client").Leaf, after: after.Certificate("client").Leaf}
	text, err := os.ReadFile(after.File())
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		authorities, err := certs.OpenAuthorities(path, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { authorities.Watch(ctx); close(ended) }()
		accepted := func(a *certtest.Authority) bool {
			_, err := clients[a].Verify(x509.VerifyOptions{Roots: authorities.Pool(), CurrentTime: now})
			return err == nil
		}
		require.True(t, accepted(before))
		require.False(t, accepted(after))
		require.NoError(t, os.WriteFile(path, text, 0o600))
		<-time.After(certs.Interval + 1)
		synctest.Wait()
		require.True(t, accepted(after))
		require.False(t, accepted(before))
		stop()
		<-ended
	})
}
