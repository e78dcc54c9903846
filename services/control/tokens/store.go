package tokens

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/identity"
)

// Limits of tokens.
const (
	MaxTokens    = 1000
	MaxScopes    = 32
	MaxNameBytes = 64
)

// usedStep is the precision of the time of the last use: it is written to disk, and shows when a token is forgotten.
const usedStep = time.Hour

// SaveEvery is how often Run saves the times of the last use.
const SaveEvery = 10 * time.Minute

// Why a token is not accepted any more.
var (
	ErrRevoked = errors.New("the token was revoked")
	ErrExpired = errors.New("the token has expired")
)

// Info describes a token.
type Info struct {
	Name      string          `json:"name"`
	ID        string          `json:"id"` // the beginning of the token's SHA-256
	Scopes    identity.Scopes `json:"scopes"`
	Created   time.Time       `json:"created"`
	CreatedBy string          `json:"created_by,omitempty"`
	Expires   time.Time       `json:"expires,omitzero"`   // zero: never
	LastUsed  time.Time       `json:"last_used,omitzero"` // rounded down to usedStep; zero: not since it was created
}

// expired reports whether the token has expired.
func (i *Info) expired(now time.Time) bool { return !i.Expires.IsZero() && !now.Before(i.Expires) }

// entry is a token in use.
type entry struct {
	info   Info                    // immutable, but for LastUsed, which is in used
	digest digest                  // immutable
	used   atomic.Int64            // Unix time, 0: never
	ended  context.Context         // ends with the token, with the reason
	end    context.CancelCauseFunc // immutable
}

// newEntry returns an entry. Its timer runs until end is called.
func newEntry(info Info, d digest) *entry {
	e := &entry{info: info, digest: d}
	if !info.LastUsed.IsZero() {
		e.used.Store(info.LastUsed.Unix())
	}
	ended, end := context.WithCancelCause(context.Background())
	e.ended, e.end = ended, end
	if !info.Expires.IsZero() {
		var release context.CancelFunc
		e.ended, release = context.WithDeadlineCause(ended, info.Expires, ErrExpired)
		context.AfterFunc(ended, release)
	}
	return e
}

// current returns the description with the time of the last use.
func (e *entry) current() Info {
	info := e.info
	if used := e.used.Load(); used != 0 {
		info.LastUsed = time.Unix(used, 0).UTC()
	}
	return info
}

// Store keeps tokens. Create it with OpenStore.
type Store struct {
	file *file // immutable
	most int   // immutable; MaxTokens but in tests

	mu      sync.Mutex                        // held during changes, with the write of the file
	entries atomic.Pointer[map[digest]*entry] // changed with mu held; the map is immutable
	unsaved atomic.Bool                       // a time of the last use has changed
}

// OpenStore opens the tokens in a directory. If the file there was not written by a server, it is set aside, no token is
// accepted, and damage is the reason.
func OpenStore(fsys durable.FS) (s *Store, damage, err error) {
	s = &Store{most: MaxTokens}
	var kept []stored
	if s.file, kept, damage, err = openFile(fsys); err != nil {
		return nil, nil, err
	}
	entries := make(map[digest]*entry, len(kept))
	for _, k := range kept {
		entries[k.Digest] = newEntry(k.Info, k.Digest)
	}
	s.entries.Store(&entries)
	return s, damage, nil
}

// Close saves the times of the last use.
func (s *Store) Close() error {
	err := s.save()
	for _, e := range *s.entries.Load() {
		e.end(context.Canceled)
	}
	return err
}

// Run saves the times of the last use from time to time, until ctx ends. report receives failures.
func (s *Store) Run(ctx context.Context, report func(error)) {
	tick := time.NewTicker(SaveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.save(); err != nil {
				report(err)
			}
		}
	}
}

// save writes the file if a time of the last use has changed.
func (s *Store) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.unsaved.Swap(false) {
		return nil
	}
	if err := s.file.write(*s.entries.Load()); err != nil {
		s.unsaved.Store(true)
		return err
	}
	return nil
}

