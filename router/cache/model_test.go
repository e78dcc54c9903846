package cache

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// answered is an answer of the modelled service, as a plain reading of the rules needs it.
type answered struct {
	at, began time.Time
	target    string
	request   http.Header
	control   string
	age       int
	vary      []string
	changed   int // changes of the target before the request
}

// mayServe decides from the text of an answer whether it may be the answer to a request, without the code under test. failed reports whether the
// service has failed.
func (a *answered) mayServe(q *Request, changed int, now time.Time, failed bool) string {
	directives := map[string]int{}
	for directive := range strings.SplitSeq(a.control, ", ") {
		name, value, _ := strings.Cut(directive, "=")
		directives[name], _ = strconv.Atoi(value)
	}
	has := func(name string) bool { _, ok := directives[name]; return ok }
	life, named := directives["max-age"], has("max-age")
	if has("s-maxage") {
		life, named = directives["s-maxage"], true
	}
	if failed {
		life += directives["stale-if-error"]
	} else {
		life += directives["stale-while-revalidate"]
	}
	asked := q.Header.Get("Cache-Control")
	age := now.Sub(a.at) + a.at.Sub(a.began) + time.Duration(a.age)*time.Second
	switch {
	case a.target != q.Key.Target:
		return "another target"
	case has("no-store") || has("private") || has("no-cache") || !named:
		return "not to be kept"
	case age >= time.Duration(life)*time.Second:
		return fmt.Sprint("too old: ", age)
	case a.changed != changed:
		return "older than a change"
	case asked == "no-cache" || asked == "max-age=3" && (failed || age > 3*time.Second):
		return "the client refuses it"
	case (a.request.Get("Cookie") != "" || q.Header.Get("Cookie") != "") && !has("public") && !has("s-maxage"):
		return "private"
	}
	for _, name := range a.vary {
		if !slices.Equal(a.request.Values(name), q.Header.Values(name)) {
			return "for other fields"
		}
	}
	return ""
}

// TestHitsFollowTheRules sends random requests to a service with random answers, at random times, and checks each hit against the
// model.
func TestHitsFollowTheRules(t *testing.T) {
	hits, rescued := 0, 0
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			h, r := follow(t, rand.New(rand.NewPCG(seed, 1)))
			hits, rescued = hits+h, rescued+r
		})
	}
	require.Greater(t, hits, 500)
	require.Greater(t, rescued, 30)
}

func FuzzHitsFollowTheRules(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) { follow(t, rand.New(rand.NewPCG(seed, 2))) })
	})
}

// follow returns how many requests got an answer from the cache, and how many got a stale one as the service failed.
func follow(t *testing.T, random *rand.Rand) (hits, rescued int) {
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	s := NewStore(1 << 20)
	c := s.Open("/a")
	var answers []answered
	var open []func()
	changes := map[string]int{}
	for range 400 {
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		target := pick("/1", "/2", "/3")
		if random.IntN(20) == 0 {
			changes[target]++
			c.Invalidate(ask(target).Key)
			continue
		}
		if len(open) > 0 && random.IntN(3) == 0 {
			open[0]()
			open = open[1:]
		}
		q := ask(target, pick("Accept: a", "Accept: b", "X: 1"), pick("X: 2", "Cookie: a=b"), "Cache-Control: "+pick("", "", "", "no-cache", "max-age=3"))
		found, fill, _ := fetchNow(c, q)
		if found != nil {
			_, body := found.Answer(http.Header{})
			n, err := strconv.Atoi(string(body))
			require.NoError(t, err)
			require.Empty(t, answers[n].mayServe(q, changes[target], time.Now(), false), "%v for %v", answers[n], q.Header)
			found.Release()
			hits++
			continue
		}
		if fill == nil {
			continue
		}
		a := answered{
			began:   time.Now(),
			target:  target,
			request: q.Header,
			control: pick("max-age=5", "max-age=9, public", "max-age=4, stale-while-revalidate=4", "max-age=2, stale-if-error=6", "max-age=2, public, stale-while-revalidate=1, stale-if-error=9", "s-maxage=6", "max-age=60, s-maxage=2", "no-store", "max-age=9, private", "max-age=0", "public"),
			age:     random.IntN(3),
			changed: changes[target],
		}
		if random.IntN(2) == 0 {
			a.vary = []string{"Accept", "X"}
		}
		open = append(open, func() {
			a.at = time.Now()
			if random.IntN(3) == 0 {
				if fails(t, random, fill, answers, changes[target]) {
					rescued++
				}
				return
			}
			answers = append(answers, a)
			h := header("Cache-Control: "+a.control, "Age: "+strconv.Itoa(a.age))
			if a.vary != nil {
				h.Set("Vary", strings.Join(a.vary, ","))
			}
			fill.Answer(200, h, time.Now())
			_, _ = fill.Write([]byte(strconv.Itoa(len(answers) - 1)))
			fill.End(random.IntN(10) > 0, h)
		})
		if random.IntN(2) == 0 {
			open[len(open)-1]()
			open = open[:len(open)-1]
		}
	}
	for _, end := range open {
		end()
	}
	c.Close()
	requireEmpty(t, s)
	return hits, rescued
}

// fails lets the service fail, and reports whether the client gets a stale answer instead.
func fails(t *testing.T, random *rand.Rand, fill *Fill, answers []answered, changed int) bool {
	status, now := [...]int{500, 502, 503, 504}[random.IntN(4)], time.Now()
	hit := fill.Instead(status, now)
	if hit != nil {
		_, body := hit.Answer(http.Header{})
		n, err := strconv.Atoi(string(body))
		require.NoError(t, err)
		require.Empty(t, answers[n].mayServe(fill.request, changed, now, true), "%v for %v", answers[n], fill.request.Header)
	}
	fill.Answer(status, http.Header{}, now)
	fill.End(true, http.Header{})
	return hit != nil
}

// fetchNow is Fetch without waiting.
func fetchNow(c *Cache, q *Request) (*Hit, *Fill, *Fill) {
	hit, fill, _, leader := c.fetch(q, time.Now(), false)
	return hit, fill, leader
}
