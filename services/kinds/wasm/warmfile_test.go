package wasm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseWarm(t *testing.T) {
	all, err := parseWarm("# one\r\n\r\nGET /a?b=c\r\nHost: example.com\r\n\r\n###\r\n\n### none\n\nPOST /p HTTP/1.1\nA: b\nContent-Length: 99\n\nline\n\n#end\n###\nPUT /\n")
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, "GET /a?b=c", all[0].String())
	require.Equal(t, "example.com", all[0].Host)
	require.Empty(t, all[0].body)
	require.Equal(t, "b", all[1].Header.Get("A"))
	require.Equal(t, "line\n\n#end", all[1].body)
	require.Equal(t, "PUT /", all[2].String())
	all, err = parseWarm("")
	require.NoError(t, err)
	require.Empty(t, all)
	for _, bad := range []string{
		"GET", "GET a", "GET /\nno colon\n", "GET / HTTP/9", "GET http://a/b", "GE T / HTTP/1.1", "GET /\nTransfer-Encoding: chunked\n",
		"###", "# only a comment", strings.Repeat("GET /\n###\n", maxWarmRequests+1), "GET /" + strings.Repeat("a", maxWarmBytes),
	} {
		_, err := parseWarm(bad)
		require.Error(t, err, bad)
	}
}

func FuzzParseWarm(f *testing.F) {
	f.Add("GET /\nA: b\n\nbody\n###\nPOST /x\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseWarm(text)
		if err != nil {
			return
		}
		for _, r := range all {
			require.True(t, strings.HasPrefix(r.RequestURI, "/"))
			require.Empty(t, r.TransferEncoding)
			require.LessOrEqual(t, len(r.body), len(text))
		}
	})
}
