package outbound

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/runtime/abi"
)

// tell answers with the trailers of the request.
func tell(w http.ResponseWriter, r *http.Request) {
	_, err := io.Copy(io.Discard, r.Body)
	fmt.Fprint(w, r.TransferEncoding, r.Trailer, err)
}

func TestTrailersOfRequests(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(tell))
	defer plain.Close()
	second := httptest.NewUnstartedServer(http.HandlerFunc(tell))
	second.EnableHTTP2 = true
	second.StartTLS()
	defer second.Close()
	inside := serviceFunc(func(_ routekey.Prefix, w http.ResponseWriter, r *http.Request) error {
		tell(w, r)
		return nil
	})
	c := newClient(t, Limits{}, inside, plain.URL, second.URL, "http://other.vespo.internal")
	c.transport.TLSClientConfig = second.Client().Transport.(*http.Transport).TLSClientConfig
	for _, test := range []struct {
		to, method string
		late, body bool
		want       string
	}{
		{plain.URL, "POST", true, true, "[chunked] map[X-Sum:[1 2]] <nil>"},
		{plain.URL, "POST", false, true, "[chunked] map[X-Sum:[1 2]] <nil>"},
		{plain.URL, "GET", false, false, "[chunked] map[X-Sum:[1 2]] <nil>"},
		{second.URL, "POST", false, true, "[] map[X-Sum:[1 2]] <nil>"},
		{second.URL, "POST", true, true, "[] map[] <nil>"}, // HTTP/2 sends only those that were announced
		{"http://other.vespo.internal", "PUT", true, true, "[] map[X-Sum:[1 2]] <nil>"},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			call, err := c.exchange().Open(context.Background(), test.method, test.to)
			require.NoError(t, err)
			defer call.Close()
			set := func() {
				require.NoError(t, call.SetTrailer("X-Sum", []string{"1", "2"}))
				for _, name := range []string{"Content-Length", "Connection", "Authorization", CallerHeader} {
					requireCode(t, abi.OutboundInvalid, call.SetTrailer(name, []string{"1"}))
				}
			}
			if !test.late {
				set()
			}
			if test.body {
				require.NoError(t, call.Write([]byte("body")))
			}
			if test.late {
				set()
			}
			_, err = call.Send()
			require.NoError(t, err)
			requireCode(t, abi.OutboundBadState, call.SetTrailer("X-Sum", []string{"3"}))
			answer, err := io.ReadAll(call)
			require.NoError(t, err)
			require.Equal(t, test.want, string(answer))
		})
	}
}

func TestTrailersThatAreNotSent(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(tell))
	defer up.Close()
	c := newClient(t, Limits{HeaderBytes: 1 << 10}, nil, up.URL)
	call, err := c.exchange().Open(context.Background(), "POST", up.URL)
	require.NoError(t, err)
	defer call.Close()
	require.NoError(t, call.AddHeader("Content-Length", "4"))
	requireCode(t, abi.OutboundInvalid, call.SetTrailer("X-Sum", []string{"1"}))
	require.NoError(t, call.Write([]byte("body")))
	_, err = call.Send()
	require.NoError(t, err)
	answer, err := io.ReadAll(call)
	require.NoError(t, err)
	require.Equal(t, "[] map[] <nil>", string(answer))

	large, err := c.exchange().Open(context.Background(), "POST", up.URL)
	require.NoError(t, err)
	defer large.Close()
	requireCode(t, abi.OutboundTooLarge, large.SetTrailer("X-Sum", make([]string, 30)))
}
