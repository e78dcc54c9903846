package cache

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// crowd is several hosts with two versions of a service, and a model of what they may serve.
type crowd struct {
	t       *testing.T
	random  *rand.Rand
	engine  *shelf
	stores  []*Store
	caches  [][]*Cache // by host and version
	answers []crowdAnswer
	changes map[string][]crowdChange // by target
	steps   int
	hits    int
	shared  int
	away    time.Time // when the engine was last not reachable
}

type crowdAnswer struct {
	answered
	version int
	order   int // of the request among all of them and changes
}

type crowdChange struct {
	at    time.Time
	host  int
	order int
}

// TestSharedHitsFollowTheRules sends random requests to hosts, changes targets, purges, and takes the engine away.
func TestSharedHitsFollowTheRules(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) { followCrowd(t, rand.New(rand.NewPCG(seed, 3))) })
	}
}

func FuzzSharedHitsFollowTheRules(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) { followCrowd(t, rand.New(rand.NewPCG(seed, 4))) })
	})
}

func followCrowd(t *testing.T, random *rand.Rand) {
	engine := newShelf()
	stores, stop := hosts(3, engine)
	defer stop()
	c := &crowd{t: t, random: random, engine: engine, stores: stores, changes: map[string][]crowdChange{}}
	for _, s := range stores {
		c.caches = append(c.caches, []*Cache{s.OpenShared("/a", "1"), s.OpenShared("/a", "2")})
	}
	var open []func()
	for range 2000 {
		time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
		if random.IntN(40) == 0 {
			c.fault()
		}
		for len(open) > 0 && random.IntN(3) > 0 {
			open[0]()
			open = open[1:]
		}
		target := c.pick("/1", "/2", "/3", "/4", "/5")
		host, version := random.IntN(3), random.IntN(2)
		switch random.IntN(100) {
		case 0:
			c.change(target, host)
			c.caches[host][version].Invalidate(ask(target).Key)
			continue
		case 1:
			for _, target := range []string{"/1", "/2", "/3", "/4", "/5"} {
				c.change(target, host)
			}
			stores[host].Purge("/a")
			continue
		}
		if end := c.request(target, host, version); end != nil {
			open = append(open, end)
		}
	}
	for _, end := range open {
		end()
	}
	stop()
	for i, s := range stores {
		for _, cache := range c.caches[i] {
			cache.Close()
		}
		requireEmpty(t, s)
	}
	t.Logf("%d hits, %d shared, %d answers", c.hits, c.shared, len(c.answers))
	require.Greater(t, c.hits, 50)
}

func (c *crowd) pick(of ...string) string { return of[c.random.IntN(len(of))] }

// fault changes the state of the engine. It is well after most faults.
func (c *crowd) fault() {
	if c.engine.fails || c.engine.hangs {
		c.away = time.Now()
	}
	kind := c.random.IntN(8)
	c.engine.set(func() {
		c.engine.fails, c.engine.hangs = kind == 0, kind == 1
		c.engine.takes = time.Duration(c.random.IntN(3)) * 10 * time.Millisecond
	})
	if kind == 2 {
		c.engine.lose()
		c.away = time.Now()
	}
}

func (c *crowd) change(target string, host int) {
	c.steps++
	c.changes[target] = append(c.changes[target], crowdChange{at: time.Now(), host: host, order: c.steps})
}

// request sends a request. It returns what ends it, if the service answers.
func (c *crowd) request(target string, host, version int) (end func()) {
	q := ask(target, c.pick("Accept: a", "Accept: b", "X: 1"), c.pick("X: 2", "X: 2", "Cookie: a=b"), "Cache-Control: "+c.pick("", "", "", "", "no-cache"))
	if c.led(host, version, target) {
		return nil // it would wait for a request that ends later
	}
	found, err := c.caches[host][version].Fetch(c.t.Context(), q)
	require.NoError(c.t, err)
	if found.Hit != nil {
		_, body := found.Hit.Answer(http.Header{})
		n, err := strconv.Atoi(string(body))
		require.NoError(c.t, err)
		found.Hit.Release()
		c.check(&c.answers[n], q, host, version)
		if c.hits++; found.Shared {
			c.shared++
		}
		return nil
	}
	c.steps++
	a := crowdAnswer{version: version, order: c.steps}
	a.began, a.target, a.request, a.age = time.Now(), target, q.Header, c.random.IntN(3)
	a.control = c.pick("max-age=5", "max-age=20, public", "max-age=4, stale-while-revalidate=4", "s-maxage=6", "max-age=60", "max-age=60, s-maxage=30",
		"max-age=30, public", "max-age=15", "max-age=40", "s-maxage=9", "max-age=9, stale-while-revalidate=9", c.pick("no-store", "max-age=9, private", "max-age=9, public"))
	if c.random.IntN(2) == 0 {
		a.vary = []string{"Accept", "X"}
	}
	return func() {
		a.at = time.Now()
		c.answers = append(c.answers, a)
		h := header("Cache-Control: "+a.control, "Age: "+strconv.Itoa(a.age))
		if a.vary != nil {
			h.Set("Vary", strings.Join(a.vary, ","))
		}
		found.Fill.Answer(200, h, time.Now())
		_, _ = found.Fill.Write([]byte(strconv.Itoa(len(c.answers) - 1)))
		found.Fill.End(c.random.IntN(10) > 0, h)
	}
}

// led reports whether requests for a target wait for another one.
func (c *crowd) led(host, version int, target string) bool {
	cache := c.caches[host][version]
	cache.store.mu.Lock()
	defer cache.store.mu.Unlock()
	f := cache.flights[ask(target).Key]
	return f != nil && f.leader != nil
}

// check requires that an answer may be served.
func (c *crowd) check(a *crowdAnswer, q *Request, host, version int) {
	now := time.Now()
	require.Equal(c.t, a.version, version)
	require.Empty(c.t, a.mayServe(q, 0, now, false), "%v for %v", a, q.Header)
	if c.engine.fails || c.engine.hangs {
		c.away = now
	}
	for _, change := range c.changes[q.Key.Target] {
		if change.order < a.order {
			continue
		}
		require.NotEqual(c.t, change.host, host, "an answer of %s was served by the host that has removed it at %s", a.began, change.at)
		if late := now.Sub(change.at); late > 2*pollGap && now.Sub(c.away) > late+awayTime {
			require.Fail(c.t, "late", "an answer of %s was served %s after its removal", a.began, late)
		}
	}
}
