package admin

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest/allkinds"
)

const fuzzModuleBytes = 1 << 10

// FuzzAdd decodes add requests in all their forms. The result is a usable request or a problem for the
// client.
func FuzzAdd(f *testing.F) {
	const form = "--b\r\nContent-Disposition: form-data; name=\"prefix\"\r\n\r\na\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"module\"; filename=\"a.wasm\"\r\n\r\n\x00asm\x01\x00\x00\x00\r\n--b--\r\n"
	f.Add("prefix=a", "application/wasm", []byte("\x00asm\x01\x00\x00\x00"), false)
	f.Add("prefix=a/b&memory=16MiB&timeout=1s&isolation=fresh", "application/octet-stream", []byte("x"), true)
	f.Add("prefix=%2f..&memory=-1&memory=2&x", "application/wasm", []byte{}, false)
	f.Add("a;b", "APPLICATION/WASM; a=b", []byte("x"), true)
	f.Add("", "multipart/form-data; boundary=b", []byte(form), false)
	f.Add("", "multipart/form-data; boundary=b", []byte(form[:100]), true)
	f.Add("", "multipart/form-data", []byte(form), true)
	f.Add("", "multipart/form-data; boundary=b", []byte(strings.Repeat("--b\r\n\r\n", 100)), true)
	f.Add("", "application/json", []byte(`{"prefix":"a","source":"https://u:p@example.com/a.wasm?s","memory":1048576,"timeout":"10s"}`), false)
	f.Add("", "application/json; charset=utf-8", []byte(`{"prefix":{"a":[1,2]},"prefix":null,"x":1e9}`), true)
	f.Add("", "application/json", []byte(strings.Repeat("[", 100)), false)
	f.Add("", "text/plain", []byte("x"), false)
	f.Fuzz(func(t *testing.T, query, contentType string, body []byte, chunked bool) {
		r := httptest.NewRequest(http.MethodPost, "/services/add", nil)
		r.URL.RawQuery = query
		r.Header["Content-Type"] = []string{contentType}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		if chunked {
			r.ContentLength = -1
		}
		d := &decoder{
			kinds:          allkinds.Describe(),
			maxModuleBytes: fuzzModuleBytes,
			pace:           client.Pace{Silence: time.Second, Grace: time.Second, Rate: 1},
		}
		req, err := d.decode(httptest.NewRecorder(), r)
		if err != nil {
			requireClientProblem(t, err)
			return
		}
		requireUsable(t, req)
	})
}

func requireClientProblem(t *testing.T, err error) {
	t.Helper()
	var p *problem.Problem
	require.True(t, errors.As(err, &p), err)
	require.GreaterOrEqual(t, p.Status, 400)
	require.Less(t, p.Status, 500)
	require.NotEmpty(t, p.Detail)
	require.LessOrEqual(t, len(p.Violations), 21)
	told := p.Detail + strings.Join(problem.Texts(p.Violations), "")
	require.Less(t, len(told), 30_000, "an answer repeats its request only in part")
}

func requireUsable(t *testing.T, req *addRequest) {
	t.Helper()
	canonical, err := routekey.ParsePrefix(req.key.String())
	require.NoError(t, err)
	require.Equal(t, string(canonical), req.key.String())
	require.Equal(t, req.takesModule(), len(req.module) > 0 || req.source != nil)
	require.False(t, len(req.module) > 0 && req.source != nil, "either a module or a source")
	require.LessOrEqual(t, len(req.module), fuzzModuleBytes)
	spec, err := req.spec(allkinds.Describe(), registry.Version{}, nil)
	require.NoError(t, err)
	values, err := schema.ParseManifest(req.selected.Form.Fields, spec.Manifest)
	require.NoError(t, err)
	require.Equal(t, spec.Manifest, values.Manifest())
}
