package lane_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/lane"
	"github.com/vespo-dev/vespo/internal/lane/lanetest"
)

// TestReasons checks the reasons for which connections leave the lane.
func TestReasons(t *testing.T) {
	for text, want := range map[string]lane.Reason{
		"GET / HTTP/1.0\r\n\r\n":                                           lane.Version,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                 lane.Version,
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n": lane.Body,
		"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n":           lane.Body,
		"GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n":                lane.Body,
		"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n":          lane.Upgrade,
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\r\n":         lane.Upgrade,
		"GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 5000):                lane.Large,
		"GET / HTTP/1.1\r\nHost: h\r\nX: \xff\r\n\r\n":                     lane.Other,
		"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n":                        lane.Other,
		"GET / HTTP/1.1": lane.Other,
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n": lane.Other,
	} {
		s := lanetest.Lane.Start(t, http.HandlerFunc(describe))
		_, err := talk(s.Addr, text)
		require.NoError(t, err)
		stats := s.Lane.Stats()
		require.EqualValues(t, 1, stats.Left[want], "%q: %v", text, stats)
		require.EqualValues(t, 1, stats.HandedOver())
		require.NotEmpty(t, want.String())
	}
	s := lanetest.Lane.StartTLS(t, http.HandlerFunc(describe))
	_, err := talk(s.Addr, after)
	require.NoError(t, err)
	require.EqualValues(t, 1, s.Lane.Stats().Left[lane.Protocol])
}
