package live

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
)

const (
	// heartbeat is the time between two events of a silent stream. It detects clients that have left, and
	// is shorter than the idle limits of proxies.
	heartbeat = 15 * time.Second
	// feedInterval is the least time between two events about requests.
	feedInterval = 250 * time.Millisecond
)

// event is the content of a server-sent event.
type event struct {
	Results  string `json:"results"`            // see State
	Building int64  `json:"building,omitempty"` // milliseconds for which a build has been running
	Entries  uint64 `json:"entries,omitempty"`  // number of the last entry of the feed, for streams that want requests
}

// serveEvents streams an event about the state at once, and one for each change. With "requests" in
// the query, the stream has an event for new requests and log lines, too.
func (l *Live) serveEvents(w http.ResponseWriter, r *http.Request) {
	ctx, closing := r.Context(), l.cfg.Closing
	out := client.NewWriter(w, r, closing)
	defer out.Finish()
	out.Header().Set("Content-Type", "text/event-stream")
	out.Header().Set("Cache-Control", "no-store")
	secure(out.Header())
	if r.Method == http.MethodHead { // has no body that could stream, and the client's next request waits for its end
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	requests := r.URL.Query().Has("requests")
	for {
		state, changed := l.Board.State()
		e := event{Results: state.Results}
		if !state.Building.IsZero() {
			e.Building = max(1, time.Since(state.Building).Milliseconds())
		}
		var fed <-chan struct{}
		if requests {
			e.Entries, fed = l.Feed.Last()
		}
		if !send(out, e) {
			return
		}
		select {
		case <-changed:
		case <-beat.C:
		case <-fed:
			select { // more requests may follow
			case <-time.After(feedInterval):
			case <-ctx.Done():
				return
			case <-closing.Done():
				return
			}
		case <-ctx.Done():
			return
		case <-closing.Done():
			return
		}
	}
}

// send writes an event, and reports whether the client can be sent more.
func send(w *client.Writer, e event) bool {
	text, err := json.Marshal(e)
	if err != nil {
		return false // strings and integers always marshal
	}
	_, _ = fmt.Fprintf(w, "data: %s\n\n", text)
	return w.FlushError() == nil && w.Err() == nil
}
