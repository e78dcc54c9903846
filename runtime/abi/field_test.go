package abi

import (
	"bufio"
	"net/textproto"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCanonicalName(t *testing.T) {
	for name, want := range map[string]string{
		"content-type": "Content-Type", "Content-Type": "Content-Type", "CONTENT-TYPE": "Content-Type",
		"x": "X", "x-": "X-", "-x": "-X", "x--y": "X--Y", "x_y-z": "X_y-Z", "x1-2y": "X1-2y", "etag": "Etag", "www-authenticate": "Www-Authenticate",
		"!#$%&'*+-.^_`|~": "!#$%&'*+-.^_`|~",
	} {
		canonical, ok := CanonicalName(name)
		require.True(t, ok, name)
		require.Equal(t, want, canonical)
	}
	for _, name := range []string{"", " ", "a b", "a:", ":path", "a\x00", "a\r\n", "a\tb", "é", "a(b)", "a/b", "a\"b", "a{b}", "a[b]", "a@b", "\x7f", "a,b"} {
		_, ok := CanonicalName(name)
		require.False(t, ok, "%q", name)
	}
}

// FuzzFieldName compares with the standard library, which returns names that are not tokens unchanged.
func FuzzFieldName(f *testing.F) {
	for _, name := range []string{"", "content-type", "ETag", "x_y", "a b", "a\x00b", "-", "é", "UPPER-case-MiX"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		canonical, ok := CanonicalName(name)
		if !ok {
			require.Equal(t, name, textproto.CanonicalMIMEHeaderKey(name), "only what is not a token is refused")
			return
		}
		require.Equal(t, textproto.CanonicalMIMEHeaderKey(name), canonical)
		again, ok := CanonicalName(canonical)
		require.True(t, ok)
		require.Equal(t, canonical, again)
		require.Equal(t, map[string]string{canonical: "v"}, readField(t, name, "v"), "a token is read as one name")
	})
}

func TestValidValue(t *testing.T) {
	for _, v := range []string{"", " ", "\t", "text/plain; charset=utf-8", "a, b", "\"quoted\"", "grüße", "\xff\x80"} {
		require.True(t, ValidValue(v), "%q", v)
	}
	for _, v := range []string{"\x00", "a\x00b", "a\r\nb", "a\nb", "a\rb", "\x01", "\x1f", "\x7f", "a\x0bb"} {
		require.False(t, ValidValue(v), "%q", v)
	}
}

// FuzzFieldValue passes valid values through a header parser: each must parse as one value of one field.
func FuzzFieldValue(f *testing.F) {
	for _, v := range []string{"", " a ", "a\tb", "a\r\nSet-Cookie: x", "a\n b", "a\x00", "grüße", "\x7f", ":"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if ValidValue(value) {
			require.Equal(t, map[string]string{"X-Field": strings.Trim(value, " \t")}, readField(t, "X-Field", value))
		}
	})
}

// readField parses one field with net/textproto.
func readField(t *testing.T, name, value string) map[string]string {
	t.Helper()
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(name + ": " + value + "\r\n\r\n"))).ReadMIMEHeader()
	require.NoError(t, err)
	all := make(map[string]string, len(header))
	for name, values := range header {
		require.Len(t, values, 1)
		all[name] = values[0]
	}
	return all
}

func TestHopByHop(t *testing.T) {
	for _, name := range []string{"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"} {
		canonical, ok := CanonicalName(name)
		require.True(t, ok)
		require.True(t, HopByHop(canonical), name)
	}
	for _, name := range []string{"Content-Length", "Date", "Set-Cookie", "X-Connection"} {
		require.False(t, HopByHop(name), name)
	}
}

func TestValidTrailer(t *testing.T) {
	for _, name := range []string{"Content-Length", "Transfer-Encoding", "Host", "Content-Type", "Set-Cookie", "If-None-Match", "Authorization", "Trailer",
		"X-Request-Id", "Date", "Expires", "Retry-After"} {
		require.False(t, ValidTrailer(name), name)
	}
	for _, name := range []string{"X-Sum", "Grpc-Status", "Etag", "Server-Timing", "Digest", "Iframe"} {
		require.True(t, ValidTrailer(name), name)
	}
}

func TestValidStatus(t *testing.T) {
	for code, want := range map[int]bool{-1: false, 0: false, 99: false, 100: false, 101: false, 199: false, 200: true, 204: true,
		404: true, 599: true, 600: false, 1 << 31: false} {
		require.Equal(t, want, ValidStatus(code), code)
	}
}

func TestCommonNames(t *testing.T) {
	for name, n := range common {
		require.Equal(t, textproto.CanonicalMIMEHeaderKey(name), n.canonical)
		require.Equal(t, strings.ToLower(name), n.lower)
	}
	for _, name := range []string{"content-type", "Content-Type", "CONTENT-TYPE", "x-mine", "X-Mine"} {
		require.Equal(t, strings.ToLower(name), LowerName(name))
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		canonical, _ := CanonicalName("content-type")
		LowerName(canonical)
	}))
}
