package filestore

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample returns a state that uses every field of the format.
func sample() *registry.State {
	s := &registry.State{}
	deployed := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for i, text := range []string{"one", "two", "three"} {
		s, _ = s.Put("/a/b", registry.Version{
			Digest: registry.DigestOf([]byte(text)), SizeBytes: int64(len(text)), Kind: "wasm",
			Deployed: deployed.Add(time.Duration(i) * time.Hour),
			Options:  registry.Options{MemoryBytes: 16 << 20, Timeout: 1500 * time.Millisecond, Isolation: "fresh"},
		})
	}
	s, _ = s.Put("/", registry.Version{Digest: registry.DigestOf(nil), Kind: "<&>", Deployed: deployed})
	return s
}

// The golden file represents existing catalogues. It may be extended under a new version but never changed.
func TestManifestOfVersion1StaysReadable(t *testing.T) {
	golden := filepath.Join("testdata", "manifest.v1.json")
	encoded, err := encodeManifest(sample())
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(golden, encoded, 0o644))
	}
	data, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(data), string(encoded))
	got, err := decodeManifest(data)
	require.NoError(t, err)
	require.Equal(t, sample(), got)
}

func TestDecodeManifestSurvivesReformatting(t *testing.T) {
	encoded, err := encodeManifest(sample())
	require.NoError(t, err)
	got, err := decodeManifest(bytes.ReplaceAll(encoded, []byte("\n"), []byte("\r\n\t")))
	require.NoError(t, err)
	require.Equal(t, sample(), got)
}

func TestDecodeManifestFindsEveryDamage(t *testing.T) {
	encoded, err := encodeManifest(sample())
	require.NoError(t, err)
	for n := range encoded[:len(encoded)-1] { // the last byte is a newline
		_, err := decodeManifest(encoded[:n])
		require.ErrorIs(t, err, errTorn, "cut after %d bytes", n)
	}
	for n := range encoded {
		damaged := bytes.Clone(encoded)
		damaged[n] ^= 0x01
		if got, err := decodeManifest(damaged); err == nil {
			require.Equal(t, sample(), got, "byte %d", n) // one white space character changed into another
		}
	}
}

// sealed returns a manifest with a valid checksum around any catalogue.
func sealed(catalogue string) string {
	return `{"format":"vespo catalogue","version":1,"sha256":"` + checksum([]byte(catalogue)) + `","catalogue":` + catalogue + `}`
}

func TestDecodeManifestRefuses(t *testing.T) {
	const digest = `"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"`
	service := func(prefix, version string) string {
		return `{"prefix":"` + prefix + `","current":{` + version + `,"deployed":"2026-01-01T00:00:00Z"}}`
	}
	good := digest + `,"size_bytes":0,"kind":"wasm","generation":1`
	require.NotPanics(t, func() {
		_, err := decodeManifest([]byte(sealed(`{"generation":1,"services":[` + service("/a", good) + `]}`)))
		require.NoError(t, err, "the cases below differ from something valid")
	})
	for name, tc := range map[string]struct {
		data string
		want error
	}{
		"empty":             {"", errTorn},
		"null":              {"null", errTorn},
		"zeroes":            {string(make([]byte, 512)), errTorn},
		"another format":    {`{"format":"something else"}`, errTorn},
		"version 0":         {`{"format":"vespo catalogue"}`, errTorn},
		"version 2":         {`{"format":"vespo catalogue","version":2,"more":true}`, errNewer},
		"no catalogue":      {`{"format":"vespo catalogue","version":1}`, errTorn},
		"wrong checksum":    {`{"format":"vespo catalogue","version":1,"sha256":"00","catalogue":{}}`, errTorn},
		"catalogue no map":  {sealed(`[]`), errTorn},
		"unknown field":     {sealed(`{"generation":0,"services":[],"surprise":1}`), errTorn},
		"prefix twice":      {sealed(`{"generation":1,"services":[` + service("/a", good) + `,` + service("/a", good) + `]}`), errTorn},
		"generation twice":  {sealed(`{"generation":1,"services":[` + service("/a", good) + `,` + service("/b", good) + `]}`), errTorn},
		"prefix no path":    {sealed(`{"generation":1,"services":[` + service("a", good) + `]}`), errTorn},
		"digest no digest":  {sealed(`{"generation":1,"services":[` + service("/a", `"digest":"x","kind":"wasm","generation":1`) + `]}`), errTorn},
		"later generation":  {sealed(`{"generation":0,"services":[` + service("/a", good) + `]}`), errTorn},
		"no kind":           {sealed(`{"generation":1,"services":[` + service("/a", digest+`,"generation":1`) + `]}`), errTorn},
		"negative size":     {sealed(`{"generation":1,"services":[` + service("/a", digest+`,"kind":"wasm","generation":1,"size_bytes":-1`) + `]}`), errTorn},
		"trailing document": {sealed(`{"generation":0,"services":[]}`) + "{}", errTorn},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decodeManifest([]byte(tc.data))
			require.ErrorIs(t, err, tc.want)
		})
	}
}

func FuzzDecodeManifest(f *testing.F) {
	encoded, err := encodeManifest(sample())
	require.NoError(f, err)
	f.Add(encoded)
	f.Add(encoded[:len(encoded)/2])
	f.Add([]byte(sealed(`{"generation":7,"services":[]}`)))
	f.Add([]byte(sealed(`{"generation":1,"services":[{"prefix":"/","current":{"digest":"sha256:"},"history":[{}]}]}`)))
	f.Add([]byte(`{"format":"vespo catalogue","version":99}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decodeManifest(data)
		if err == nil {
			again, err := encodeManifest(s)
			require.NoError(t, err)
			back, err := decodeManifest(again)
			require.NoError(t, err)
			require.Equal(t, s, back)
		} else {
			require.True(t, errors.Is(err, errTorn) || errors.Is(err, errNewer))
		}
		// Few mutations match the checksum, so the catalogue is also decoded separately.
		if s, err := decodeCatalogueV1(data); err == nil {
			require.NoError(t, s.Check())
		}
	})
}

func TestOriginIsKept(t *testing.T) {
	want, _ := (&registry.State{}).Put("/a", registry.Version{Digest: registry.DigestOf(nil), Kind: "k", Origin: registry.OriginFile})
	text, err := encodeManifest(want)
	require.NoError(t, err)
	got, err := decodeManifest(text)
	require.NoError(t, err)
	require.Equal(t, registry.OriginFile, got.Services["/a"].Current.Origin)
}

func TestMiddlewareIsKept(t *testing.T) {
	options := registry.Options{
		CGIArgs:   true,
		Use:       []registry.Digest{registry.DigestOf([]byte("a")), registry.DigestOf([]byte("b")), registry.DigestOf([]byte("a"))},
		UseConfig: map[string]string{"key": "\x00 \u00e9"},
	}
	want, _ := (&registry.State{}).Put("/a", registry.Version{Digest: registry.DigestOf(nil), Kind: "k", Options: options})
	text, err := encodeManifest(want)
	require.NoError(t, err)
	got, err := decodeManifest(text)
	require.NoError(t, err)
	require.Equal(t, options, got.Services["/a"].Current.Options)
}
