package etcdstore

import (
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs/certtest"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engineurl"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
)

// enableAuth makes a user who may read and write the keys below a prefix, and lets etcd ask for passwords.
func enableAuth(t *testing.T, client *clientv3.Client, user, password, prefix string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		attempt, end := context.WithTimeout(ctx, time.Second)
		_, err := client.Get(attempt, "/")
		end()
		if err == nil {
			break
		}
		require.NoError(t, ctx.Err(), "%v", err)
	}
	_, err := client.UserAdd(ctx, "root", "root's secret")
	require.NoError(t, err)
	_, err = client.UserGrantRole(ctx, "root", "root")
	require.NoError(t, err)
	_, err = client.UserAdd(ctx, user, password)
	require.NoError(t, err)
	_, err = client.RoleAdd(ctx, "hosts")
	require.NoError(t, err)
	_, err = client.RoleGrantPermission(ctx, "hosts", prefix+"/", clientv3.GetPrefixRangeEnd(prefix+"/"), clientv3.PermissionType(clientv3.PermReadWrite))
	require.NoError(t, err)
	_, err = client.UserGrantRole(ctx, user, "hosts")
	require.NoError(t, err)
	_, err = client.AuthEnable(ctx)
	require.NoError(t, err)
}

// TestSecureStore uses an etcd that asks for TLS, a certificate and a password, through a restart of it.
func TestSecureStore(t *testing.T) {
	authority := certtest.NewAuthority(t)
	cert, key := authority.Files("127.0.0.1")
	server := etcdtest.Start(t, "--cert-file", cert, "--key-file", key, "--trusted-ca-file", authority.File(), "--client-cert-auth")
	root, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"https://" + server.Address},
		TLS:       &tls.Config{RootCAs: authority.Pool(), Certificates: []tls.Certificate{authority.Certificate("127.0.0.1")}},
		Logger:    zap.NewNop(),
	})
	require.NoError(t, err)
	defer root.Close()
	enableAuth(t, root, "vespo", "se-cret", "/secure")

	open := func(url, password string) (*Store, error) {
		cfg, err := Parse(url + "&dial_timeout=2s")
		require.NoError(t, err)
		require.NoError(t, cfg.Load(password, engineurl.ReadFile))
		s, err := Open(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { _ = s.Close() })
		_, err = s.Load(t.Context())
		return s, err
	}
	address := "etcd://vespo@" + server.Address
	secure := "?ca=" + authority.File() + "&cert=" + cert + "&key=" + key
	a, err := open(address+"/secure"+secure+"&timeout=30s", "se-cret") // machines may be busy
	require.NoError(t, err)
	b, err := open(address+"/secure"+secure+"&timeout=30s", "se-cret")
	require.NoError(t, err)
	next := commit(t, a, one("/a", "one"))
	requireEqual(t, next, reaches(t, b, next.Generation))
	require.NoError(t, a.Drain(t.Context(), "host:1", true))
	view, err := b.View(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"host:1"}, view.Drained)
	release, err := a.Place(t.Context(), 1)
	require.NoError(t, err)
	release()

	for name, test := range map[string]struct{ url, password, says string }{
		"Password":    {address + "/secure" + secure, "other-se-cret", "read /secure/catalogue/: etcdserver: authentication failed, invalid user ID or password"},
		"Prefix":      {address + "/other" + secure, "se-cret", "permission denied"},
		"Certificate": {address + "/secure?ca=" + authority.File(), "se-cret", "tls: "},
		"Authority":   {address + "/secure?tls=on", "se-cret", "certificate signed by unknown authority"},
		"No TLS":      {address + "/secure?tls=off", "se-cret", "reading server preface"},
		"Port":        {"etcd://vespo@127.0.0.1:1/secure?tls=off", "se-cret", "connection refused"},
	} {
		var err error
		said := within(func() bool { // the reason is not known before the first connection has failed
			_, err = open(test.url+"&timeout=2s", test.password)
			require.Error(t, err, name)
			require.NotContains(t, err.Error(), "se-cret", name)
			return strings.Contains(err.Error(), test.says)
		})
		require.True(t, said, "%s: %v", name, err)
	}

	server.Kill(t) // its tokens are lost
	server.Run(t)
	require.True(t, within(func() bool {
		base := current(b)
		return b.Commit(t.Context(), base, deployed(base, "/a", "two")) == nil
	}))
	requireEqual(t, current(b), reaches(t, a, current(b).Generation))
}

// TestStartWithoutSecureStore opens the store of a user while etcd is away: the host starts with its copy.
func TestStartWithoutSecureStore(t *testing.T) {
	server := etcdtest.Start(t)
	enableAuth(t, server.Client(t), "vespo", "se-cret", "/away")
	dir := t.TempDir()
	start := func() (*Store, registry.Loaded, func()) {
		copied, err := filestore.Open(dir)
		require.NoError(t, err)
		cfg, err := Parse("etcd://vespo@" + server.Address + "/away?timeout=1s&dial_timeout=1s")
		require.NoError(t, err)
		require.NoError(t, cfg.Load("se-cret", engineurl.ReadFile))
		cfg.Copy = copied
		s, err := Open(cfg, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		loaded, err := s.Load(t.Context())
		require.NoError(t, err)
		return s, loaded, func() {
			_ = s.Close()
			require.NoError(t, copied.Close())
		}
	}
	s, _, end := start()
	next := commit(t, s, one("/a", "one"))
	s.Keep(next)
	for state := range s.cfg.Copy.Watch(t.Context()) {
		if len(state.Services) > 0 {
			break // it is saved
		}
	}
	end()
	server.Kill(t)
	s, loaded, end := start()
	defer end()
	requireEqual(t, next, loaded.State)
	server.Run(t)
	require.True(t, within(func() bool {
		base := current(s)
		return s.Commit(t.Context(), base, deployed(base, "/a", "two")) == nil
	}))
}

// TestCopyNamesItsStore starts with the URL of a store that cannot be reached. The copy keeps the name of the store that it is from.
func TestCopyNamesItsStore(t *testing.T) {
	server := etcdtest.Start(t)
	copied, err := filestore.Open(t.TempDir())
	require.NoError(t, err)
	defer copied.Close()
	open := func(url string) (*Store, *registry.State) {
		cfg, err := Parse(url + "?timeout=1s&dial_timeout=1s")
		require.NoError(t, err)
		cfg.Copy = copied
		s, err := Open(cfg, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		loaded, err := s.Load(t.Context())
		require.NoError(t, err)
		return s, loaded.State
	}
	right, _ := open(server.URL("right"))
	next := commit(t, right, one("/a", "one"))
	right.Keep(next)
	for state := range copied.Watch(t.Context()) {
		if len(state.Services) > 0 {
			break // it is saved
		}
	}
	want := right.Mark()
	require.NoError(t, right.Close())
	wrong, state := open("etcd://127.0.0.1:1/wrong")
	requireEqual(t, next, state)
	require.Equal(t, want, wrong.Mark())
	require.NoError(t, wrong.Close())
}

// within reports whether a condition comes true within patience.
func within(done func() bool) bool {
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			return false
		}
		<-time.After(20 * time.Millisecond)
	}
	return true
}
