package scheduler

import (
	"errors"
	"net/http"
)

// Limits of the answer of a run.
const (
	maxAnswerBytes  = 8 << 20  // a service that sends more is stopped
	keptAnswerBytes = 64 << 10 // of the body, for the user who has triggered the run
)

// errAnswerTooLong is returned to a service that sends more than maxAnswerBytes.
var errAnswerTooLong = errors.New("the answer to a schedule is longer than 8 MiB")

// answer is the http.ResponseWriter of a run. It is not safe for concurrent use.
type answer struct {
	header http.Header
	keep   int // bytes of the body that are kept

	status int
	sent   http.Header // the header when the response began
	body   []byte      // its beginning
	length int64
	full   bool // the service has tried to send more than maxAnswerBytes
}

func newAnswer(keep int) *answer { return &answer{header: make(http.Header), keep: keep} }

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status, a.sent = status, a.header.Clone()
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.length+int64(len(p)) > maxAnswerBytes {
		a.full = true
		return 0, errAnswerTooLong
	}
	a.length += int64(len(p))
	a.body = append(a.body, p[:min(len(p), a.keep-len(a.body))]...)
	return len(p), nil
}

// FlushError supports Flush of http.ResponseController.
func (a *answer) FlushError() error {
	a.WriteHeader(http.StatusOK)
	return nil
}
