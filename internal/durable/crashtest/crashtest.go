// Package crashtest is the crash suite for everything that is kept on disk.
//
// [Run] repeats a scenario of changes over package crashfs, with a crash or a fault at each of its operations, and
// checks the content that a later process finds. [Main] and [Kill] do the same with real files: they kill a process
// that makes changes.
package crashtest

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/durable/crashfs"
)

// Subject is something that is kept on disk, with a scenario of changes.
type Subject struct {
	// Open opens it as a program does at its start. It also checks that what it finds is whole, as far as State
	// does not show it. The directory is empty the first time.
	Open func(fsys durable.FS) (Kept, error)
	// Steps is the number of changes.
	Steps int
	// Uncertain reports whether the error of a step means that the change may have happened. Nil: none does.
	Uncertain func(err error) bool
}

// Kept is an open Subject.
type Kept interface {
	// Step makes change n, counted from 0. A nil error acknowledges it. Otherwise nothing has changed. A step
	// must have the same result each time that it follows the step before it.
	Step(n int) error
	// State returns the content in a form for require.Equal.
	State() any
	// Close releases everything outside of the file system, such as goroutines.
	Close() error
}

// aftermaths is the number of contents that are tried for each crash.
const aftermaths = 12

// suite is a Subject with the states of an undisturbed run.
type suite struct {
	Subject
	want       []any // after each number of steps
	operations int
}

// Run runs the suite.
func Run(t *testing.T, subject Subject) {
	s := rehearsed(t, subject)
	t.Run("CrashAtEveryOperation", s.crashes)
	t.Run("CrashAfterKillAtEveryOperation", s.kills)
	for name, fault := range map[string]crashfs.Fault{
		"NoSpace":        {Err: syscall.ENOSPC},
		"IOError":        {Err: syscall.EIO},
		"IOErrorButDone": {Err: syscall.EIO, Effect: true},
	} {
		t.Run(name+"AtEveryOperation", func(t *testing.T) {
			for n := range s.operations {
				s.fault(t, n, fault)
			}
		})
	}
	t.Run("LastingFault", s.lastingFault)
}

// RunCrashes runs the part of the suite that has no failed changes: crashes and kills. A subject that does not undo
// its failed changes can pass no more.
func RunCrashes(t *testing.T, subject Subject) {
	s := rehearsed(t, subject)
	t.Run("CrashAtEveryOperation", s.crashes)
	t.Run("CrashAfterKillAtEveryOperation", s.kills)
}

// rehearsed runs the scenario undisturbed and records its states.
func rehearsed(t *testing.T, subject Subject) *suite {
	s := &suite{Subject: subject}
	if s.Uncertain == nil {
		s.Uncertain = func(error) bool { return false }
	}
	fsys := crashfs.New()
	kept, err := s.Open(fsys)
	require.NoError(t, err)
	s.want = append(s.want, kept.State())
	for n := range s.Steps {
		require.NoError(t, kept.Step(n))
		s.want = append(s.want, kept.State())
	}
	require.NoError(t, kept.Close())
	s.operations = fsys.Count()
	require.Greater(t, s.operations, 5*s.Steps, "the suite needs something to break")
	for _, found := range fsys.Aftermaths(aftermaths) {
		s.requireState(t, found, s.Steps)
	}
	return s
}

// play opens the subject and makes its changes until the first error. It returns the number of acknowledged ones.
func (s *suite) play(t *testing.T, fsys *crashfs.FS) (acknowledged int, err error) {
	kept, err := s.Open(fsys)
	if err != nil {
		return 0, err
	}
	defer func() { require.NoError(t, kept.Close()) }()
	for n := range s.Steps {
		if err := kept.Step(n); err != nil {
			return n, err
		}
	}
	return s.Steps, nil
}

// reopened opens what a later process finds. The caller closes it.
func (s *suite) reopened(t *testing.T, fsys *crashfs.FS) Kept {
	t.Helper()
	kept, err := s.Open(fsys)
	require.NoError(t, err)
	return kept
}

// state returns the state that a later process finds.
func (s *suite) state(t *testing.T, fsys *crashfs.FS) any {
	t.Helper()
	kept := s.reopened(t, fsys)
	defer func() { require.NoError(t, kept.Close()) }()
	return kept.State()
}

func (s *suite) requireState(t *testing.T, fsys *crashfs.FS, steps int, context ...any) {
	t.Helper()
	require.Equal(t, s.want[steps], s.state(t, fsys), context...)
}

