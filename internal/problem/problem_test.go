package problem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/page"
)

// TestKindsAreStable fails if a public type or its status changes. Then fix the change, not the test.
func TestKindsAreStable(t *testing.T) {
	want := map[string]int{
		"bad-request": 400, "unauthorized": 401, "forbidden": 403, "not-found": 404, "method-not-allowed": 405,
		"request-timeout": 408, "conflict": 409, "body-too-large": 413, "uri-too-long": 414, "unsupported-media-type": 415, "module-invalid": 422, "too-many-requests": 429, "header-too-large": 431,
		"out-of-memory": 500, "trap": 500, "stack-overflow": 500, "work-limit": 500, "guest-exit": 500, "internal": 500,
		"not-implemented": 501, "bad-gateway": 502, "source-unavailable": 502, "no-capacity": 503, "not-ready": 503, "no-host": 503, "deadline": 504,
		"not-cached":           504,
		"insufficient-storage": 507,
	}
	require.Len(t, Kinds(), len(want))
	for i, kind := range Kinds() {
		require.Equal(t, want[string(kind)], kind.Status(), kind)
		require.NotEmpty(t, kind.Title())
		require.Equal(t, "https://vespo.dev/problems/"+string(kind), kind.Type())
		require.Equal(t, kind, New(kind, "").Kind())
		if i > 0 {
			require.LessOrEqual(t, Kinds()[i-1].Status(), kind.Status(), "ordered by status")
		}
	}
}

func TestUnknownKindIsInternal(t *testing.T) {
	p := New("no-such-kind", "d")
	require.Equal(t, Internal.Type(), p.Type)
	require.Equal(t, http.StatusInternalServerError, p.Status)
	require.Equal(t, Internal, (&Problem{Type: "about:blank"}).Kind())
	require.Equal(t, Internal, (&Problem{Type: typeBase + "no-such-kind"}).Kind())
}

func TestErrorIsForTheLog(t *testing.T) {
	cause := errors.New("cause")
	p := New(BadRequest, "detail").WithCause(cause)
	p.Violations = []Violation{{Text: "one"}, {Text: "two"}}
	require.EqualError(t, p, "Bad request: detail: one; two: cause")
	require.ErrorIs(t, p, cause)
	require.EqualError(t, New(Trap, ""), "Guest trapped")
}

func TestFrom(t *testing.T) {
	own := New(Trap, "own")
	var typedNil *Problem
	for name, c := range map[string]struct {
		err  error
		want Kind
	}{
		"own":       {own, Trap},
		"wrapped":   {fmt.Errorf("x: %w", own), Trap},
		"joined":    {errors.Join(context.DeadlineExceeded, own), Trap},
		"deadline":  {fmt.Errorf("x: %w", context.DeadlineExceeded), Deadline},
		"canceled":  {context.Canceled, Internal},
		"any":       {errors.New("secret"), Internal},
		"typed nil": {typedNil, Internal},
	} {
		t.Run(name, func(t *testing.T) {
			p := From(c.err)
			require.Equal(t, c.want, p.Kind())
			require.NotContains(t, p.Detail, "secret")
			if c.err != typedNil {
				require.True(t, errors.Is(p, c.err) || errors.Is(c.err, p))
			}
		})
	}
	require.Nil(t, From(nil))
}

// answer returns the response of a real server for a problem.
func answer(t *testing.T, method string, p *Problem) (*http.Response, []byte) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Type", "Etag", "Cache-Control", "Location",
			"Retry-After", "Trailer"} {
			w.Header().Set(name, "1")
		}
		w.Header().Set("Allow", "GET")
		Write(w, `id"`, p)
	}))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
	require.NoError(t, err)
	got, err := server.Client().Do(r)
	require.NoError(t, err)
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	return got, body
}

