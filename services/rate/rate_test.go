package rate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/ratelimit"
)

func TestOf(t *testing.T) {
	for text, want := range map[string]ratelimit.Policy{
		`{"rate":"100/s"}`:                                 {Period: 10 * time.Millisecond, Burst: 100},
		`{"rate":"3/s","rate_by":"address"}`:               {Period: 333333334, Burst: 3},
		`{"burst":5,"rate":"1/m","rate_by":"service"}`:     {Period: time.Minute, Burst: 5, By: ratelimit.ByService},
		`{"rate":"500/h","rate_by":"header:x-api-key"}`:    {Period: 7200 * time.Millisecond, Burst: 500, By: ratelimit.ByHeader, Header: "X-Api-Key"},
		`{"burst":31,"rate":"1/d"}`:                        {Period: 24 * time.Hour, Burst: 31},
		`{"burst":1000000,"rate":"1000000/s"}`:             {Period: time.Microsecond, Burst: 1000000},
		`{"cron":["@daily"],"rate":"60/m","timeout":"1s"}`: {Period: time.Second, Burst: 60},
	} {
		p, limited := Of(registry.Manifest(text))
		require.True(t, limited, text)
		require.Equal(t, want, p, text)
		require.Empty(t, Check(registry.Manifest(text)))
	}
	for _, text := range []string{"", "{}", `{"timeout":"1s"}`, `{"use":"\"rate"}`, "nonsense"} {
		_, limited := Of(registry.Manifest(text))
		require.False(t, limited, text)
		require.Empty(t, Check(registry.Manifest(text)), text)
	}
}

func TestCheck(t *testing.T) {
	rate := func(text string) string {
		return `rate is "` + text + `": write it like 100/s, 30/m, 500/h or 1000/d, with a number from 1 to 1000000`
	}
	by := func(text string) string {
		return `rate_by is "` + text + `": it must be address, service, or header: and the name of a header field, such as header:X-Api-Key`
	}
	for text, want := range map[string][]string{
		`{"rate":"100"}`:                              {rate("100")},
		`{"rate":"0/s"}`:                              {rate("0/s")},
		`{"rate":"+1/s"}`:                             {rate("+1/s")},
		`{"rate":"1000001/s"}`:                        {rate("1000001/s")},
		`{"rate":"1/w"}`:                              {rate("1/w")},
		`{"rate":"1/s/s"}`:                            {rate("1/s/s")},
		`{"rate":"1.5/s"}`:                            {rate("1.5/s")},
		`{"burst":-1,"rate":"1/s"}`:                   {"burst is -1: it must be from 1 to 1000000"},
		`{"burst":32,"rate":"1/d"}`:                   {"burst is 32: at the rate of 1/d it takes more than 31 days until it is available again"},
		`{"burst":2}`:                                 {"burst is for a limited rate, and none is given by rate"},
		`{"rate_by":"service"}`:                       {"rate_by is for a limited rate, and none is given by rate"},
		`{"rate":"1/s","rate_by":"header:"}`:          {by("header:")},
		`{"rate":"1/s","rate_by":"header:a b"}`:       {by("header:a b")},
		`{"rate":"1/s","rate_by":"header:host"}`:      {by("header:host")},
		`{"rate":"1/s","rate_by":"ip"}`:               {by("ip")},
		`{"burst":1000001,"rate":"x","rate_by":"no"}`: {rate("x"), "burst is 1000001: it must be from 1 to 1000000", by("no")},
	} {
		require.Equal(t, want, problem.Texts(Check(registry.Manifest(text))), text)
		_, limited := Of(registry.Manifest(text))
		require.False(t, limited, text)
	}
}

func FuzzOf(f *testing.F) {
	f.Add("100/s", 5, "header:X-Key")
	f.Add("1/d", 31, "service")
	f.Fuzz(func(t *testing.T, text string, burst int, by string) {
		m, err := registry.EncodeManifest(map[string]any{"rate": text, "burst": burst, "rate_by": by})
		require.NoError(t, err)
		p, limited := Of(m)
		if limited {
			ratelimit.New(p, nil)
			require.LessOrEqual(t, time.Duration(p.Burst)*p.Period, MaxFull)
		}
		require.Equal(t, limited, text != "" && len(Check(m)) == 0)
	})
}
