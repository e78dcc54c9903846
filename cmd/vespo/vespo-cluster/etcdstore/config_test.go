package etcdstore

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for url, want := range map[string]string{
		"etcd://a":                          "etcd://a:2379/vespo",
		"etcd://a,b:1,[::1]:2,[::1]":        "etcd://a:2379,b:1,[::1]:2,[::1]:2379/vespo",
		"etcd://a/":                         "etcd://a:2379/vespo",
		"etcd://a/x/y/":                     "etcd://a:2379/x/y",
		"etcd://me@a/x?tls=off":             "etcd://a:2379/x",
		"etcd://me@a?ca=c&password_file=f":  "etcd://a:2379/vespo",
		"etcd://me@localhost,127.0.0.1":     "etcd://localhost:2379,127.0.0.1:2379/vespo",
		"etcd://a?tls=on&timeout=2s":        "etcd://a:2379/vespo",
		"etcd://a?ca=c&cert=d&key=e":        "etcd://a:2379/vespo",
		"etcd://a?lease=5s&dial_timeout=1s": "etcd://a:2379/vespo",
	} {
		c, err := Parse(url)
		require.NoError(t, err, url)
		require.Equal(t, want, c.String())
	}
	c, err := Parse("etcd://a?timeout=2s&lease=20s&cert=c&key=k")
	require.NoError(t, err)
	require.Equal(t, []time.Duration{2 * time.Second, 20 * time.Second, defaultDial}, []time.Duration{c.RequestTimeout, c.Lease, c.DialTimeout})
	require.NotNil(t, c.TLS)
}

func TestParseRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"":                               "write it like etcd://",
		"http://a":                       "write it like etcd://",
		"etcd://":                        `"" is not a host`,
		"etcd://a,,b":                    `"" is not a host`,
		"etcd://a:x":                     `"a:x" is not a host`,
		"etcd://a:65536":                 `"a:65536" is not a host`,
		"etcd://me@localhost,a":          "without TLS",
		"etcd://me:secret@a":             "VESPO_STORE_PASSWORD",
		"etcd://a/x y":                   "must not contain spaces",
		"etcd://a?unknown=1":             `no option "unknown"`,
		"etcd://a?timeout=1ms":           "between 1s and",
		"etcd://a?timeout=1s&timeout=2s": "twice",
		"etcd://a?cert=c":                "belong together",
		"etcd://a?tls=maybe":             "on or off",
		"etcd://a?tls=off&ca=c":          "tls is off",
		"etcd://a?password_file=f":       "there is no user",
		"etcd://a?%zz":                   "cannot be read",
	} {
		_, err := Parse(url)
		require.ErrorIs(t, err, ErrURL, url)
		require.ErrorContains(t, err, want, url)
		require.NotContains(t, err.Error(), "secret", url)
	}
}

func TestLoadReadsFiles(t *testing.T) {
	read := func(name string) ([]byte, error) {
		if name == "password" {
			return []byte("of the file\n"), nil
		}
		if name == "torn" {
			return []byte("no certificate"), nil
		}
		return nil, errors.New("no such file")
	}
	c, err := Parse("etcd://me@localhost?password_file=password")
	require.NoError(t, err)
	require.NoError(t, c.Load("of the environment", read))
	require.Equal(t, "of the file", c.Password)
	for url, want := range map[string]string{
		"etcd://me@localhost":                  "has no password",
		"etcd://me@localhost?password_file=no": "no such file",
		"etcd://a?ca=torn":                     "no certificate in PEM",
		"etcd://a?cert=torn&key=torn":          "cert and key",
	} {
		c, err := Parse(url)
		require.NoError(t, err)
		require.ErrorContains(t, c.Load("", read), want, url)
	}
}
