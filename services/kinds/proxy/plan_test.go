package proxy

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// FuzzDocument checks that accepted documents re-encode to the same bytes and can be
// prepared, and that the URLs of their upstreams keep host and path.
func FuzzDocument(f *testing.F) {
	for _, text := range []string{
		`{"upstream":["http://127.0.0.1:9000"]}`,
		`{"upstream":["https://a.example/v1","h2c://[::1]:1"],"keep_prefix":true,"host":"client","request_header":["A: b","C:"],"response_header":["D: e"]}`,
		`{"upstream":["http://u:p@a?x#y"],"host":"x","request_header":["\u0000"]}`,
		`{"upstream":null}{}`, `[]`, "\x00asm",
	} {
		f.Add([]byte(text), "/a%2Fb|c")
	}
	kind := New(Config{})
	f.Fuzz(func(t *testing.T, text []byte, path string) {
		m := registry.Manifest(text)
		d, err := Decode(m)
		if err != nil {
			return
		}
		again, err := Decode(d.Encode())
		require.NoError(t, err)
		require.Equal(t, d.Encode(), again.Encode())
		prepared, err := kind.Prepare(t.Context(), servicetest.Manifest(KindName, "/", m))
		if err != nil {
			var p *problem.Problem
			require.True(t, errors.As(err, &p))
			require.NotEmpty(t, p.Violations)
			return
		}
		defer func() { require.NoError(t, prepared.Close(t.Context())) }()
		plan, wrong := d.plan()
		require.Empty(t, wrong)
		for _, o := range plan.upstreams {
			requireLeadsTo(t, o, path)
		}
	})
}
