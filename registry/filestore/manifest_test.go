package filestore

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample returns a state that uses every field of the format.
func sample() *registry.State {
	s := &registry.State{}
	deployed := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for i, text := range []string{"one", "two", "three"} {
		s, _ = s.Put(routekey.MustParse("/a/b"), registry.Version{
			Kind:     "wasm",
			Blobs:    []registry.Blob{{Field: "module", Digest: registry.DigestOf([]byte(text)), SizeBytes: int64(len(text))}},
			Deployed: deployed.Add(time.Duration(i) * time.Hour),
			Manifest: `{"isolation":"fresh","memory":16777216,"timeout":"1.5s"}`,
			Note:     registry.Note{Message: "number " + text, Author: "ada"},
		})
	}
	s, _ = s.Put(routekey.MustParse("/"), registry.Version{Kind: "<&>", Blobs: []registry.Blob{{Field: "module", Digest: registry.DigestOf(nil)}}, Deployed: deployed})
	return s
}

// withoutNotes returns the state as versions before 3 could hold it.
func withoutNotes(s *registry.State) *registry.State {
	for prefix, service := range s.Services {
		service.Current.Note = registry.Note{}
		for i := range service.History {
			service.History[i].Note = registry.Note{}
		}
		s.Services[prefix] = service
	}
	return s
}

// noBlob reads blobs of a store that has none.
func noBlob(registry.Digest) ([]byte, error) { return nil, registry.ErrBlobMissing }

// The golden files represent existing catalogues. They are never changed: a new format is a new version.
func TestManifestsOfAllVersionsStayReadable(t *testing.T) {
	encoded, err := encodeManifest(sample())
	require.NoError(t, err)
	newest := filepath.Join("testdata", "manifest.v4.json")
	if *update {
		require.NoError(t, os.WriteFile(newest, encoded, 0o644))
	}
	data, err := os.ReadFile(newest)
	require.NoError(t, err)
	require.Equal(t, string(data), string(encoded))
	for golden, want := range map[string]*registry.State{
		"manifest.v1.json": withoutNotes(sample()),
		"manifest.v2.json": withoutNotes(sample()),
		"manifest.v3.json": sample(),
		"manifest.v4.json": sample(),
	} {
		data, err := os.ReadFile(filepath.Join("testdata", golden))
		require.NoError(t, err)
		got, _, err := decodeManifest(data, noBlob)
		require.NoError(t, err)
		require.Equal(t, want, got, golden)
	}
}

// Version 1 kept the settings of kinds without a module in a blob, under names of their own.
func TestDocumentsOfVersion1BecomePartOfTheManifest(t *testing.T) {
	documents := map[registry.Digest][]byte{}
	digest := func(text string) string {
		d := registry.DigestOf([]byte(text))
		documents[d] = []byte(text)
		return string(d)
	}
	read := func(d registry.Digest) ([]byte, error) {
		if text, ok := documents[d]; ok {
			return text, nil
		}
		return nil, registry.ErrBlobMissing
	}
	missing := string(registry.DigestOf([]byte("missing")))
	for _, c := range []struct{ version, kind, manifest, blobs string }{
		{`"kind":"proxy","digest":"` + digest(`{"upstreams":["http://a"],"host":"client","request_headers":["A: <&>"]}`) + `","timeout_ns":1500000000`,
			"proxy", `{"host":"client","request_header":["A: <&>"],"timeout":"1.5s","upstream":["http://a"]}`, ""},
		{`"kind":"static","digest":"` + digest(`{"directory":"www","fallback":"index.html"}`) + `"`,
			"static", `{"fallback":"index.html","static":"www"}`, ""},
		{`"kind":"queue","digest":"` + digest(`{"depth":12,"durable":true}`) + `","use":["` + missing + `"],"use_config":{"k":"v"}`,
			"queue", `{"depth":12,"durable":true,"use_config":{"k":"v"}}`, "use"},
		{`"kind":"function","digest":"` + digest(`{}`) + `","config":{"A":"b"}`, "function", `{"config":{"A":"b"}}`, ""},
		{`"kind":"wasm","digest":"` + missing + `","memory_bytes":65536,"cgi_args":true,"allow":["https://x"],"mounts":{"/a":"b"},"isolation":"fresh"`,
			"wasm", `{"allow":["https://x"],"cgi_args":true,"isolation":"fresh","memory":65536,"mount":{"/a":"b"}}`, "module"},
		{`"kind":"proxy","digest":"` + missing + `"`, "proxy", `{}`, "document"},
	} {
		catalogue := `{"generation":1,"services":[{"prefix":"/a","current":{` + c.version + `,"size_bytes":3,"generation":1,"deployed":"2026-01-01T00:00:00Z"}}]}`
		s, _, err := decodeManifest([]byte(sealed(catalogue)), read)
		require.NoError(t, err)
		v := s.Services[routekey.MustParse("/a")].Current
		require.Equal(t, c.kind, v.Kind)
		require.Equal(t, registry.Manifest(c.manifest), v.Manifest)
		var fields []string
		for _, b := range v.Blobs {
			fields = append(fields, b.Field)
		}
		require.Equal(t, c.blobs, strings.Join(fields, " "))
		_, err = encodeManifest(s)
		require.NoError(t, err)
	}
}

