package etcdstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
)

// foreignChanges changes keys by hand. Hosts go on with the committed state, and the next commit restores it.
func foreignChanges(t *testing.T, p *pair) {
	commit(t, p.a, one("/a", "one"))
	commit(t, p.a, one("/b", "one"))
	before := commit(t, p.a, one("/c", "one"))
	reaches(t, p.b, before.Generation)
	other, err := p.client.Get(t.Context(), p.keys+"service/b")
	require.NoError(t, err)
	for key, value := range map[string]string{"service/a": "torn", "service/new": string(other.Kvs[0].Value), "unknown": "x"} {
		_, err := p.client.Put(t.Context(), p.keys+key, value)
		require.NoError(t, err)
	}
	_, err = p.client.Delete(t.Context(), p.keys+"service/c")
	require.NoError(t, err)

	seen := func() bool { return len(p.b.image.suspects) == 3 && p.b.image.foreign["unknown"] }
	require.NoError(t, p.b.await(t.Context(), seen)) // a commit restores what its host has seen

	next := commit(t, p.b, one("/b", "two"))
	requireEqual(t, next, reaches(t, p.a, next.Generation))
	require.Len(t, next.Services, 3)
	again := openStore(t, p.a.cfg.String())
	defer again.Close()
	l, err := again.Load(t.Context())
	require.NoError(t, err)
	requireEqual(t, next, l.State)
	require.Len(t, l.Problems, 1, "the unknown key alone is left: %v", l.Problems)
	aside, err := p.client.Get(t.Context(), p.keys+asideKeys, clientv3.WithPrefix())
	require.NoError(t, err)
	require.Len(t, aside.Kvs, 2, "the values that were replaced are kept")
}

// damagedService is found by a new host, which serves the others and reports it.
func damagedService(t *testing.T, p *pair) {
	commit(t, p.a, one("/a", "one"))
	want := commit(t, p.a, one("/b", "one"))
	_, err := p.client.Put(t.Context(), p.keys+"service/a", `{"format":"vespo service"}`)
	require.NoError(t, err)
	s := openStore(t, p.a.cfg.String())
	defer s.Close()
	l, err := s.Load(t.Context())
	require.NoError(t, err)
	require.Equal(t, want.Generation, l.State.Generation)
	require.Len(t, l.State.Services, 1)
	require.True(t, l.KeepBlobs)
	require.NotEmpty(t, l.Problems)
	next := commit(t, s, one("/b", "two"))
	found, err := p.client.Get(t.Context(), p.keys+"service/a")
	require.NoError(t, err)
	require.Len(t, found.Kvs, 1, "it is not deleted")
	require.Equal(t, next.Generation, reaches(t, p.a, next.Generation).Generation)
}

// lostAnswer settles commits whose answer was lost: one that was made, one that was not, and one that comes late.
func lostAnswer(t *testing.T, p *pair) {
	lost := errors.New("lost")
	propose := func(text string) *proposal {
		base := current(p.a)
		proposal, err := p.a.propose(base, deployed(base, "/a", text))
		require.NoError(t, err)
		return proposal
	}
	send := func(c *proposal) bool {
		ops, err := p.a.headOps(c.after)
		require.NoError(t, err)
		answer, err := p.client.Txn(t.Context()).If(p.a.headIs(c.at)).Then(append(ops, p.a.ops(c.writes)...)...).Commit()
		require.NoError(t, err)
		return answer.Succeeded
	}
	made := propose("made")
	require.True(t, send(made))
	require.NoError(t, p.a.settle(t.Context(), made, lost))
	require.Same(t, made.next, current(p.a))

	wait := func() {
		require.NoError(t, p.a.await(t.Context(), func() bool { return p.a.image.headRev == p.a.at }))
	}
	wait()
	late := propose("late")
	var unreachable *registry.UnreachableError
	err := p.a.settle(t.Context(), late, lost)
	require.ErrorAs(t, err, &unreachable)
	require.NotErrorIs(t, err, registry.ErrUncertain)
	require.False(t, send(late), "it cannot be made any more")
	wait()

	followed := propose("followed")
	require.True(t, send(followed))
	reaches(t, p.b, followed.next.Generation)
	next := commit(t, p.b, one("/b", "by another host"))
	require.NoError(t, p.a.settle(t.Context(), followed, lost), "it was made, and others after it")
	requireEqual(t, next, reaches(t, p.a, next.Generation))
	require.Contains(t, textAt(next, "/a"), "followed")
}

