package wasm_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// endings maps the letters that make the guest "secret" end a request, after it has
// hidden its secret, to the resulting status. P has begun a response.
var endings = map[byte]int{'.': 200, 'T': 500, 'L': 504, 'O': 500, 'R': 500, 'B': 502, 'P': 500}

// TestNothingSurvivesARequest hides secrets before every kind of outcome, in random
// order and concurrently. The guest itself searches for them in the next request.
func TestNothingSurvivesARequest(t *testing.T) {
	for _, c := range []struct {
		name        string
		guest       string
		isolation   string
		disableScan bool
	}{
		{"snapshot", "secret", wasm.IsolationSnapshot, false},
		{"snapshot by madvise", "secret", wasm.IsolationSnapshot, true},
		{"fresh", "secret", wasm.IsolationFresh, false},
		{"vector global", "secretvector", wasm.IsolationSnapshot, false},
		{"tables and segments", "secrettable", wasm.IsolationSnapshot, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, wasm.Config{Slots: 3, SlotBytes: 1 << 20, DisableScan: c.disableScan})
			d := s.add("/secret", guests.Wat(t, c.guest), servicetest.WithIsolation(c.isolation), servicetest.WithTimeout(30*time.Millisecond))
			require.Equal(t, c.guest != "secret" || c.isolation == wasm.IsolationFresh, d.Status().Isolation == wasm.IsolationFresh)
			var wg sync.WaitGroup
			for client := range 3 {
				wg.Go(func() {
					random := rand.New(rand.NewPCG(7, uint64(client)))
					for range 60 {
						hide(s, c.guest, random)
						a := s.get("/secret")
						for a.StatusCode == 504 { // timed out on a busy machine: no result
							a = s.get("/secret")
						}
						if a.StatusCode != 200 || a.Body != "clean\n" {
							t.Errorf("the next request found a secret: %d %s", a.StatusCode, a.Body)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func hide(s *server, guest string, random *rand.Rand) {
	letters := []byte(".")
	if guest == "secret" {
		letters = []byte("..TLORBP")
	}
	letter := letters[random.IntN(len(letters))]
	secret := string(letter) + fmt.Sprintf("%016x", random.Uint64()) + strings.Repeat("s", random.IntN(200))
	req, _ := newRequest("POST", s.URL+"/secret", secret)
	res, err := s.Client().Do(req)
	if err != nil {
		s.tb.Errorf("ending %c: %v", letter, err)
		return
	}
	defer res.Body.Close()
	// On a busy machine the deadline may come first.
	if want := endings[letter]; res.StatusCode != want && res.StatusCode != 504 {
		s.tb.Errorf("ending %c: status %d, want %d", letter, res.StatusCode, want)
	}
}

// TestSlotsBetweenServices gives several services too few slots, so that each request
// needs a slot of another service, for an instance that sleeps meanwhile.
func TestSlotsBetweenServices(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 1, SlotBytes: 1 << 20})
	services := []string{"/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"}
	for _, p := range services {
		s.add(p, guests.Wat(t, "secret"))
		s.add(p+"hello", guests.Wat(t, "hello"))
	}
	for range 20 {
		for _, p := range services {
			require.Equal(t, 200, s.do("POST", p, ".0123456789abcdef").StatusCode)
			require.Equal(t, "hello from vespo\n", s.get(p+"hello").Body)
			require.Equal(t, "clean\n", s.get(p).Body)
		}
	}
	stats := s.kind.Stats()
	require.Equal(t, 2*len(services), stats.Pools.Warm+stats.Pools.Asleep)
	require.Equal(t, stats.Slots-stats.FreeSlots, stats.Pools.Warm)
}

// TestSlotsAfterLargerServices checks that memory which a guest grows is zero in the slot of an earlier guest with a larger
// memory full of data.
func TestSlotsAfterLargerServices(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 1, SlotBytes: 16 << 20})
	large, small := []string{"/l0", "/l1", "/l2", "/l3"}, []string{"/s0", "/s1", "/s2", "/s3"}
	for i := range large {
		s.add(large[i], guests.Go(t, "gohello"))
		s.add(small[i], guests.Wat(t, "secret"))
	}
	for range 10 {
		for _, p := range large {
			require.Equal(t, 200, s.get(p).StatusCode)
		}
		for _, p := range small {
			require.Equal(t, "clean\n", s.get(p).Body)
		}
	}
	require.Positive(t, s.kind.Stats().Pools.Asleep)
}

// FuzzIsolation hides arbitrary secrets.
func FuzzIsolation(f *testing.F) {
	for letter := range endings {
		if letter != 'L' {
			f.Add(string(letter) + "0123456789abcdef")
		}
	}
	s := newServer(f, wasm.Config{Slots: 2, SlotBytes: 1 << 20})
	s.add("/secret", guests.Wat(f, "secret"), servicetest.WithTimeout(20*time.Millisecond))
	f.Fuzz(func(t *testing.T, secret string) {
		req, err := newRequest("POST", s.URL+"/secret", secret)
		require.NoError(t, err)
		if res, err := s.Client().Do(req); err == nil {
			res.Body.Close()
		}
		status, found := scan(t, s)
		for status == http.StatusGatewayTimeout { // on a busy machine the deadline may come first
			status, found = scan(t, s)
		}
		require.Equal(t, "clean\n", found)
	})
}

// scan lets the guest search for secrets.
func scan(t *testing.T, s *server) (status int, found string) {
	res, err := s.Client().Get(s.URL + "/secret")
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}
