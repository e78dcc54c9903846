package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/lambda/sigv4"
)

// failure is an error in the form of Lambda's API. Clients match its type.
type failure struct {
	status     int
	errorType  string
	message    string
	reason     string        // set if capacity is exhausted
	retryAfter time.Duration // 0: none
	cause      error         // for the log
}

func (f *failure) Error() string { return f.errorType + ": " + f.message }

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.cause }

// level returns the level of the failure in the log: a server that is not ready yet has not failed.
func (f *failure) level() slog.Level {
	if f.retryAfter > 0 && f.cause == nil {
		return slog.LevelWarn
	}
	return slog.LevelError
}

func fail(status int, errorType, format string, args ...any) *failure {
	return &failure{status: status, errorType: errorType, message: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) *failure {
	return fail(http.StatusNotFound, "ResourceNotFoundException", format, args...)
}

func invalid(format string, args ...any) *failure {
	return fail(http.StatusBadRequest, "InvalidParameterValueException", format, args...)
}

func unusable(format string, args ...any) *failure {
	return fail(http.StatusBadRequest, "InvalidRequestContentException", format, args...)
}

func tooLarge(limitBytes int64) *failure {
	return fail(http.StatusRequestEntityTooLarge, "RequestTooLargeException", "the request's body is larger than %d bytes", limitBytes)
}

func busy(reason, message string) *failure {
	f := fail(http.StatusTooManyRequests, "TooManyRequestsException", "%s", message)
	f.reason, f.retryAfter = reason, time.Second
	return f
}

// unavailable returns a failure that passes, such as that of a store. SDKs try again. Only the log has the cause; nil: nothing has failed.
func unavailable(message string, cause error) *failure {
	f := fail(http.StatusServiceUnavailable, "ServiceException", "%s", message)
	f.retryAfter, f.cause = time.Second, cause
	return f
}

// failureOf maps every error to the client's answer.
func failureOf(err error) *failure {
	var own *failure
	var p *problem.Problem
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, sigv4.ErrMissing):
		return fail(http.StatusForbidden, "MissingAuthenticationTokenException", "%s", err)
	case errors.Is(err, sigv4.ErrIncomplete):
		return fail(http.StatusForbidden, "IncompleteSignatureException", "%s", err)
	case errors.Is(err, sigv4.ErrUnknownKey):
		return fail(http.StatusForbidden, "UnrecognizedClientException", "%s", err)
	case errors.Is(err, sigv4.ErrMismatch), errors.Is(err, sigv4.ErrExpired):
		return fail(http.StatusForbidden, "InvalidSignatureException", "%s", err)
	case errors.As(err, &p):
		return ofProblem(p)
	}
	f := fail(http.StatusInternalServerError, "ServiceException", "the server failed to carry this out; its log has the reason")
	f.cause = err
	return f
}

// ofProblem maps a problem of the server to Lambda's error types.
func ofProblem(p *problem.Problem) *failure {
	message := p.Detail
	for _, v := range p.Violations {
		message += "; " + v.String()
	}
	f := fail(p.Status, "ServiceException", "%s", message)
	switch p.Kind() {
	case problem.BadRequest, problem.ModuleInvalid:
		f.status, f.errorType = http.StatusBadRequest, "InvalidParameterValueException"
	case problem.NotFound:
		f.errorType = "ResourceNotFoundException"
	case problem.Conflict:
		f.errorType = "ResourceConflictException"
	case problem.Forbidden, problem.Unauthorized:
		f.errorType = "AccessDeniedException"
	case problem.BodyTooLarge:
		f.errorType = "RequestTooLargeException"
	case problem.NoCapacity:
		f = busy("ConcurrentInvocationLimitExceeded", message)
	}
	if p.RetryAfter > 0 {
		f.retryAfter = p.RetryAfter
	}
	f.cause = p
	return f
}

// answer writes the failure as a response.
func (f *failure) answer(w http.ResponseWriter) {
	side := "User"
	if f.status >= http.StatusInternalServerError {
		side = "Service"
	}
	body, _ := json.Marshal(struct {
		Type    string
		Reason  string `json:",omitempty"`
		Message string
		Lower   string `json:"message"`
	}{side, f.reason, f.message, f.message}) // strings always marshal
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Amzn-Errortype", f.errorType)
	if f.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(f.retryAfter.Round(time.Second).Seconds()))))
	}
	w.WriteHeader(f.status)
	_, _ = w.Write(body)
}
