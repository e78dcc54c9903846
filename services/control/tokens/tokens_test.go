package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/durable/crashfs"
	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/identity"
)

func scopes(t *testing.T, texts ...string) identity.Scopes {
	t.Helper()
	all, err := identity.ParseScopes(texts)
	require.NoError(t, err)
	return all
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, damage, err := OpenStore(durable.Dir(dir))
	require.NoError(t, err)
	require.NoError(t, damage)
	return s
}

func requireKind(t *testing.T, err error, kind problem.Kind, words string) {
	t.Helper()
	var p *problem.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, kind, p.Kind())
	require.Contains(t, p.Detail+strings.Join(problem.Texts(p.Violations), ";"), words)
}

var client = netip.MustParseAddr("192.0.2.1")

func TestFormOfTokens(t *testing.T) {
	seen := make(map[string]bool)
	counts := make(map[rune]int)
	for range 200 {
		token := generate()
		require.Regexp(t, `^vespo_[0-9A-Za-z]{46}$`, token)
		require.True(t, wellFormed(token))
		require.False(t, seen[token])
		seen[token] = true
		for _, c := range token[len(prefix) : len(prefix)+randomChars] {
			counts[c]++
		}
	}
	require.Len(t, counts, len(alphabet), "all characters occur")
	token := generate()
	for i := range token {
		for _, c := range []byte{'0', 'A', 'z', '-', 0x80} {
			if changed := token[:i] + string(c) + token[i+1:]; changed != token {
				require.False(t, wellFormed(changed), changed)
			}
		}
		require.False(t, wellFormed(token[:i]))
	}
	require.False(t, wellFormed(token+"0"))
}

func TestTokensAreKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	token, info, err := s.Create(Request{Name: "ci", Scopes: scopes(t, "read", "deploy:/a/*"), Expires: time.Now().Add(time.Hour), By: "local"})
	require.NoError(t, err)
	require.Equal(t, digestOf(token).id(), info.ID)
	_, _, err = s.Create(Request{Name: "ci", Scopes: scopes(t, "read")})
	requireKind(t, err, problem.Conflict, "already")
	require.NoError(t, s.Close())

	stored, err := durable.Dir(dir).ReadFile(fileName, maxFileBytes)
	require.NoError(t, err)
	require.NotContains(t, string(stored), token[len(prefix):])
	require.NotContains(t, string(stored), token[len(prefix):len(prefix)+10])

	s = open(t, dir)
	a := New(Config{Store: s})
	require.False(t, a.HasAdmin())
	p, err := a.Principal(token, client)
	require.NoError(t, err)
	require.Equal(t, "token ci", p.String())
	require.Equal(t, "deploy:/a/*, read", p.Scopes.String())
	require.NoError(t, p.Ended.Err())

	_, err = s.Revoke("ci")
	require.NoError(t, err)
	<-p.Ended.Done()
	require.ErrorIs(t, context.Cause(p.Ended), ErrRevoked)
	_, err = a.Principal(token, client)
	requireKind(t, err, problem.Unauthorized, "in use")
	_, err = s.Revoke("ci")
	requireKind(t, err, problem.NotFound, "no token")
	require.NoError(t, s.Close())
	require.Empty(t, open(t, dir).List())
}

func TestRequestsForTokens(t *testing.T) {
	s := open(t, t.TempDir())
	for words, r := range map[string]Request{
		"is \"\"":            {Scopes: scopes(t, "read")},
		"a token has a name": {Name: "a b", Scopes: scopes(t, "read")},
		"1 to 64":            {Name: strings.Repeat("x", 65), Scopes: scopes(t, "read")},
		"given 0 times":      {Name: "x"},
		"in the past":        {Name: "x", Scopes: scopes(t, "read"), Expires: time.Now().Add(-time.Second)},
	} {
		_, _, err := s.Create(r)
		requireKind(t, err, problem.BadRequest, words)
	}
	require.Empty(t, s.List())
}

func TestTheNumberOfTokensIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, err := OpenStore(crashfs.New())
		require.NoError(t, err)
		s.most = 20
		for i := range s.most {
			_, _, err := s.Create(Request{Name: fmt.Sprint(i), Scopes: scopes(t, "read"), Expires: time.Now().Add(time.Duration(i+1) * time.Minute)})
			require.NoError(t, err)
		}
		_, _, err = s.Create(Request{Name: "more", Scopes: scopes(t, "read")})
		requireKind(t, err, problem.Conflict, "20 tokens")
		<-time.After(90 * time.Second) // one has expired, which makes room
		_, _, err = s.Create(Request{Name: "more", Scopes: scopes(t, "read")})
		require.NoError(t, err)
		_, _, err = s.Create(Request{Name: "yet another", Scopes: scopes(t, "read")})
		require.Error(t, err)
		require.NoError(t, s.Close())
	})
}

func TestTokensExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		token, _, err := s.Create(Request{Name: "ci", Scopes: scopes(t, "read"), Expires: time.Now().Add(time.Hour)})
		require.NoError(t, err)
		forever, _, err := s.Create(Request{Name: "forever", Scopes: scopes(t, "read")})
		require.NoError(t, err)
		a := New(Config{Store: s})
		p, err := a.Principal(token, client)
		require.NoError(t, err)
		ctx, stop := identity.With(t.Context(), p)
		defer stop()
		<-time.After(time.Hour)
		<-ctx.Done()
		require.ErrorIs(t, context.Cause(ctx), ErrExpired)
		_, err = a.Principal(token, client)
		requireKind(t, err, problem.Unauthorized, "has expired")
		_, err = a.Principal(forever, client)
		require.NoError(t, err)

		require.Equal(t, time.Now().UTC().Truncate(time.Hour), s.List()[1].LastUsed)
		require.NoError(t, s.Close())
		s = open(t, dir)
		require.Equal(t, time.Now().UTC().Truncate(time.Hour), s.List()[1].LastUsed, "the time is stored")
		_, err = New(Config{Store: s}).Principal(token, client)
		requireKind(t, err, problem.Unauthorized, "has expired")
		replaced, _, err := s.Create(Request{Name: "ci", Scopes: scopes(t, "read")})
		require.NoError(t, err, "the name of a token that has expired is free")
		require.NotEqual(t, token, replaced)
		require.Len(t, s.List(), 2)
		require.NoError(t, s.Close())
	})
}

func TestLastUseIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		token, _, err := s.Create(Request{Name: "ci", Scopes: scopes(t, "read")})
		require.NoError(t, err)
		ctx, end := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { s.Run(ctx, func(err error) { t.Error(err) }) })
		_, err = New(Config{Store: s}).Principal(token, client)
		require.NoError(t, err)
		require.Zero(t, open(t, dir).List()[0].LastUsed)
		<-time.After(SaveEvery + time.Second)
		require.NotZero(t, open(t, dir).List()[0].LastUsed)
		end()
		run.Wait()
		require.NoError(t, s.Close())
	})
}

func TestFailuresAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		made, _, err := s.Create(Request{Name: "ci", Scopes: scopes(t, "read")})
		require.NoError(t, err)
		const secret = "correct horse battery staple"
		a := New(Config{AdminToken: secret, Store: s})
		for i := range maxFailures {
			_, err := a.Principal(fmt.Sprint(i), client)
			requireKind(t, err, problem.Unauthorized, "--admin-token")
		}
		_, err = a.Principal(secret, client)
		requireKind(t, err, problem.TooManyRequests, "try again later")
		_, err = a.Principal(made, client)
		require.NoError(t, err, "a token that cannot be guessed is accepted")
		_, err = a.Principal(secret, netip.MustParseAddr("192.0.2.2"))
		require.NoError(t, err, "another client")
		<-time.After(failureEvery + time.Second)
		p, err := a.Principal(secret, client)
		require.NoError(t, err)
		require.Equal(t, identity.KindAdminToken, p.Kind)
		_, err = a.Principal("wrong", client)
		requireKind(t, err, problem.Unauthorized, "")
		_, err = a.Principal("wrong", client)
		requireKind(t, err, problem.TooManyRequests, "")
		<-time.After(maxFailures * failureEvery)
		for range maxFailures {
			_, err = a.Principal(generate(), client)
			requireKind(t, err, problem.Unauthorized, "")
		}
	})
}

// The addresses of one IPv6 site are one client, and a client with many sites does not use up memory.
func TestFailuresOfManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(Config{AdminToken: "secret"})
		site := netip.MustParseAddr("2001:db8::").As16()
		for i := range maxFailures {
			site[15] = byte(i)
			_, err := a.Principal("wrong", netip.AddrFrom16(site))
			requireKind(t, err, problem.Unauthorized, "")
		}
		site[8], site[15] = 1, 99
		_, err := a.Principal("secret", netip.AddrFrom16(site))
		requireKind(t, err, problem.TooManyRequests, "")

		for i := range maxSites - 1 + overflowCount {
			site[4], site[5] = byte((i+1)>>8), byte(i+1)
			_, err := a.Principal("wrong", netip.AddrFrom16(site))
			requireKind(t, err, problem.Unauthorized, "")
		}
		require.Len(t, a.failures.sites, maxSites)
		site[3] = 1
		_, err = a.Principal("wrong", netip.AddrFrom16(site))
		requireKind(t, err, problem.TooManyRequests, "")
		<-time.After(time.Hour)
		_, err = a.Principal("secret", netip.AddrFrom16(site))
		require.NoError(t, err)
		require.Empty(t, a.failures.sites)
	})
}

