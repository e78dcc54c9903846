package guests_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestSDKRandom starts two instances with the same random bytes, which is what a snapshot does to requests, and compares what
// each gives in its first request.
func TestSDKRandom(t *testing.T) {
	module := guests.SDK(t, "random")
	first, second := firstNumbers(t, module), firstNumbers(t, module)
	require.Equal(t, "true", first["reseeds"])
	for source, same := range map[string]bool{
		"init-number": true, "init-maphash": true, "init-source": true,
		"crypto/rand": false, "Request.Rand": false, "math/rand": false, "math/rand/v2": false, "maphash.MakeSeed": false,
		"map-order": false, "init-map-order": false,
	} {
		require.NotEmpty(t, first[source], source)
		require.Equal(t, same, first[source] == second[source], "%s: %s and %s", source, first[source], second[source])
	}
}

func firstNumbers(t *testing.T, module []byte) map[string]string {
	t.Helper()
	h := newHostWith(t, module, rand.NewChaCha8([32]byte{1}))
	h.random = nil
	status, body := h.get(t, "/")
	require.Equal(t, uint32(200), status)
	t.Log(body)
	numbers := map[string]string{}
	for line := range strings.Lines(body) {
		source, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		numbers[source] = number
	}
	return numbers
}