// lostAnswerAndWatch settles a commit that others have followed, on a host whose watch has seen none of them: the state
// must not be the one before the commit.
func lostAnswerAndWatch(t *testing.T, p *pair) {
	commit(t, p.a, one("/a", "one"))
	s := openStore(t, p.a.cfg.String())
	defer s.Close()
	m, err := s.read(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.loadImage(new(registry.Loaded), m, nil)) // and no watch
	base := current(s)
	followed, err := s.propose(base, deployed(base, "/a", "followed"))
	require.NoError(t, err)
	ops, err := s.headOps(followed.after)
	require.NoError(t, err)
	_, err = p.client.Txn(t.Context()).If(s.headIs(followed.at)).Then(append(ops, s.ops(followed.writes)...)...).Commit()
	require.NoError(t, err)
	reaches(t, p.b, followed.next.Generation)
	next := commit(t, p.b, one("/b", "by another host"))
	require.NoError(t, s.settle(t.Context(), followed, errors.New("lost")))
	require.Same(t, followed.next, current(s))
	require.NoError(t, s.reread())
	requireEqual(t, next, current(s))
}

// copyOfServed has a host keep the states that it serves, and no other: a later one may lack modules.
func copyOfServed(t *testing.T, p *pair) {
	dir, err := filestore.Open(t.TempDir())
	require.NoError(t, err)
	defer dir.Close()
	cfg := p.a.cfg
	cfg.Copy = dir
	s, err := Open(cfg, p.a.log)
	require.NoError(t, err)
	_, err = s.Load(t.Context())
	require.NoError(t, err)
	served := commit(t, p.b, one("/a", "served"))
	served = reaches(t, s, served.Generation)
	next := commit(t, p.b, one("/a", "not served yet"))
	reaches(t, s, next.Generation)
	s.Keep(served)
	for kept := range dir.Watch(t.Context()) {
		if mark, state, err := cluster.MarkOf(kept); err == nil && mark != nil {
			require.Equal(t, served.Generation, state.Generation)
			require.Contains(t, textAt(state, "/a"), `"served"`)
			break
		}
	}
	require.NoError(t, s.Close())
}

// compaction cuts off a watch whose revisions are gone.
func compaction(t *testing.T, p *pair) {
	commit(t, p.a, one("/a", "one"))
	reaches(t, p.b, 1)
	p.b.mu.Lock() // as if it were stopped
	var next *registry.State
	for i := range 5 {
		next = commit(t, p.a, one("/a", strings.Repeat("x", i)))
	}
	p.a.mu.Lock()
	revision := p.a.image.revision
	p.a.mu.Unlock()
	_, err := p.client.Compact(t.Context(), revision, clientv3.WithCompactPhysical())
	require.NoError(t, err)
	p.b.image.revision = 1 // its watch begins before that
	p.b.mu.Unlock()
	requireEqual(t, next, reaches(t, p.b, next.Generation))
	require.NoError(t, p.b.reread())
	requireEqual(t, next, current(p.b))
}

// newerValues are of a later release. A new host refuses to start, and a running one goes on.
func newerValues(t *testing.T, p *pair) {
	before := commit(t, p.a, one("/a", "one"))
	reaches(t, p.b, before.Generation)
	value, err := seal(headFormat, headVersion+1, []byte(`{}`))
	require.NoError(t, err)
	_, err = p.client.Put(t.Context(), p.keys+headKey, string(value))
	require.NoError(t, err)
	s := openStore(t, p.a.cfg.String())
	defer s.Close()
	_, err = s.Load(t.Context())
	require.ErrorIs(t, err, errNewer)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	err = p.b.Commit(ctx, current(p.b), deployed(before, "/a", "two"))
	var unreachable *registry.UnreachableError
	require.ErrorAs(t, err, &unreachable)
	requireEqual(t, before, current(p.b))
}

// tooLarge commits a service that exceeds what a key can have, also once it is compressed.
func tooLarge(t *testing.T, p *pair) {
	random := rand.NewChaCha8([32]byte{})
	text := make([]byte, maxValueBytes)
	_, _ = random.Read(text)
	for i := range text {
		text[i] = 'a' + text[i]%26
	}
	base := current(p.a)
	large := one("/a", string(text)+string(text))(base)
	err := p.a.Commit(t.Context(), base, large)
	require.ErrorIs(t, err, registry.ErrInvalidState)
	require.ErrorContains(t, err, "/a")
	next := commit(t, p.a, one("/a", strings.Repeat("<x>", 1<<20)))
	requireEqual(t, next, reaches(t, p.b, next.Generation))
}

// claims asks for times of a schedule on both hosts.
func claims(t *testing.T, p *pair) {
	at := time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC)
	ask := func(s *Store, at time.Time) bool {
		ok, err := s.Claim(t.Context(), "/a/0 * * * *", at)
		require.NoError(t, err)
		return ok
	}
	require.True(t, ask(p.a, at))
	require.False(t, ask(p.b, at))
	require.False(t, ask(p.a, at))
	require.True(t, ask(p.b, at.Add(time.Minute)))
	require.False(t, ask(p.a, at.Add(time.Second)), "it has passed")
	won := make(chan bool, 2)
	for _, s := range []*Store{p.a, p.b} {
		go func() { won <- ask(s, at.Add(time.Hour)) }()
	}
	require.NotEqual(t, <-won, <-won, "one of them")
}
