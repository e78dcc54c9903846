package outbound

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCallsHaveTheIdsOfTheirRequest checks the fields that a call gets from the request in whose name it is made. What
// the guest sets itself stays.
func TestCallsHaveTheIdsOfTheirRequest(t *testing.T) {
	const parent, other = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	seen := make(chan http.Header, 1)
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	defer up.Close()
	c := newClient(t, Limits{}, nil, up.URL)
	for name, tt := range map[string]struct {
		origin Origin
		own    map[string]string
		body   bool
		want   []string // request id, traceparent, tracestate
	}{
		"an event":           {Origin{RequestID: "id"}, nil, false, []string{"id", "", ""}},
		"no request":         {Origin{}, nil, false, []string{"", "", ""}},
		"a trace":            {Origin{"id", http.Header{"Traceparent": {parent}, "Tracestate": {"a=b"}}, nil}, nil, false, []string{"id", parent, "a=b"}},
		"with a body":        {Origin{"id", http.Header{"Traceparent": {parent}, "Tracestate": {"a=b"}}, nil}, nil, true, []string{"id", parent, "a=b"}},
		"no valid trace":     {Origin{"id", http.Header{"Traceparent": {"00-x"}, "Tracestate": {"a=b"}}, nil}, nil, false, []string{"id", "", ""}},
		"the guest's own":    {Origin{"id", http.Header{"Traceparent": {parent}, "Tracestate": {"a=b"}}, nil}, map[string]string{"Traceparent": other}, false, []string{"id", other, ""}},
		"the guest's own id": {Origin{"id", nil, nil}, map[string]string{"X-Request-Id": "own"}, false, []string{"own", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := c.ForExchange(time.Now().Add(10*time.Second), tt.origin).Open(context.Background(), "POST", up.URL)
			require.NoError(t, err)
			defer call.Close()
			for name, value := range tt.own {
				require.NoError(t, call.AddHeader(name, value))
			}
			if tt.body {
				require.NoError(t, call.Write([]byte("body")))
			}
			_, err = call.Send()
			require.NoError(t, err)
			got := <-seen
			require.Equal(t, tt.want, []string{got.Get("X-Request-Id"), got.Get("Traceparent"), got.Get("Tracestate")})
		})
	}
}
