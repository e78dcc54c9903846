package cache

import (
	"strconv"
	"strings"
	"time"
)

// absent is the value of a directive with a time that is not given.
const absent time.Duration = -1

// maxSeconds is the greatest number of seconds that a directive counts: greater ones are taken for it, RFC 9111 section 1.2.2.
const maxSeconds = 1 << 31

// control holds the directives of Cache-Control, in requests and responses.
type control struct {
	noStore, noCache, private, public bool
	mustRevalidate                    bool // or proxy-revalidate
	onlyIfCached                      bool
	malformed                         bool          // a directive could not be parsed
	maxAge, sMaxAge, minFresh         time.Duration // absent if not given
	whileRevalidate, ifError          time.Duration // stale-while-revalidate and stale-if-error, RFC 5861; absent if not given
}

// parseControl parses the values of Cache-Control. Unknown directives are ignored. A time that is malformed counts as 0. Of several
// times of one directive the least counts.
func parseControl(values []string) control {
	c := control{maxAge: absent, sMaxAge: absent, minFresh: absent, whileRevalidate: absent, ifError: absent}
	for _, value := range values {
		for value != "" {
			var directive string
			directive, value = cutList(value, &c.malformed)
			if directive = strings.Trim(directive, " \t"); directive != "" {
				name, arg, _ := strings.Cut(directive, "=")
				c.add(strings.ToLower(strings.Trim(name, " \t")), strings.Trim(arg, " \t"))
			}
		}
	}
	return c
}

// add adds a directive. The argument of no-cache and private names fields, and is taken for all of them.
func (c *control) add(name, arg string) {
	switch name {
	case "no-store":
		c.noStore = true
	case "no-cache":
		c.noCache = true
	case "private":
		c.private = true
	case "public":
		c.public = true
	case "must-revalidate", "proxy-revalidate":
		c.mustRevalidate = true
	case "only-if-cached":
		c.onlyIfCached = true
	case "max-age":
		c.set(&c.maxAge, arg, false)
	case "s-maxage":
		c.set(&c.sMaxAge, arg, false)
	case "min-fresh":
		c.set(&c.minFresh, arg, true)
	case "stale-while-revalidate":
		c.set(&c.whileRevalidate, arg, false)
	case "stale-if-error":
		c.set(&c.ifError, arg, false)
	}
}

// set sets a time to the argument of its directive. Of two, the stricter one stays: the greater one if greatest, else the lesser one.
func (c *control) set(to *time.Duration, arg string, greatest bool) {
	d, ok := seconds(strings.Trim(arg, `"`))
	if !ok {
		c.malformed = true
	}
	if *to == absent || d < *to != greatest {
		*to = d
	}
}

// seconds parses delta-seconds. It reports false, and returns 0, for text that is none.
func seconds(text string) (time.Duration, bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > maxSeconds {
		n = maxSeconds
	}
	return time.Duration(n) * time.Second, true
}

// cutList cuts the first item off a list whose items are separated by commas. Commas in quoted strings separate nothing.
func cutList(list string, malformed *bool) (item, rest string) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return list[:i], list[i+1:]
		}
	}
	*malformed = *malformed || quoted
	return list, ""
}
