package live

import (
	"crypto/rand"
	"fmt"
	"sync"
	"time"
)

// Version is a version of the service that was built and deployed.
type Version struct {
	Generation uint64
	At         time.Time     // when it began to serve
	Took       time.Duration // from the start of the build
	Bytes      int64         // size of the module
}

// Unchanged ends a build whose outcome is that of the build before: browsers have nothing to reload.
func (b *Board) Unchanged() {
	b.change(func(s *State) { s.Building = time.Time{} })
}

// Failure is why a build resulted in no version.
type Failure struct {
	Title       string // such as "Build failed"
	At          time.Time
	Took        time.Duration
	Diagnostics []Diagnostic
	Output      string // of the compiler and, at the end, the error
}

// untold returns f for the page of a site that may be another one: without the sources and the output.
func (f *Failure) untold() *Failure {
	return &Failure{Title: f.Title, At: f.At, Took: f.Took, Output: "The terminal of vespo dev shows the reason. This page does so " + localOnly + "."}
}

// Diagnostic is an error or warning of a compiler about a place of the sources.
type Diagnostic struct {
	File    string // relative to the project if it is below it
	Line    int    // from 1
	Column  int    // from 1; 0: unknown
	Warning bool
	Message string // one or more lines
	Excerpt []Line // the lines around the place; empty if they could not be read
}

// Place returns the place in the form FILE:LINE:COLUMN.
func (d Diagnostic) Place() string {
	if d.Column == 0 {
		return fmt.Sprintf("%s:%d", d.File, d.Line)
	}
	return fmt.Sprintf("%s:%d:%d", d.File, d.Line, d.Column)
}

// Line is a line of a source file.
type Line struct {
	Number int
	Text   string
	Here   bool // the diagnostic is about this line
}

// State is a state of a Board. It must not be modified.
type State struct {
	Results  string    // changes with every result of a build: pages that show an earlier one are outdated
	Building time.Time // start of the running build; zero if none runs
	Served   *Version  // nil until a version serves
	Failure  *Failure  // of the last build; nil if it succeeded
}

// Board holds the state of the builds. It is safe for concurrent use.
type Board struct {
	run string // immutable; differs between processes

	mu      sync.Mutex
	count   int           // guarded by mu, like all below; of results
	state   State         // replaced, not modified
	changed chan struct{} // closed at the next change
}

// NewBoard returns the Board of a project whose first build is about to begin.
func NewBoard() *Board {
	run := rand.Text()[:8]
	return &Board{
		run:     run,
		state:   State{Results: run + "-0", Building: time.Now()},
		changed: make(chan struct{}),
	}
}

// State returns the current state, and a channel that is closed when it changes.
func (b *Board) State() (State, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.changed
}

// Begin notes that a build begins.
func (b *Board) Begin() {
	b.change(func(s *State) { s.Building = time.Now() })
}

// Serve notes that the build has succeeded and its version serves.
func (b *Board) Serve(v Version) {
	b.change(func(s *State) { *s = State{Results: b.nextLocked(), Served: &v} })
}

// Fail notes that the build has failed. The last version still serves.
func (b *Board) Fail(f Failure) {
	b.change(func(s *State) { *s = State{Results: b.nextLocked(), Served: s.Served, Failure: &f} })
}

// nextLocked returns the name of the next result.
func (b *Board) nextLocked() string {
	b.count++
	return fmt.Sprintf("%s-%d", b.run, b.count)
}

func (b *Board) change(change func(*State)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.state)
	close(b.changed)
	b.changed = make(chan struct{})
}
