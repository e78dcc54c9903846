package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
)

// Hosts are the hosts of a catalogue that several have.
type Hosts struct {
	Store      string `json:"store,omitempty"` // empty: the catalogue has this host alone
	Generation uint64 `json:"generation"`      // the latest one that this host knows
	Hosts      []Host `json:"hosts"`
}

// Host is a host that is there.
type Host struct {
	Address     string    `json:"address"` // for the other hosts
	Version     string    `json:"version"`
	Started     time.Time `json:"started"`
	Generation  uint64    `json:"generation"`            // that it serves
	Lag         uint64    `json:"lag"`                   // generations behind
	Failing     int       `json:"failing"`               // services that it cannot serve
	Unavailable []string  `json:"unavailable,omitempty"` // the first of them
	Own         bool      `json:"own,omitempty"`         // the host that answers
}

// hosts answers with the hosts of the catalogue.
func (h *Handler) hosts(w http.ResponseWriter, r *http.Request) error {
	if err := bodilessFields(r).Err(); err != nil {
		return err
	}
	all := Hosts{Hosts: []Host{}}
	if h.cfg.Hosts == nil {
		return h.answer(w, http.StatusOK, all)
	}
	all, err := h.cfg.Hosts(r.Context())
	var unreachable *registry.UnreachableError
	if errors.As(err, &unreachable) {
		return problem.New(problem.NotReady, "the store of the catalogue, "+unreachable.Store+", cannot be reached: it is not known which hosts are there").WithCause(err)
	}
	if err != nil {
		return err
	}
	return h.answer(w, http.StatusOK, all)
}

// HostsReader returns the hosts of a catalogue. Its error matches registry.UnreachableError if they are not known.
type HostsReader func(context.Context) (Hosts, error)
