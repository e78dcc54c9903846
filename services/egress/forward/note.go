package forward

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

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

	Unsized bool                `json:"unsized,omitempty"` // the header has no Content-Length
	Hop     map[string][][]byte `json:"hop,omitempty"`     // fields of the client's connection, which the request between the hosts has of its own

	Placed     bool                `json:"placed,omitempty"`     // the service is not on the first host; Version is its definition
	Generation registry.Generation `json:"generation,omitempty"` // from which that host knows it
	Later      bool                `json:"later,omitempty"`      // that host wants to know if the answer is that of a later change
}

// laterValue is the value of httpfield.ForwardHeader in the answer to a request with Later: the service was served as of a later
// generation than that host knows it from.
func laterValue(nonce string, g registry.Generation) string {
	return nonce + " " + strconv.FormatUint(uint64(g), 10)
}

// takeLater returns the generation of a laterValue in a response header, and removes the field; 0: there is none.
func takeLater(header http.Header, nonce string) registry.Generation {
	text, ok := strings.CutPrefix(header.Get(httpfield.ForwardHeader), nonce+" ")
	delete(header, httpfield.ForwardHeader)
	if !ok {
		return 0
	}
	g, _ := strconv.ParseUint(text, 10, 64) // 0 if it is none
	return registry.Generation(g)
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

// hopFields are removed by httputil.ReverseProxy, beside the fields in the list of "Connection". The server has taken the framing.
var hopFields = [...]string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Upgrade"}

// hopOf returns the fields of a header that belong to its connection.
func hopOf(header http.Header) map[string][][]byte {
	var hop map[string][][]byte
	add := func(name string) {
		values := header[name]
		if values == nil || hop[name] != nil {
			return
		}
		if hop == nil {
			hop = make(map[string][][]byte)
		}
		for _, value := range values {
			hop[name] = append(hop[name], []byte(value))
		}
	}
	for _, name := range hopFields {
		add(name)
	}
	if agent := header["User-Agent"]; len(agent) > 1 || len(agent) == 1 && agent[0] == "" { // the transport sends the first, unless it is empty
		add("User-Agent")
	}
	for _, list := range header["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			add(http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	return hop
}

// restoreHop sets the fields of the client's connection in place of those between the hosts.
func (n *note) restoreHop(header http.Header) {
	for _, name := range hopFields {
		delete(header, name)
	}
	for name, values := range n.Hop {
		delete(header, name)
		for _, value := range values {
			header[name] = append(header[name], string(value))
		}
	}
}

func (n *note) passed() router.Passed {
	key := routekey.Key{Prefix: routekey.Prefix(n.Prefix), Match: n.Match}
	return router.Passed{Key: key, Version: n.Version, Client: n.Client.Client(), Placed: n.Placed}
}
