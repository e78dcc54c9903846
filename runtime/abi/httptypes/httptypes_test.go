package httptypes

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
)

func TestReceived(t *testing.T) {
	all := Received(abi.Header{
		"X-B": {"2", "3"}, "Accept": {"*/*"}, "Connection": {"keep-alive"}, "Host": {"a"}, "Http2-Settings": {"x"}, "Te": {"trailers"},
		"Transfer-Encoding": {"chunked"}, "Keep-Alive": {"5"}, "Upgrade": {"h2c"}, "Proxy-Connection": {"close"}, "Trailer": {"x"},
	})
	require.Equal(t, []Field{{"accept", "*/*"}, {"x-b", "2"}, {"x-b", "3"}}, all)
	require.Equal(t, len("accept*/*x-b2x-b3")+3*abi.FieldOverheadBytes, Bytes(all))
}

func TestAddTo(t *testing.T) {
	h := abi.Header{"X-B": {"1"}}
	AddTo(h, []Field{{"x-b", "2"}, {"content-type", "a/b"}, {"Content-Type", "c/d"}, {"host", "x"}, {"http2-settings", "x"}, {"a b", "x"}})
	require.Equal(t, abi.Header{"X-B": {"1", "2"}, "Content-Type": {"c/d"}}, h)
}

func TestTrailers(t *testing.T) {
	fields := []Field{{"x-sum", "1"}, {"x-sum", "2"}, {"content-length", "3"}, {"host", "x"}, {"authorization", "x"}, {"connection", "close"}}
	require.Equal(t, abi.Header{"X-Sum": {"1", "2"}}, Trailers(fields))
}

func TestOutbound(t *testing.T) {
	for want, err := range map[Code]error{
		ConnectionTerminated:   errors.New("x"),
		RequestDenied:          &abi.OutboundError{Code: abi.OutboundForbidden},
		ConnectionTimeout:      &abi.OutboundError{Code: abi.OutboundDeadline},
		DestinationUnavailable: &abi.OutboundError{Code: abi.OutboundUnreachable},
		DNSError:               &abi.OutboundError{Code: abi.OutboundUnreachable, Cause: abi.CauseName},
		ConnectionRefused:      &abi.OutboundError{Code: abi.OutboundUnreachable, Cause: abi.CauseRefused},
		TLSCertificateError:    &abi.OutboundError{Code: abi.OutboundUnreachable, Cause: abi.CauseCertificate},
		TLSProtocolError:       &abi.OutboundError{Code: abi.OutboundUnreachable, Cause: abi.CauseTLS},
	} {
		require.Equal(t, want, Outbound(err, ConnectionTimeout))
	}
	require.Equal(t, "connection-refused", ConnectionRefused.String())
	require.Equal(t, "TLS-certificate-error", TLSCertificateError.String())
}

func TestPartsOfRequests(t *testing.T) {
	for name, part := range map[string]struct {
		valid     func(string) bool
		good, bad []string
	}{
		"target": {
			valid: ValidTarget,
			good:  []string{"", "/", "/a?b=c", "?q", "*", "/é"},
			bad:   []string{"a", "http://x/", "@b/", "/a b", "/a#b", "/\n", "**"},
		},
		"authority": {
			valid: ValidAuthority,
			good:  []string{"a", "a:80", "[::1]:80", "[::1]", "a:", "a:65535"},
			bad:   []string{"", "a/b", "u@h", "a b", "h\r\n", "a?b", "a#b", `a\b`, "a:65536", "a:x", "a:-1", ":80"},
		},
		"scheme": {
			valid: validScheme,
			good:  []string{"http", "git+ssh", "h2"},
			bad:   []string{"", "2h", "a b", "a:", "http://", "a_b"},
		},
	} {
		for _, text := range part.good {
			require.True(t, part.valid(text), "%s %q", name, text)
		}
		for _, text := range part.bad {
			require.False(t, part.valid(text), "%s %q", name, text)
		}
	}
}
