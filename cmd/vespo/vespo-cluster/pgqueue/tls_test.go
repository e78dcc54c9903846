package pgqueue

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/pgstore"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/queues"
)

// TestTLS uses an engine that takes connections over TLS alone, with certificates of clients, from an authority of the test.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	files := enginetest.NewCertificates(t, dir, "localhost")
	other := enginetest.NewCertificates(t, filepath.Join(dir, "other"), "elsewhere.example")
	engine := enginetest.StartPostgresTLS(t, files)
	_, port, err := net.SplitHostPort(engine.Address)
	require.NoError(t, err)
	password := filepath.Join(dir, "password")
	require.NoError(t, os.WriteFile(password, []byte(enginetest.Password+"\n"), 0o600))
	url := "postgres://postgres@localhost:" + port + "/postgres?timeout=10s"
	full := "&sslmode=verify-full&ca=" + files.CA + "&cert=" + files.Cert + "&key=" + files.Key
	open := func(options, password string) error {
		s, err := OpenURL(t.Context(), queues.Options{URL: url + options, Password: password})
		if err != nil {
			return err
		}
		defer func() { require.NoError(t, s.Close()) }()
		return cycle(t.Context(), s.(*Store))
	}
	require.NoError(t, open(full, enginetest.Password))
	stores, err := pgstore.OpenURL(t.Context(), kv.Options{URL: url + full, Password: enginetest.Password})
	require.NoError(t, err)
	require.NoError(t, enginetest.Put(t, stores, "k", "v"), "key-value stores use the same")
	require.NoError(t, stores.Close())
	require.NoError(t, open(full+"&password_file="+password, ""))
	require.ErrorContains(t, open(full, "wrong"), `password authentication failed for user "postgres": set VESPO_KV_PASSWORD for key-value stores, VESPO_QUEUES_PASSWORD for queues`)
	require.ErrorContains(t, open("&sslmode=disable", enginetest.Password), "no encryption")
	require.ErrorContains(t, open("&sslmode=verify-full&ca="+files.CA, enginetest.Password), "client certificate")
	require.ErrorIs(t, open("&sslmode=verify-full&ca="+other.CA+"&cert="+files.Cert+"&key="+files.Key, enginetest.Password), queues.ErrUnavailable)
	require.NoError(t, open("&sslmode=require&cert="+files.Cert+"&key="+files.Key, enginetest.Password))
	url = "postgres://postgres@127.0.0.1:" + port + "/postgres?timeout=1s"
	require.ErrorIs(t, open(full, enginetest.Password), queues.ErrUnavailable, "the certificate is for localhost")
}
