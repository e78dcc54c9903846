package remote

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs/certtest"
)

func TestTokensStayOffPlainNetworks(t *testing.T) {
	for _, server := range []string{"", "localhost:1", "http://LOCALHOST.:1", "http://a.localhost", "http://127.8.0.1", "http://[::1]:1", "http://[::ffff:127.0.0.1]", "https://example.com"} {
		require.NoError(t, (&clientFlags{Server: server, Token: "t"}).Validate(), server)
	}
	for _, server := range []string{"example.com", "http://192.0.2.1", "http://[::]:1", "http://localhost.example.com", "http://127.0.0.1.example.com", "http://0x7f000001x"} {
		f := &clientFlags{Server: server, Token: "t"}
		require.ErrorContains(t, f.Validate(), "--insecure-http", server)
		_, err := NewClient(server, "t")
		require.ErrorContains(t, err, "--insecure-http", server)
		f.InsecureHTTP = true
		require.NoError(t, f.Validate())
		require.NoError(t, (&clientFlags{Server: server}).Validate(), "without a token")
	}
}

func TestClientFlagsOfTLS(t *testing.T) {
	a, other := certtest.NewAuthority(t), certtest.NewAuthority(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Client", r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{a.Certificate("127.0.0.1")},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    a.Pool(),
	}
	server.StartTLS()
	defer server.Close()
	cert, key := a.Files("me")
	ask := func(flags tlsFlags) error {
		c, err := (&clientFlags{Server: server.URL, tlsFlags: flags}).client("")
		if err == nil {
			_, err = c.Get(t.Context(), "/", nil)
		}
		return err
	}
	require.NoError(t, ask(tlsFlags{CA: a.File(), ClientCert: cert, ClientKey: key}))
	require.ErrorContains(t, ask(tlsFlags{CA: other.File(), ClientCert: cert, ClientKey: key}), "--ca FILE")
	require.ErrorContains(t, ask(tlsFlags{CA: a.File()}), "certificate required")
	require.ErrorContains(t, ask(tlsFlags{CA: key}), "no certificate")
	require.ErrorContains(t, ask(tlsFlags{CA: a.File(), ClientCert: cert}), "belong together")
	require.ErrorContains(t, ask(tlsFlags{CA: a.File(), ClientCert: cert, ClientKey: cert}), "--client-key")
	require.ErrorContains(t, (&clientFlags{tlsFlags: tlsFlags{ClientCert: cert, ClientKey: key}}).Validate(), "is for https")
}