func TestDecodeManifestSurvivesReformatting(t *testing.T) {
	encoded, err := encodeManifest(sample())
	require.NoError(t, err)
	got, _, err := decodeManifest(bytes.ReplaceAll(encoded, []byte("\n"), []byte("\r\n\t")), noBlob)
	require.NoError(t, err)
	require.Equal(t, sample(), got)
}

func TestDecodeManifestFindsEveryDamage(t *testing.T) {
	encoded, err := encodeManifest(sample())
	require.NoError(t, err)
	for n := range encoded[:len(encoded)-1] { // the last byte is a newline
		_, _, err := decodeManifest(encoded[:n], noBlob)
		require.ErrorIs(t, err, errTorn, "cut after %d bytes", n)
	}
	for n := range encoded {
		damaged := bytes.Clone(encoded)
		damaged[n] ^= 0x01
		if got, _, err := decodeManifest(damaged, noBlob); err == nil {
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
		_, _, err := decodeManifest([]byte(sealed(`{"generation":1,"services":[`+service("/a", good)+`]}`)), noBlob)
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
		"version 5":         {`{"format":"vespo catalogue","version":5,"more":true}`, errNewer},
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
			_, _, err := decodeManifest([]byte(tc.data), noBlob)
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
		s, _, err := decodeManifest(data, noBlob)
		if err == nil {
			again, err := encodeManifest(s)
			require.NoError(t, err)
			back, _, err := decodeManifest(again, noBlob)
			require.NoError(t, err)
			require.Equal(t, s, back)
		} else {
			require.True(t, errors.Is(err, errTorn) || errors.Is(err, errNewer))
		}
		// Few mutations match the checksum, so the catalogue is also decoded separately.
		if s, err := decodeCatalogueV1(data, noBlob); err == nil {
			require.NoError(t, s.Check())
		}
		if s, err := decodeCatalogueV4(data, 4); err == nil {
			require.NoError(t, s.Check())
		}
	})
}

func TestOriginIsKept(t *testing.T) {
	want, _ := (&registry.State{}).Put(routekey.MustParse("/a"), registry.Version{Kind: "k", Blobs: []registry.Blob{{Field: "module", Digest: registry.DigestOf(nil)}}, Origin: registry.OriginFile})
	text, err := encodeManifest(want)
	require.NoError(t, err)
	got, _, err := decodeManifest(text, noBlob)
	require.NoError(t, err)
	require.Equal(t, registry.OriginFile, got.Services[routekey.MustParse("/a")].Current.Origin)
}

func TestManifestAndBlobsAreKept(t *testing.T) {
	want := registry.Version{
		Kind:     "k",
		Manifest: `{"a":["<&>",""],"n":9007199254740993,"o":{"key":"\u0000 é"},"t":true}`,
		Blobs: []registry.Blob{
			{Field: "module", Digest: registry.DigestOf(nil)},
			{Field: "use", Digest: registry.DigestOf([]byte("a")), SizeBytes: 1},
			{Field: "use", Digest: registry.DigestOf([]byte("a")), SizeBytes: 1},
		},
	}
	state, service := (&registry.State{}).Put(routekey.MustParse("/a"), want)
	text, err := encodeManifest(state)
	require.NoError(t, err)
	got, _, err := decodeManifest(text, noBlob)
	require.NoError(t, err)
	require.Equal(t, service.Current, got.Services[routekey.MustParse("/a")].Current)
}
