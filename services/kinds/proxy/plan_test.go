package proxy

import (
	"testing"

	"github.com/vespo-dev/vespo/registry"
)

// FuzzPlan checks that the URLs of upstreams keep host and path.
func FuzzPlan(f *testing.F) {
	for _, text := range []string{
		`{"upstream":["http://127.0.0.1:9000"]}`,
		`{"upstream":["https://a.example/v1","h2c://[::1]:1"],"keep_prefix":true}`,
	} {
		f.Add([]byte(text), "/a%2Fb|c")
	}
	f.Fuzz(func(t *testing.T, text []byte, path string) {
		d, err := Decode(registry.Manifest(text))
		if err != nil {
			return
		}
		plan, wrong := d.plan()
		if len(wrong) > 0 {
			return
		}
		for _, o := range plan.upstreams {
			requireLeadsTo(t, o, path)
		}
	})
}
