package forward

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// NoteBytes is the maximum size of a note.
const NoteBytes = 16 << 10

// note is the value of httpfield.ForwardHeader: what the peer cannot see in the request itself.
type note struct {
	Token   string         `json:"token"` // of the peer
	Nonce   string         `json:"nonce"` // repeated by the peer if it declines, which guests cannot do
	Prefix  string         `json:"prefix"`
	Match   routekey.Match `json:"match"`
	Version string         `json:"version"`
	Proto   string         `json:"proto"`           // of the client's request
	Local   string         `json:"local,omitempty"` // address at which the request arrived
	Expects bool           `json:"expects"`         // the client itself waits for "100 Continue"
	Client  forwarded.Wire `json:"client"`

	Placed     bool                `json:"placed,omitempty"`     // the service is not on the first host; Version is its definition
	Generation registry.Generation `json:"generation,omitempty"` // from which that host knows it
}

var errNote = errors.New("the note about the request is malformed")

// Asks reports whether a request of the listener for other hosts is a forwarded one.
func Asks(r *http.Request) bool { return r.Header[httpfield.ForwardHeader] != nil }

// takeNote returns the note of a request, and removes it.
func takeNote(r *http.Request) (n note, err error) {
	values := r.Header[httpfield.ForwardHeader]
	delete(r.Header, httpfield.ForwardHeader)
	if len(values) != 1 || len(values[0]) > NoteBytes || json.Unmarshal([]byte(values[0]), &n) != nil || n.Nonce == "" {
		return n, errNote
	}
	return n, nil
}

func (n *note) passed() router.Passed {
	key := routekey.Key{Prefix: routekey.Prefix(n.Prefix), Match: n.Match}
	return router.Passed{Key: key, Version: n.Version, Client: n.Client.Client(), Placed: n.Placed}
}
