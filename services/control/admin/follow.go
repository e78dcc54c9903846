package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/follow"
	"github.com/vespo-dev/vespo/services/schema"
)

// Names of the fields of requests for the catalogue.
const (
	fieldRun  = "run"
	fieldWait = "wait"
)

// Feed sends the catalogue; *follow.Feed implements it.
type Feed interface {
	Serve(http.ResponseWriter, *http.Request, follow.Query) error
	Stop()
}

// Follower copies the catalogue of another server, or of a common store; *follow.Follower implements it.
type Follower interface {
	Status() follow.Status
	Ready() error // a problem if the copy is not as new as it must be
}

// catalogue sends the catalogue, or its changes.
func (h *Handler) catalogue(w http.ResponseWriter, r *http.Request) error {
	feed := h.feed.Load()
	if feed == nil {
		return notReady()
	}
	in := bodilessFields(r,
		schema.Field{Name: fieldID, Type: schema.Text},
		schema.Field{Name: fieldRun, Type: schema.Text},
		schema.Field{Name: fieldAfter, Type: schema.Text},
		schema.Field{Name: fieldWait, Type: schema.Text},
	)
	q := follow.Query{ID: in.Text(fieldID), Run: in.Text(fieldRun)}
	if text := in.Text(fieldAfter); text != "" {
		after, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			in.Violate(fieldAfter, "is %.40q: give a generation of the catalogue, a number", text)
		}
		q.After = registry.Generation(after)
	}
	if text := in.Text(fieldWait); text != "" {
		wait, err := time.ParseDuration(text)
		if err != nil || wait < 0 || wait > follow.MaxWait {
			in.Violate(fieldWait, "is %.40q: give a duration of at most %s, such as 20s", text, follow.MaxWait)
		}
		q.Wait = wait
	}
	if err := in.Err(); err != nil {
		return err
	}
	return feed.Serve(w, r, q)
}

// lagView is the JSON form of how far a host is behind.
type lagView struct {
	State         string     `json:"state"`
	Generation    uint64     `json:"generation"`
	Generations   uint64     `json:"generations_behind"`
	SecondsBehind float64    `json:"seconds_behind"`
	LastContact   *time.Time `json:"last_contact,omitempty"`
	Unavailable   int        `json:"unavailable,omitempty"`
	Problem       string     `json:"problem,omitempty"`
}

func lagOf(s follow.Status) lagView {
	return lagView{
		State:         s.State,
		Generation:    uint64(s.Generation),
		Generations:   s.Generations,
		SecondsBehind: s.Behind.Round(time.Millisecond).Seconds(),
		LastContact:   second(s.LastContact),
		Unavailable:   s.Unavailable,
		Problem:       s.Problem,
	}
}

// second returns a time in seconds; nil for none.
func second(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC().Truncate(time.Second)
	return &at
}

// followView is the JSON form of the state of a follower.
type followView struct {
	Primary           string `json:"primary"`
	PrimaryGeneration uint64 `json:"primary_generation,omitempty"`
	lagView
}

// following returns how far the server is with following another one, or nil.
func (h *Handler) following() *followView {
	f := h.follower.Load()
	if f == nil {
		return nil
	}
	s := f.Status()
	return &followView{Primary: s.Primary, PrimaryGeneration: uint64(s.PrimaryGeneration), lagView: lagOf(s)}
}

// commonView is the JSON form of the state of a host with a common store.
type commonView struct {
	URL             string     `json:"url"`
	StoreGeneration uint64     `json:"store_generation,omitempty"`
	Since           *time.Time `json:"since,omitempty"` // of the last change between reached and lost
	lagView
}

// common returns how far the server is with the store of a common catalogue, or nil.
func (h *Handler) common() *commonView {
	if h.cfg.Common == nil {
		return nil
	}
	s := h.cfg.Common.Status()
	return &commonView{URL: s.Primary, StoreGeneration: uint64(s.PrimaryGeneration), Since: second(s.Since), lagView: lagOf(s)}
}

// Followed is the error of changes on a server that follows a primary.
func Followed(primary string) error {
	return problem.Newf(problem.Conflict, "this host follows %s and has a copy of its catalogue: make the change there; nothing was changed", primary)
}
