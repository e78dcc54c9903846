package s3store

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/registry"
)

// server is an object store over TLS. Requests without the key are refused.
type server struct {
	*httptest.Server
	backend gofakes3.Backend
	fault   atomic.Pointer[http.HandlerFunc] // answers in its place
	options string                           // of URLs: its authority and the credentials
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{backend: s3mem.New()}
	require.NoError(t, s.backend.CreateBucket("modules"))
	fake := gofakes3.New(s.backend).Server()
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := s.fault.Load(); f != nil {
			(*f)(w, r)
			return
		}
		if !allowed(r) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	dir := t.TempDir()
	ca, keys := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "credentials")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	require.NoError(t, os.WriteFile(ca, certificate, 0o600))
	require.NoError(t, os.WriteFile(keys, []byte("[default]\naws_access_key_id = key\naws_secret_access_key = secret\n[other]\naws_access_key_id = other\naws_secret_access_key = secret\n"), 0o600))
	s.options = "?endpoint=" + s.URL + "&region=us-east-1&ca=" + ca + "&credentials=" + keys
	return s
}

// allowed checks the key, and the time of a request that is signed in its URL.
func allowed(r *http.Request) bool {
	q := r.URL.Query()
	if q.Get("X-Amz-Signature") == "" {
		return strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=key/")
	}
	at, err := time.Parse("20060102T150405Z", q.Get("X-Amz-Date"))
	valid, invalid := time.ParseDuration(q.Get("X-Amz-Expires") + "s")
	return err == nil && invalid == nil && strings.HasPrefix(q.Get("X-Amz-Credential"), "key/") && time.Since(at) < valid
}

func open(t *testing.T, url string) cluster.Objects {
	t.Helper()
	o, err := OpenURL(cluster.ObjectsOptions{URL: url, MaxBytes: 1 << 20})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.Close()) })
	return o
}

func TestStore(t *testing.T) {
	s := newServer(t)
	o := open(t, "s3://modules/team/a"+s.options)
	blob := []byte(strings.Repeat("module", 10_000))
	d := registry.DigestOf(blob)
	_, err := o.Get(t.Context(), d)
	require.ErrorIs(t, err, registry.ErrBlobMissing)
	require.NoError(t, o.Put(t.Context(), d, blob))
	require.NoError(t, o.Put(t.Context(), d, blob), "again")
	got, err := o.Get(t.Context(), d)
	require.NoError(t, err)
	require.Equal(t, blob, got)
	name := "team/a/sha256/" + d.Hex()
	_, err = s.backend.HeadObject("modules", name)
	require.NoError(t, err)
	_, err = open(t, "s3://modules/team/b"+s.options).Get(t.Context(), d)
	require.ErrorIs(t, err, registry.ErrBlobMissing, "another prefix")

	for _, content := range []string{"another", strings.Repeat("long", 1<<20)} {
		_, err = s.backend.PutObject("modules", name, map[string]string{}, strings.NewReader(content), int64(len(content)), nil)
		require.NoError(t, err)
		_, err = o.Get(t.Context(), d)
		require.ErrorIs(t, err, registry.ErrBlobCorrupt)
	}
	_, err = o.Get(t.Context(), "sha256:../x")
	require.ErrorIs(t, err, registry.ErrDigest)
	require.Equal(t, "s3://modules/team/a at "+strings.TrimPrefix(s.URL, "https://"), o.String())
}

// TestCheck accepts a store that can be used alone. Without the right to list objects, S3 refuses to say that one is missing.
func TestCheck(t *testing.T) {
	s := newServer(t)
	o := open(t, "s3://modules/team/a"+s.options)
	require.NoError(t, o.Check(t.Context()))
	_, err := s.backend.PutObject("modules", "team/a/"+checkName, map[string]string{"Last-Modified": "Mon, 02 Jan 2006 15:04:05 GMT"}, strings.NewReader("x"), 1, nil)
	require.NoError(t, err)
	require.NoError(t, o.Check(t.Context()))
	for code, usable := range map[string]bool{"AccessDenied": true, "InvalidAccessKeyId": false, "SignatureDoesNotMatch": false} {
		refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code></Error>")
		})
		s.fault.Store(&refuse)
		require.Equal(t, usable, o.Check(t.Context()) == nil, code)
	}
	s.fault.Store(nil)
	require.ErrorContains(t, open(t, "s3://absent"+s.options).Check(t.Context()), "NoSuchBucket")
	s.Close()
	require.ErrorContains(t, o.Check(t.Context()), "connection refused")
}