func TestWrite(t *testing.T) {
	p := New(BadRequest, "quote \" tag <b> line\n nul\x00 not utf-8 \xff").WithCause(errors.New("secret"))
	p.Violations = []Violation{{Text: "one"}, {Text: `two "2"`}}
	got, body := answer(t, "GET", p)
	require.Equal(t, http.StatusBadRequest, got.StatusCode)
	require.Equal(t, ContentType, got.Header.Get("Content-Type"))
	require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
	require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"))
	require.EqualValues(t, len(body), got.ContentLength)
	for _, name := range []string{"Content-Encoding", "Etag", "Location", "Retry-After"} {
		require.Empty(t, got.Header.Values(name), name)
	}
	require.Empty(t, got.Trailer)
	require.Equal(t, "GET", got.Header.Get("Allow"), "what is not about the answer's content is kept")
	require.NotContains(t, string(body), "secret")
	require.NotContains(t, string(body), "<b>", "a browser that sniffs finds no markup")
	var document map[string]any
	require.NoError(t, json.Unmarshal(body, &document))
	require.Equal(t, map[string]any{
		"type": "https://vespo.dev/problems/bad-request", "title": "Bad request", "status": 400.0,
		"detail": "quote \" tag <b> line\n nul\x00 not utf-8 \ufffd", "violations": []any{"one", `two "2"`}, "request_id": `id"`,
	}, document)
}

// TestRespond checks that browsers get a page with the same facts, and other clients problem details.
func TestRespond(t *testing.T) {
	p := New(NoCapacity, "the <queue> is full").WithCause(errors.New("secret"))
	p.Violations, p.RetryAfter = []Violation{{Text: "one & two"}}, 1500*time.Millisecond
	respond := func(accept string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		w.Header().Set("Vary", "Origin")
		w.Header().Set("Etag", "1")
		w.Header().Set("Content-Security-Policy", "of the service")
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		Respond(w, r, "id-1", p)
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.Equal(t, []string{"Origin", "Accept"}, w.Header().Values("Vary"))
		require.Equal(t, "2", w.Header().Get("Retry-After"))
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		require.Equal(t, strconv.Itoa(w.Body.Len()), w.Header().Get("Content-Length"))
		require.Empty(t, w.Header().Get("Etag"))
		require.NotContains(t, w.Body.String(), "secret")
		return w
	}
	shown := respond("text/html,application/xhtml+xml,*/*;q=0.8")
	require.Equal(t, "text/html; charset=utf-8", shown.Header().Get("Content-Type"))
	require.Equal(t, page.Policy, shown.Header().Get("Content-Security-Policy"))
	for _, want := range []string{"503", "No capacity", "the &lt;queue&gt; is full", "one &amp; two", "Try again in 2 s.", "id-1"} {
		require.Contains(t, shown.Body.String(), want)
	}
	sent := respond("*/*")
	require.Equal(t, ContentType, sent.Header().Get("Content-Type"))
	require.True(t, json.Valid(sent.Body.Bytes()))
}

func TestWriteLeavesOutWhatIsEmpty(t *testing.T) {
	w := httptest.NewRecorder()
	Write(w, "", New(NotFound, ""))
	require.JSONEq(t, `{"type": "https://vespo.dev/problems/not-found", "title": "Not found", "status": 404}`, w.Body.String())
}

func TestWriteForHead(t *testing.T) {
	got, body := answer(t, "HEAD", New(NotFound, "d"))
	require.Empty(t, body)
	require.Equal(t, http.StatusNotFound, got.StatusCode)
	require.Positive(t, got.ContentLength)
}

func TestRetryAfterIsWholeSeconds(t *testing.T) {
	for after, want := range map[time.Duration]string{
		0: "", -time.Second: "", 1: "1", time.Second: "1", 1500 * time.Millisecond: "2", time.Minute: "60",
	} {
		p := New(NoCapacity, "")
		p.RetryAfter = after
		w := httptest.NewRecorder()
		Write(w, "", p)
		require.Equal(t, want, w.Header().Get("Retry-After"))
	}
}

func TestStatusThatIsNoFailure(t *testing.T) {
	for _, status := range []int{0, 99, 200, 304, 1000} {
		w := httptest.NewRecorder()
		Write(w, "", &Problem{Status: status})
		require.Equal(t, http.StatusInternalServerError, w.Code)
		require.Contains(t, w.Body.String(), `"status":500`)
	}
}