// Attempts of many connections at once do not pass the limit.
func TestFailuresAtOnce(t *testing.T) {
	a := New(Config{AdminToken: "secret"})
	var all sync.WaitGroup
	var mu sync.Mutex
	tried := 0
	for range 100 {
		all.Go(func() {
			_, err := a.Principal("wrong", client)
			if problem.From(err).Kind() == problem.Unauthorized {
				mu.Lock()
				defer mu.Unlock()
				tried++
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, tried, maxFailures+1)
}

func TestIncompleteTokensSaySo(t *testing.T) {
	token := generate()
	_, err := New(Config{}).Principal(token[:30], client)
	requireKind(t, err, problem.Unauthorized, "incomplete or mistyped")
}

func TestParseExpiry(t *testing.T) {
	now := time.Now()
	for text, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "12h": 12 * time.Hour, "30m": 30 * time.Minute} {
		at, err := ParseExpiry(text, now)
		require.NoError(t, err, text)
		require.Equal(t, now.Add(want), at)
	}
	at, err := ParseExpiry("never", now)
	require.NoError(t, err)
	require.Zero(t, at)
	for _, text := range []string{"", "0", "0d", "-1d", "-1h", "90", "d", "1.5d", "99999d", "200000h", "1y", "70000d", "+1d"} {
		_, err := ParseExpiry(text, now)
		require.Error(t, err, text)
	}
}

// keptTokens makes and revokes tokens.
type keptTokens struct{ *Store }

func openTokens(fsys durable.FS) (crashtest.Kept, error) {
	s, damage, err := OpenStore(fsys)
	if err := errors.Join(damage, err); err != nil {
		return nil, err
	}
	return keptTokens{s}, nil
}

func (k keptTokens) Step(n int) error {
	if n%3 == 2 {
		_, err := k.Revoke(fmt.Sprint("token-", n-1))
		return err
	}
	_, _, err := k.Create(Request{Name: fmt.Sprint("token-", n), Scopes: identity.Scopes{identity.Read()}})
	return err
}

func (k keptTokens) State() any {
	names := []string{}
	for _, info := range k.List() {
		names = append(names, info.Name+" "+info.Scopes.String())
	}
	return names
}

func (k keptTokens) Close() error { return k.Store.Close() }

func TestTokensAreWholeAfterEveryCrash(t *testing.T) {
	crashtest.RunCrashes(t, crashtest.Subject{Open: openTokens, Steps: 6})
}

func TestFilesThatNoServerHasWritten(t *testing.T) {
	for words, text := range map[string]string{
		"damaged":     `{"format": "vespo tokens", "version": 1, "tokens": [{"name"`,
		"is damaged:": `{"format": "vespo tokens", "version": 1, "tokens": [{"name":"x","sha256":"ff"}]}`,
		"not a file":  `{"format": "vespo schedules", "version": 1}`,
		"unknown":     `{"format": "vespo tokens", "version": 1, "tokens": [{"name":"x","scopes":["everything"]}]}`,
	} {
		dir := t.TempDir()
		fsys := durable.Dir(dir)
		_ = open(t, dir)
		require.NoError(t, durable.NewFiles(fsys, "tmp", "aside").Write(fileName, []byte(text)))
		s, damage, err := OpenStore(fsys)
		require.NoError(t, err)
		require.ErrorContains(t, damage, words)
		require.Empty(t, s.List())
		entries, err := fsys.ReadDir("aside")
		require.NoError(t, err)
		require.Len(t, entries, 1)
	}
	dir := t.TempDir()
	_ = open(t, dir)
	newer, err := json.Marshal(document{Format: formatName, Version: formatVersion + 1})
	require.NoError(t, err)
	require.NoError(t, durable.NewFiles(durable.Dir(dir), "tmp", "aside").Write(fileName, newer))
	_, _, err = OpenStore(durable.Dir(dir))
	require.ErrorContains(t, err, "use the newer program")
}