// TestKeysOfTheEnvironment reads them without a file.
func TestKeysOfTheEnvironment(t *testing.T) {
	s := newServer(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	options, _, _ := strings.Cut(s.options, "&credentials=")
	require.NoError(t, open(t, "s3://modules"+options).Put(t.Context(), registry.DigestOf(nil), nil))
}

// TestFaults are errors that name the store, within its time, and say nothing about blobs.
func TestFaults(t *testing.T) {
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the end of the connection is noticed
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // no answer, whatever has ended the request
	})
	cut := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	failing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	for name, test := range map[string]struct {
		fault   http.HandlerFunc
		options string
		bucket  string
	}{
		"hangs":           {fault: hang, options: "&timeout=300ms"},
		"cuts":            {fault: cut, options: "&timeout=2s"},
		"fails":           {fault: failing, options: "&timeout=2s"},
		"other key":       {options: "&profile=other"},
		"no such profile": {options: "&profile=none"},
		"no such bucket":  {bucket: "elsewhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			if test.fault != nil {
				s.fault.Store(&test.fault)
			}
			bucket := "modules"
			if test.bucket != "" {
				bucket = test.bucket
			}
			o := open(t, "s3://"+bucket+s.options+test.options)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			blob := []byte("module")
			err := o.Put(ctx, registry.DigestOf(blob), blob)
			require.ErrorContains(t, err, o.String())
			require.NoError(t, ctx.Err())
			_, err = o.Get(ctx, registry.DigestOf(blob))
			require.ErrorContains(t, err, o.String())
			require.NotErrorIs(t, err, registry.ErrBlobMissing)
			require.NotErrorIs(t, err, registry.ErrBlobCorrupt)
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestOtherAuthorityIsRefused(t *testing.T) {
	s := newServer(t)
	_, options, _ := strings.Cut(s.options, "&region")
	options = strings.Replace(options, "&ca=", "&timeout=5s&x=", 1)
	i, j := strings.Index(options, "&x="), strings.Index(options, "&credentials=")
	o := open(t, "s3://modules?endpoint="+s.URL+"&region"+options[:i]+options[j:])
	err := o.Put(t.Context(), registry.DigestOf(nil), nil)
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown)
}

func TestURLs(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	for url, want := range map[string]string{
		"":                                   "write it like s3://",
		"http://bucket":                      "write it like s3://",
		"s3://key:secret@bucket":             "set AWS_ACCESS_KEY_ID",
		"s3://B":                             "is not the name of a bucket",
		"s3://bucket/../other":               "must not have",
		"s3://bucket/a/%2e%2e/b":             "must not have",
		"s3://bucket/a//b":                   "must not have",
		"s3://bucket?x=1":                    "the options are ca, credentials, endpoint, path_style, profile, region, timeout",
		"s3://bucket?timeout=1ns":            "timeout",
		"s3://bucket?path_style=yes":         "path_style",
		"s3://bucket?endpoint=host":          "endpoint must be like",
		"s3://bucket?profile=a":              "profile needs credentials",
		"s3://bucket?region=":                "region",
		"s3://bucket?endpoint=http://h&ca=x": "ca needs an endpoint with https",
	} {
		_, err := Parse(url)
		require.ErrorContains(t, err, want, url)
		require.NotContains(t, err.Error(), "secret")
	}
	c, err := Parse("s3://bucket/a/b/?endpoint=http://127.0.0.1:9000&path_style=off&timeout=1m")
	require.NoError(t, err)
	require.Equal(t, "bucket a/b true 1m0s", strings.Join([]string{c.Bucket, c.Prefix, "true", c.Timeout.String()}, " "))
	require.True(t, c.VirtualHost)
	_, err = OpenURL(cluster.ObjectsOptions{URL: "s3://bucket?credentials=/nonexistent"})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = OpenURL(cluster.ObjectsOptions{URL: "s3://bucket"})
	require.ErrorContains(t, err, "it has no keys")
}
