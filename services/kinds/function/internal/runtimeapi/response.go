package runtimeapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/services/event/httpevent"
	"github.com/vespo-dev/vespo/services/event/invocation"
)

// Headers and trailers of a result.
const (
	modeHeader       = "Lambda-Runtime-Function-Response-Mode"
	modeStreaming    = "streaming"
	errorTypeTrailer = "Lambda-Runtime-Function-Error-Type"
	errorBodyTrailer = "Lambda-Runtime-Function-Error-Body"
	typeFailed       = "Runtime.StreamError" // for an error without a type
)

func (e *Endpoint) serveResponse(w http.ResponseWriter, r *http.Request) error {
	mode := r.Header.Get(modeHeader)
	if mode != "" && mode != modeStreaming {
		return errMode
	}
	p, err := e.begin(r.PathValue("id"), r.Context().Value(connKey{}).(*conn))
	if err != nil {
		return err
	}
	if p == nil {
		return drop(w, r)
	}
	body := newBody(w, r, p.deadline)
	defer body.Stop()
	if mode == modeStreaming || httpevent.HasPrelude(r.Header.Get("Content-Type")) {
		return e.stream(w, r, body, p)
	}
	output, taken, err := e.cfg.Budget.ReadAll(body, invocation.MaxOutputBytes)
	give := sync.OnceFunc(func() { e.cfg.Budget.Give(taken) })
	if err != nil {
		give()
		e.complete(p, readError(err))
		return refusalOf(err)
	}
	var result any = &Reply{ContentType: r.Header.Get("Content-Type"), Payload: output, close: give}
	if failed := trailerError(r.Trailer); failed != nil {
		give()
		result = failed
	}
	if !e.complete(p, result) {
		give()
	}
	return accept(w)
}

// stream forwards the output as it arrives.
func (e *Endpoint) stream(w http.ResponseWriter, r *http.Request, body *client.Body, p *pending) error {
	from, to := io.Pipe()
	end := time.AfterFunc(time.Until(p.deadline), func() { _ = to.CloseWithError(ErrDeadline) })
	defer end.Stop()
	if !e.complete(p, &Reply{ContentType: r.Header.Get("Content-Type"), Stream: from, close: func() { _ = from.Close() }}) {
		return drop(w, r)
	}
	_, err := io.Copy(to, body)
	switch failed := trailerError(r.Trailer); {
	case errors.Is(err, io.ErrClosedPipe), errors.Is(err, ErrDeadline): // the caller has given up
		body.SetUntil(time.Now().Add(lateTimeout))
		if _, err := io.Copy(io.Discard, body); err != nil {
			return errCutOff
		}
	case err != nil:
		_ = to.CloseWithError(ErrTruncated)
		return errCutOff
	case failed != nil:
		_ = to.CloseWithError(failed)
	default:
		_ = to.Close()
	}
	return accept(w)
}

// trailerError returns the failure in the trailer of an output, or nil.
func trailerError(trailer http.Header) *invocation.Error {
	errorType, encoded := trailer.Get(errorTypeTrailer), trailer.Get(errorBodyTrailer)
	if errorType == "" && encoded == "" {
		return nil
	}
	if errorType == "" {
		errorType = typeFailed
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) == 0 {
		return &invocation.Error{Type: errorType, Message: "the function failed while it streamed its output"}
	}
	return told(raw, errorType)
}

// serveRegister registers extensions, so that runtimes with extensions can start. They receive no events.
func (e *Endpoint) serveRegister(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Lambda-Extension-Identifier", invocation.NewID())
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string]string{
		"functionName": e.cfg.Name, "functionVersion": "$LATEST", "handler": e.cfg.Name,
	})
}

// serveExtensionEvent blocks until the function ends, as there are no other events.
func (e *Endpoint) serveExtensionEvent(_ http.ResponseWriter, r *http.Request) error {
	select {
	case <-r.Context().Done():
	case <-e.closing.Done():
	}
	return errShutdown
}

// serveSubscription accepts a subscription to logs or telemetry. Nothing is sent to it.
func (e *Endpoint) serveSubscription(w http.ResponseWriter, r *http.Request) error {
	body := newBody(w, r, time.Now())
	defer body.Stop()
	if _, err := io.Copy(io.Discard, io.LimitReader(body, maxInitErrorBytes)); err != nil {
		return errCutOff
	}
	_, err := io.WriteString(w, `"OK"`)
	return err
}
