package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schema"
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
	Labels      []string  `json:"labels,omitempty"`
	Version     string    `json:"version"`
	Started     time.Time `json:"started"`
	Generation  uint64    `json:"generation"`            // that it serves
	Lag         uint64    `json:"lag"`                   // generations behind
	Failing     int       `json:"failing"`               // services that it cannot serve
	Unavailable []string  `json:"unavailable,omitempty"` // the first of them
	Slots       int       `json:"slots"`                 // for requests to guests
	FreeSlots   int       `json:"free_slots"`            // of these, some seconds ago
	Draining    bool      `json:"draining,omitempty"`    // it is not ready, and takes no work that one host alone does
	Work        *HostWork `json:"work,omitempty"`        // of a host that is being drained and knows it
	Told        uint64    `json:"told,omitempty"`        // times that such a host has announced its work since its start, one a second
	Away        bool      `json:"away,omitempty"`        // it has a mark, and is not there: no other member is set
	Own         bool      `json:"own,omitempty"`         // the host that answers
}

// HostWork is what a host has begun and not ended, when Told was last counted up.
type HostWork struct {
	Requests int `json:"requests"` // of clients, also waiting ones
	Leases   int `json:"leases"`   // requests of its queues that workers hold
	Events   int `json:"events"`   // of the Lambda API, accepted and not done
}

// fieldHost names the field with the address of a host.
const fieldHost = "host"

// drainHost returns the handler that lets a host be drained, or ends that.
func (h *Handler) drainHost(on bool) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		in := bodilessFields(r, schema.Field{Name: fieldHost, Type: schema.Text})
		host := in.Text(fieldHost)
		if host == "" {
			in.Violate(fieldHost, "is missing: give the address of a host, as vespo hosts shows it")
		}
		if err := in.Err(); err != nil {
			return err
		}
		if h.cfg.DrainHost == nil {
			return problem.New(problem.NotFound, "the catalogue of this server is its own: there are no other hosts with it")
		}
		err := h.audited(r, host, func() error { return h.cfg.DrainHost(r.Context(), host, on) })
		var unreachable *registry.UnreachableError
		if errors.As(err, &unreachable) {
			return problem.New(problem.NotReady, "the store of the catalogue, "+unreachable.Store+", cannot be reached: try again").WithCause(err)
		}
		if err != nil {
			return err
		}
		return h.answer(w, http.StatusOK, struct {
			Host     string `json:"host"`
			Draining bool   `json:"draining"`
		}{host, on})
	}
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
