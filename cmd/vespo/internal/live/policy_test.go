package live

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPolicyAdmits(t *testing.T) {
	for _, c := range []struct {
		policies []string
		nonce    string
		want     bool
	}{
		{nil, "", true},
		{[]string{""}, "", true},
		{[]string{"img-src 'none'; object-src 'none'"}, "", true},
		{[]string{"default-src 'self'"}, "", true},
		{[]string{"default-src *"}, "", true},
		{[]string{"DEFAULT-SRC 'SELF'"}, "", true},
		{[]string{"default-src 'none'"}, "", false},
		{[]string{"default-src https://example.com"}, "", false},
		{[]string{"default-src"}, "", false},
		{[]string{"default-src 'none'; script-src 'self'; connect-src 'self'"}, "", true},
		{[]string{"default-src 'none'; script-src 'self'"}, "", false},
		{[]string{"default-src 'none'; connect-src 'self'"}, "", false},
		{[]string{"script-src 'self' 'strict-dynamic'"}, "", false},
		{[]string{"script-src 'self'; script-src-elem 'none'"}, "", false},
		{[]string{"script-src 'none'; script-src-elem 'self'"}, "", true},
		{[]string{"script-src 'none'; script-src 'self'"}, "", false},
		{[]string{"script-src 'nonce-aB1+/=' 'strict-dynamic'"}, "aB1+/=", true},
		{[]string{"script-src 'nonce-'"}, "", false},
		{[]string{"script-src 'sha256-abc'"}, "", false},
		{[]string{"default-src 'self'; script-src 'NONCE-x'"}, "x", true},
		{[]string{"script-src 'nonce-x'; connect-src https:"}, "", false},
		{[]string{"sandbox"}, "", false},
		{[]string{"sandbox allow-scripts"}, "", false},
		{[]string{"sandbox allow-scripts allow-same-origin"}, "", true},
		{[]string{"default-src 'self'", "script-src 'none'"}, "", false},
		{[]string{"default-src 'self', script-src 'none'"}, "", false},
		{[]string{"script-src 'nonce-x'", "script-src 'nonce-x'"}, "x", true},
		{[]string{"script-src 'nonce-x'", "script-src 'nonce-y'"}, "", false},
	} {
		for _, name := range []string{"Content-Security-Policy", "Content-Security-Policy-Report-Only"} {
			h := http.Header{}
			for _, p := range c.policies {
				h.Add(name, p)
			}
			nonce, ok := policyAdmits(h)
			require.Equal(t, c.want, ok, c.policies)
			require.Equal(t, c.nonce, nonce, c.policies)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add("default-src 'self'; script-src 'nonce-x', sandbox")
	f.Fuzz(func(t *testing.T, text string) {
		nonce, ok := policyAdmits(http.Header{"Content-Security-Policy": {text}})
		if !ok && nonce != "" {
			t.Errorf("%q: a nonce for a document without a script", text)
		}
	})
}