// commitLocked makes next the tokens, if it can be stored.
func (s *Store) commitLocked(next map[digest]*entry) error {
	if err := s.file.write(next); err != nil {
		return problem.New(problem.Internal, "the tokens could not be stored; nothing was changed").WithCause(err)
	}
	s.unsaved.Store(false)
	s.entries.Store(&next)
	return nil
}

// Request asks for a token.
type Request struct {
	Name    string
	Scopes  identity.Scopes
	Expires time.Time // zero: never
	By      string    // the principal, for lists
}

// check returns a problem with all violations.
func (r *Request) check(now time.Time) error {
	var violations problem.Violations
	if r.Name == "" || len(r.Name) > MaxNameBytes || strings.Trim(r.Name, nameChars) != "" {
		violations.Add("name", "is %.100q: a token has a name of 1 to %d of a-z, A-Z, 0-9, ., - and _", r.Name, MaxNameBytes)
	}
	if len(r.Scopes) == 0 || len(r.Scopes) > MaxScopes {
		violations.Add("scope", "is given %d times: give 1 to %d scopes, such as read, deploy:/team-a/* or admin", len(r.Scopes), MaxScopes)
	}
	if !r.Expires.IsZero() && !r.Expires.After(now) {
		violations.Add("expires", "is in the past")
	}
	if len(violations) == 0 {
		return nil
	}
	return problem.Invalid(problem.BadRequest, "the request is invalid; nothing was changed", violations)
}

const nameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

// Create makes a token, which is returned here and never again. It is accepted, and durable, when Create returns.
func (s *Store) Create(r Request) (token string, info Info, err error) {
	now := time.Now().UTC()
	if err := r.check(now); err != nil {
		return "", Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := maps.Clone(*s.entries.Load())
	dropped := make([]*entry, 0, 1)
	for d, e := range next {
		switch full := len(next) >= s.most; {
		case e.info.Name == r.Name && !e.info.expired(now):
			return "", Info{}, problem.Newf(problem.Conflict, "there is a token %q already: revoke it, or choose another name", r.Name)
		case e.info.Name == r.Name, full && e.info.expired(now):
			delete(next, d)
			dropped = append(dropped, e)
		}
	}
	if len(next) >= s.most {
		return "", Info{}, problem.Newf(problem.Conflict, "there are %d tokens, the most that a server keeps: revoke those that are not used", len(next))
	}
	token = generate()
	d := digestOf(token)
	e := newEntry(Info{
		Name:      r.Name,
		ID:        d.id(),
		Scopes:    r.Scopes,
		Created:   now.Truncate(time.Second),
		CreatedBy: r.By,
		Expires:   r.Expires.UTC().Truncate(time.Second),
	}, d)
	next[d] = e
	if err := s.commitLocked(next); err != nil {
		e.end(err)
		return "", Info{}, err
	}
	for _, old := range dropped {
		old.end(ErrExpired)
	}
	return token, e.info, nil
}

// Revoke ends a token: no request with it is accepted any more, and those in progress end. It is durable when Revoke
// returns.
func (s *Store) Revoke(name string) (Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := maps.Clone(*s.entries.Load())
	for d, e := range next {
		if e.info.Name != name {
			continue
		}
		delete(next, d)
		if err := s.commitLocked(next); err != nil {
			return Info{}, err
		}
		e.end(ErrRevoked)
		return e.current(), nil
	}
	return Info{}, problem.Newf(problem.NotFound, "there is no token %.100q: \"vespo token list\" shows them", name)
}

// List returns the tokens, sorted by name. Expired ones are among them.
func (s *Store) List() []Info {
	all := make([]Info, 0, len(*s.entries.Load()))
	for _, e := range *s.entries.Load() {
		all = append(all, e.current())
	}
	slices.SortFunc(all, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// find returns the entry of a token, or nil. It notes the use.
func (s *Store) find(token string, now time.Time) *entry {
	d := digestOf(token)
	// The map's timing depends on digests. Clients cannot choose the digest of a token.
	e := (*s.entries.Load())[d]
	if e == nil || !e.digest.equal(d) {
		return nil
	}
	if used := now.Truncate(usedStep).Unix(); !e.info.expired(now) && e.used.Load() != used {
		e.used.Store(used)
		s.unsaved.Store(true)
	}
	return e
}
