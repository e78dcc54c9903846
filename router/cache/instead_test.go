package cache

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestInsteadOfAFailure has one stored answer, fresh for 10 s and usable for 20 s more if the service fails.
func TestInsteadOfAFailure(t *testing.T) {
	const control = "Cache-Control: public, max-age=10, stale-if-error=20"
	purge := func(c *Cache) { c.store.Purge("/a") }
	for name, c := range map[string]struct {
		after   time.Duration // from the answer to the request
		took    time.Duration // by the service, until it failed
		request []string
		status  int
		during  func(*Cache)
		want    bool
	}{
		"500":                   {11 * time.Second, 0, nil, 500, nil, true},
		"502":                   {11 * time.Second, 0, nil, 502, nil, true},
		"503":                   {11 * time.Second, 0, nil, 503, nil, true},
		"504, at last":          {20 * time.Second, 9 * time.Second, nil, 504, nil, true},
		"504, too late":         {20 * time.Second, 10 * time.Second, nil, 504, nil, false},
		"no failure":            {11 * time.Second, 0, nil, 404, nil, false},
		"501 is an answer":      {11 * time.Second, 0, nil, 501, nil, false},
		"other fields":          {11 * time.Second, 0, []string{"Accept: b"}, 500, nil, false},
		"credentials":           {11 * time.Second, 0, []string{"Cookie: a=b"}, 500, nil, true},
		"conditional":           {11 * time.Second, 0, []string{"If-None-Match: x"}, 500, nil, true},
		"no-cache":              {11 * time.Second, 0, []string{"Cache-Control: no-cache"}, 500, nil, false},
		"no-cache while fresh":  {5 * time.Second, 0, []string{"Cache-Control: no-cache"}, 500, nil, false},
		"a limit of the age":    {11 * time.Second, 0, []string{"Cache-Control: max-age=60"}, 500, nil, false},
		"a limit of the rest":   {11 * time.Second, 0, []string{"Cache-Control: min-fresh=1"}, 500, nil, false},
		"purged meanwhile":      {11 * time.Second, 0, nil, 500, purge, false},
		"changed meanwhile":     {11 * time.Second, 0, nil, 500, func(c *Cache) { c.Invalidate(ask("/").Key) }, false},
		"closed meanwhile":      {11 * time.Second, 0, nil, 500, (*Cache).Close, false},
		"too old for a request": {30 * time.Second, 0, nil, 500, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := NewStore(1 << 20)
				of := s.Open("/a")
				fetch(t, of, ask("/"), "old", control, "Vary: Accept")
				time.Sleep(c.after)
				found, err := of.Fetch(t.Context(), ask("/", c.request...))
				require.NoError(t, err)
				require.Nil(t, found.Hit)
				time.Sleep(c.took)
				if c.during != nil {
					c.during(of)
				}
				hit := found.Fill.Instead(c.status, time.Now())
				require.Equal(t, c.want, hit != nil)
				if c.want {
					h := http.Header{}
					status, body := hit.Answer(h)
					require.Equal(t, 200, status)
					require.Equal(t, "old", string(body))
					require.Equal(t, (c.after + c.took).Seconds(), time.Duration(10*time.Second-hit.TTL()).Seconds())
					require.EqualValues(t, 1, s.Stats().Rescued)
				}
				found.Fill.Answer(c.status, header(), time.Now())
				found.Fill.End(true, header())
				of.Close()
				requireEmpty(t, s)
			})
		})
	}
}

// TestAnswersThatReplace has answers of the service that are not stored, and looks whether the stale one is still there.
func TestAnswersThatReplace(t *testing.T) {
	for status, kept := range map[int]bool{200: false, 302: false, 304: true, 404: false, 403: false, 408: true, 429: true, 500: true, 503: true} {
		synctest.Test(t, func(t *testing.T) {
			s := NewStore(1 << 20)
			c := s.Open("/a")
			fetch(t, c, ask("/"), "old", "Cache-Control: public, max-age=10, stale-if-error=60")
			time.Sleep(11 * time.Second)
			for _, q := range []*Request{ask("/", "Cookie: a=b"), ask("/")} { // the first has an answer for one client
				require.Equal(t, 1, s.Stats().Entries)
				found, err := c.Fetch(t.Context(), q)
				require.NoError(t, err)
				found.Fill.Answer(status, header("Cache-Control: no-store"), time.Now())
				found.Fill.End(true, header())
			}
			require.Equal(t, kept, s.Stats().Entries == 1, status)
			c.Close()
			requireEmpty(t, s)
		})
	}
}

// TestEvictedInsteadIsStillSent has the answer removed for another while the service works.
func TestEvictedInsteadIsStillSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(1 << 20)
		c := s.Open("/a")
		fetch(t, c, ask("/"), "old", "Cache-Control: max-age=10, stale-if-error=60")
		time.Sleep(11 * time.Second)
		found, err := c.Fetch(t.Context(), ask("/"))
		require.NoError(t, err)
		for i := range 40 {
			fetch(t, c, ask("/"+string(rune('a'+i))), string(make([]byte, 50<<10)), "Cache-Control: max-age=60")
		}
		require.Positive(t, s.Stats().Evicted)
		hit := found.Fill.Instead(500, time.Now())
		require.NotNil(t, hit)
		_, body := hit.Answer(http.Header{})
		require.Equal(t, "old", string(body))
		found.Fill.Answer(500, header(), time.Now())
		found.Fill.End(true, header())
		c.Close()
		requireEmpty(t, s)
	})
}
