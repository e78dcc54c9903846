package httpfield

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTrailer(t *testing.T) {
	for _, name := range []string{"Grpc-Status", "Grpc-Message", "Digest", "Content-Digest", "Repr-Digest", "Content-Md5", "Server-Timing", "Etag",
		"Last-Modified", "X-Checksum", "X_checksum", "Authentication-Info", "Link"} {
		require.True(t, Trailer(name), name)
	}
	for _, name := range []string{
		"Transfer-Encoding", "Content-Length", "Trailer", "Te", "Connection", "Upgrade", "Host", "Max-Forwards", "Via", "Forwarded",
		"X-Forwarded-For", "X-Real-Ip", "Vespo-Caller", "Vespo-Report", "Vespo-Token", "X-Request-Id", "Authorization", "Www-Authenticate", "Proxy-Authorization", "Cookie",
		"Set-Cookie", "Cache-Control", "Expect", "Range", "If-Match", "If-None-Match", "Accept", "Accept-Encoding", "Age", "Date", "Expires",
		"Location", "Retry-After", "Vary", "Warning", "Content-Encoding", "Content-Type", "Content-Range", "Access-Control-Allow-Origin",
	} {
		require.False(t, Trailer(name), name)
		require.False(t, Trailer(strings.ToLower(name)), name)
		require.False(t, Trailer(strings.ReplaceAll(name, "-", "_")), name)
	}
}

func TestDisguised(t *testing.T) {
	for _, name := range []string{"Content_length", "content_length", "Transfer_Encoding", "Transfer_encoding", "X_forwarded_for", "X-Forwarded_for",
		"X.Forwarded.For", "X_real_ip", "X_request_id", "Vespo_caller", "Vespo_context", "Content_type", "If_match",
		"Keep_alive", "Content!length"} {
		require.True(t, Disguised(name), name)
	}
	for _, name := range []string{"Content-Length", "X-Forwarded-For", "Api_key", "X_custom", "Accept", "Host", "Sec_ch_ua", ""} {
		require.False(t, Disguised(name), name)
	}
}

func FuzzPlain(f *testing.F) {
	for _, name := range []string{"", "Content-Length", "content_length", "x-forwarded.FOR", "-", "__a"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		plain := Plain(name)
		require.Equal(t, plain, Plain(plain))
		require.Len(t, plain, len(name))
		require.False(t, mixed(plain))
		if !mixed(name) {
			require.Equal(t, http.CanonicalHeaderKey(name), plain)
		}
	})
}