// old reports whether a state is the one after so many steps. It fails if the state is not the next one either.
func (s *suite) old(t *testing.T, state any, steps, n int) bool {
	t.Helper()
	if steps < s.Steps && !assert.ObjectsAreEqual(s.want[steps], state) && assert.ObjectsAreEqual(s.want[steps+1], state) {
		return false
	}
	require.Equal(t, s.want[steps], state, "operation %d", n)
	return true
}

// crash plays the scenario with a crash at operation n. No change is acknowledged after it, but the last one may
// have been before it: a step may ignore the failure of what it does after its change.
func (s *suite) crash(t *testing.T, fsys *crashfs.FS, n int) (acknowledged int) {
	t.Helper()
	fsys.Inject(crashfs.CrashAt(n))
	acknowledged, err := s.play(t, fsys)
	if acknowledged < s.Steps {
		require.ErrorIs(t, err, crashfs.ErrCrashed, "operation %d", n)
	}
	return acknowledged
}

// crashes checks that a crash leaves the acknowledged changes, and wholly or not at all the one in progress.
func (s *suite) crashes(t *testing.T) {
	for n := range s.operations {
		fsys := crashfs.New()
		acknowledged := s.crash(t, fsys, n)
		for _, found := range fsys.Aftermaths(aftermaths) {
			state := s.state(t, found)
			next := acknowledged
			if !s.old(t, state, acknowledged, n) {
				next++
			}
			again := found.Aftermaths(1)[0] // a second crash, right after the start
			require.Equal(t, state, s.state(t, again), "operation %d", n)
			s.finish(t, again, next)
		}
	}
}

// finish makes the steps from number next on, all of which must succeed.
func (s *suite) finish(t *testing.T, fsys *crashfs.FS, next int) {
	t.Helper()
	kept := s.reopened(t, fsys)
	defer func() { require.NoError(t, kept.Close()) }()
	for ; next < s.Steps; next++ {
		require.NoError(t, kept.Step(next))
	}
	require.Equal(t, s.want[s.Steps], kept.State())
}

// kills checks that a state served after the kill of another process is durable, although the dead process has not
// made it so.
func (s *suite) kills(t *testing.T) {
	for n := range s.operations {
		fsys := crashfs.New()
		s.crash(t, fsys, n)
		fsys.Inject(nil)
		served := s.state(t, fsys)
		for _, found := range fsys.Aftermaths(aftermaths) {
			require.Equal(t, served, s.state(t, found), "operation %d: a served state is lost", n)
		}
	}
}

// fault checks that a failure of operation n alone changes nothing, on disk and in memory, and that the changes
// after it succeed.
func (s *suite) fault(t *testing.T, n int, injected crashfs.Fault) {
	fsys := crashfs.New()
	fsys.Inject(func(op crashfs.Operation) crashfs.Fault {
		if op.N == n {
			return injected
		}
		return crashfs.Fault{}
	})
	kept, err := s.Open(fsys)
	if err != nil {
		require.ErrorIs(t, err, injected.Err)
		kept = s.reopened(t, fsys)
	}
	for step := range s.Steps {
		err := kept.Step(step)
		if err == nil {
			continue
		}
		require.ErrorIs(t, err, injected.Err)
		require.False(t, s.Uncertain(err), "operation %d: one fault can be undone", n)
		require.Equal(t, s.want[step], kept.State(), "operation %d", n)
		for _, found := range fsys.Aftermaths(2) {
			s.requireState(t, found, step, "operation %d", n)
		}
		require.NoError(t, kept.Step(step), "operation %d: the same change succeeds after the fault", n)
	}
	require.NoError(t, kept.Close())
	for _, found := range fsys.Aftermaths(aftermaths) {
		s.requireState(t, found, s.Steps, "operation %d", n)
	}
}

// lastingFault checks the rest if the disk fails for good, except for renames: the undo of a change fails, too.
// The change has then not happened, unless the error says that this is uncertain.
func (s *suite) lastingFault(t *testing.T) {
	for n := range s.operations {
		fsys := crashfs.New()
		fsys.Inject(func(op crashfs.Operation) crashfs.Fault {
			if op.N >= n && op.Kind != "rename" {
				return crashfs.Fault{Err: syscall.EIO}
			}
			return crashfs.Fault{}
		})
		acknowledged, err := s.play(t, fsys)
		require.True(t, err != nil || acknowledged == s.Steps, "operation %d", n)
		for _, found := range fsys.Aftermaths(aftermaths) {
			if !s.old(t, s.state(t, found), acknowledged, n) {
				require.True(t, s.Uncertain(err), "operation %d: the change has happened despite the error %v", n, err)
			}
		}
	}
}
