package problem

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/internal/page"
)

// ContentType is the media type of problem details, RFC 9457 section 3.
const ContentType = "application/problem+json"

// document is the JSON form: the members of RFC 9457 and three extensions. If violations have fields, Fields has the
// field of each, or an empty string, at the same place.
type document struct {
	Type       string   `json:"type"`
	Title      string   `json:"title"`
	Status     int      `json:"status"`
	Detail     string   `json:"detail,omitempty"`
	Violations []string `json:"violations,omitempty"`
	Fields     []string `json:"fields,omitempty"`
	RequestID  string   `json:"request_id,omitempty"`
}

// Write answers with p as problem details. It must be called before anything is written to w. It removes
// headers that describe the abandoned response. For HEAD requests the HTTP server sends
// only the header. Write errors are ignored: the client is gone.
func Write(w http.ResponseWriter, requestID string, p *Problem) {
	body, err := json.Marshal(document{
		Type:       p.Type,
		Title:      p.Title,
		Status:     status(p.Status),
		Detail:     p.Detail,
		Violations: Texts(p.Violations),
		Fields:     fields(p.Violations),
		RequestID:  requestID,
	})
	if err != nil {
		body = []byte("{}") // strings and integers always marshal
	}
	h := w.Header()
	h.Set("Content-Type", ContentType)
	send(w, p, append(body, '\n'))
}

// Respond answers a client with p, as Write does: with a page if the client prefers HTML to JSON, as browsers that
// navigate do, otherwise with problem details. r is the client's request.
func Respond(w http.ResponseWriter, r *http.Request, requestID string, p *Problem) {
	if vary := w.Header(); !slices.Contains(vary["Vary"], "Accept") {
		vary.Add("Vary", "Accept")
	}
	if !page.Wanted(r.Header) {
		Write(w, requestID, p)
		return
	}
	shown := page.Page{
		Code:      status(p.Status),
		Title:     p.Title,
		Text:      p.Detail,
		List:      Texts(p.Violations),
		RequestID: requestID,
	}
	if p.RetryAfter > 0 {
		shown.Note = fmt.Sprintf("Try again in %d s.", retryAfterSeconds(p.RetryAfter))
	}
	body := shown.Bytes()
	page.SetHeader(w.Header(), len(body))
	send(w, p, body)
}

// send sends the response, without fields that describe the abandoned one.
func send(w http.ResponseWriter, p *Problem, body []byte) {
	h := w.Header()
	for _, name := range [...]string{"Content-Encoding", "Content-Language", "Content-Range", "Accept-Ranges", "Etag",
		"Last-Modified", "Location", "Trailer", "Transfer-Encoding", "Expires", "Age"} {
		h.Del(name)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Del("Retry-After")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(retryAfterSeconds(p.RetryAfter), 10))
	}
	w.WriteHeader(status(p.Status))
	_, _ = w.Write(body)
}

// retryAfterSeconds rounds up, because a client that retries too early is only refused again.
func retryAfterSeconds(d time.Duration) int64 {
	return max(1, int64(math.Ceil(d.Seconds())))
}

// status replaces an invalid code, on which net/http would panic.
func status(code int) int {
	if code < 400 || code > 599 {
		return http.StatusInternalServerError
	}
	return code
}

// fields returns the field of each violation, or nil if none has one.
func fields(violations []Violation) (names []string) {
	if !slices.ContainsFunc(violations, func(v Violation) bool { return v.Field != "" }) {
		return nil
	}
	for _, v := range violations {
		names = append(names, v.Field)
	}
	return names
}
