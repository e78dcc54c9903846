package registry_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

func TestParseDigest(t *testing.T) {
	const empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	require.EqualValues(t, empty, registry.DigestOf(nil))
	d, err := registry.ParseDigest(empty)
	require.NoError(t, err)
	require.Equal(t, registry.DigestOf(nil), d)
	require.Equal(t, empty[len("sha256:"):], d.Hex())

	for _, bad := range []string{
		"", "sha256:", empty[7:], empty + "0", empty[:len(empty)-1], strings.ToUpper(empty), "sha512:" + empty[7:],
		"sha256:../" + empty[10:], empty[:len(empty)-1] + "g",
	} {
		_, err := registry.ParseDigest(bad)
		require.ErrorIs(t, err, registry.ErrDigest, "%q", bad)
	}
}

func TestProblemIsOneLine(t *testing.T) {
	p := registry.Problem{Subject: "file", Detail: "set aside"}
	require.Equal(t, "file: set aside", p.String())
	p.Err = errors.New("torn")
	require.Equal(t, "file: set aside: torn", p.String())
}

func TestReadDigestIsDigestOf(t *testing.T) {
	for _, size := range []int{0, 1, 100_000} {
		blob := bytes.Repeat([]byte("x"), size)
		d, n, err := registry.ReadDigest(iotest.HalfReader(bytes.NewReader(blob)))
		require.NoError(t, err)
		require.Equal(t, registry.DigestOf(blob), d)
		require.EqualValues(t, size, n)
	}
	_, _, err := registry.ReadDigest(iotest.ErrReader(io.ErrClosedPipe))
	require.ErrorIs(t, err, io.ErrClosedPipe)
}
