package router

import (
	"io"
	"net/http"
	"strings"

	"github.com/vespo-dev/vespo/internal/httpfield"
)

// trailerBody is a request body that removes forbidden trailers when it reaches its end.
type trailerBody struct {
	io.ReadCloser
	trailer http.Header // filled by the HTTP server at the end of the body
}

// Read implements io.Reader.
func (b trailerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		dropTrailers(b.trailer)
	}
	return n, err
}

// dropTrailers removes the fields that are not allowed as trailers.
func dropTrailers(trailer http.Header) {
	for name := range trailer {
		if !httpfield.Trailer(name) {
			delete(trailer, name)
		}
	}
}

// filterAnnounced removes the names that are not allowed as trailers from the Trailer
// field. net/http sends only announced trailers.
func filterAnnounced(h http.Header) {
	lists, found := h["Trailer"]
	if !found {
		return
	}
	var names []string
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.Trim(name, " \t"); name != "" && httpfield.Trailer(name) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		delete(h, "Trailer")
		return
	}
	h["Trailer"] = []string{strings.Join(names, ", ")}
}

// filterUnannounced removes forbidden trailers from those sent without announcement, see http.TrailerPrefix.
func filterUnannounced(h http.Header) {
	for key := range h {
		if name, found := strings.CutPrefix(key, http.TrailerPrefix); found && !httpfield.Trailer(name) {
			delete(h, key)
		}
	}
}
