package router

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
)

func TestAnswersAreCounted(t *testing.T) {
	big := strings.Repeat("0123456789", 100_000)
	file := filepath.Join(t.TempDir(), "big")
	require.NoError(t, os.WriteFile(file, []byte(big), 0o600))
	for name, c := range map[string]struct {
		serve  HandlerFunc
		status int
		body   string
	}{
		"nothing":     {func(http.ResponseWriter, *Request, *accesslog.Result) error { return nil }, 200, ""},
		"text":        {say("text"), 200, "text"},
		"big":         {say(big), 200, big},
		"status":      {answerWith(http.StatusTeapot, "short"), http.StatusTeapot, "short"},
		"no content":  {answerWith(http.StatusNoContent, ""), http.StatusNoContent, ""},
		"second":      {answerTwice, http.StatusAccepted, "x"},
		"file":        {answerFile(file), 200, big},
		"reader":      {answerReader(big), 200, big},
		"server fail": {answerWith(http.StatusInternalServerError, "own page"), http.StatusInternalServerError, "own page"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, Config{}, binding("/test", c.serve))
			answer, body := h.do("GET", "/test", nil)
			require.Equal(t, c.status, answer.StatusCode)
			require.Equal(t, c.body, string(body))
			rec := h.record()
			require.Equal(t, c.status, rec.Status)
			require.EqualValues(t, len(c.body), rec.BytesOut)
			require.Equal(t, accesslog.OutcomeOK, rec.Outcome)
			require.Positive(t, rec.TTFB)
		})
	}
}

func answerWith(status int, body string) HandlerFunc {
	return func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		w.WriteHeader(status)
		if body == "" {
			return nil
		}
		_, err := w.Write([]byte(body))
		return err
	}
}

func answerTwice(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
	w.WriteHeader(http.StatusAccepted)
	w.WriteHeader(http.StatusTeapot)
	_, err := io.WriteString(w, "x")
	w.WriteHeader(http.StatusProcessing)
	return err
}

func answerFile(name string) HandlerFunc {
	return func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	}
}

func answerReader(s string) HandlerFunc {
	return func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		_, err := io.Copy(w, io.LimitReader(strings.NewReader(s), int64(len(s))))
		return err
	}
}

func TestHead(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", say("four")), binding("/bad",
		func(http.ResponseWriter, *Request, *accesslog.Result) error {
			return problem.New(problem.Trap, "")
		}))
	answer, body := h.do("HEAD", "/test", nil)
	require.Empty(t, body)
	require.EqualValues(t, 4, answer.ContentLength)
	rec := h.record()
	require.Equal(t, []int64{200, 0}, []int64{int64(rec.Status), rec.BytesOut})

	answer, body = h.do("HEAD", "/bad", nil)
	require.Empty(t, body)
	require.Equal(t, http.StatusInternalServerError, answer.StatusCode)
	require.Equal(t, problem.ContentType, answer.Header.Get("Content-Type"))
	require.Positive(t, answer.ContentLength)
	require.Zero(t, h.record().BytesOut)

	// The connection is still usable: no body was sent for HEAD.
	_, body = h.do("GET", "/test", nil)
	require.Equal(t, "four", string(body))
}

func TestInformationalStatuses(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.WriteHeader(http.StatusCreated)
		return nil
	}))
	var early []int
	trace := &httptrace.ClientTrace{Got1xxResponse: func(status int, _ textproto.MIMEHeader) error {
		early = append(early, status)
		return nil
	}}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", h.server.URL+"/test", nil)
	require.NoError(t, err)
	answer, err := h.server.Client().Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusCreated, answer.StatusCode)
	require.Equal(t, []int{http.StatusEarlyHints, http.StatusProcessing}, early)
	require.Equal(t, http.StatusCreated, h.record().Status)
}

func TestProblemAfterAnInformationalStatus(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		w.WriteHeader(http.StatusEarlyHints)
		return problem.New(problem.Trap, "")
	}))
	answer, body := h.do("GET", "/test", nil)
	h.requireProblem(problem.Trap, answer, body)
}

func TestTrailers(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		w.Header().Set("Trailer", "X-Announced")
		_, err := io.WriteString(w, "body")
		w.Header().Set("X-Announced", "a")
		w.Header().Set(http.TrailerPrefix+"X-Late", "b")
		return err
	}))
	answer, body := h.do("GET", "/test", nil)
	require.Equal(t, "body", string(body))
	require.Equal(t, "a", answer.Trailer.Get("X-Announced"))
	require.Equal(t, "b", answer.Trailer.Get("X-Late"))
}

func TestResponseController(t *testing.T) {
	flushed := make(chan struct{})
	h := newHouse(t, Config{}, binding("/test", func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		c := http.NewResponseController(w)
		_, _ = io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-flushed // the client has received the first part; otherwise this blocks
		_, err := io.WriteString(w, "second")
		return errors.Join(err, c.Flush(), c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{}), c.EnableFullDuplex())
	}))
	answer, err := h.server.Client().Get(h.server.URL + "/test")
	require.NoError(t, err)
	defer answer.Body.Close()
	part := make([]byte, len("first"))
	_, err = io.ReadFull(answer.Body, part)
	require.NoError(t, err)
	close(flushed)
	rest, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, "firstsecond", string(part)+string(rest))
	rec := h.record()
	require.NoError(t, rec.Err)
	require.EqualValues(t, len("firstsecond"), rec.BytesOut)
}

func TestHijack(t *testing.T) {
	serve := func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, _ = buffered.WriteString("HTTP/1.1 299 Mine\r\nContent-Length: 3\r\n\r\n")
		if err = errors.Join(buffered.Flush(), conn.SetDeadline(time.Now().Add(time.Minute))); err != nil {
			return err
		}
		if _, err = io.ReadFull(conn, make([]byte, 5)); err != nil {
			return err
		}
		_, err = io.WriteString(conn, "hi!")
		return err
	}
	h := newHouse(t, Config{}, binding("/test", serve), binding("/late",
		func(w http.ResponseWriter, r *Request, res *accesslog.Result) error {
			return errors.Join(serve(w, r, res), errors.New("after the hijack"))
		}))
	for path, outcome := range map[string]accesslog.Outcome{"/test": accesslog.OutcomeOK, "/late": accesslog.OutcomeHostError} {
		answer, body := h.raw("GET", "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\nahead")
		require.Equal(t, 299, answer.StatusCode)
		require.Equal(t, "hi!", body)
		rec := h.record()
		require.Equal(t, outcome, rec.Outcome)
		require.Equal(t, http.StatusSwitchingProtocols, rec.Status)
		require.EqualValues(t, 5, rec.BytesIn, "the first ones came with the request")
		require.EqualValues(t, 3, rec.BytesOut)
		require.Positive(t, rec.TTFB)
	}
}

func TestHijackWhereThereIsNoConnection(t *testing.T) {
	w := &responseWriter{inner: httptest.NewRecorder()}
	_, _, err := w.Hijack()
	require.ErrorIs(t, err, http.ErrNotSupported)
	require.Nil(t, w.tunnel)
}

func TestRequestIDOfTheAnswerIsTheRecords(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		w.Header().Add("X-Request-Id", "of the guest")
		w.Header()["Traceparent"] = r.Header["Traceparent"]
		return nil
	}))
	r, err := http.NewRequestWithContext(t.Context(), "GET", h.server.URL+"/test", nil)
	require.NoError(t, err)
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	r.Header.Set("Traceparent", trace)
	r.Header.Set("X-Request-Id", "of the client")
	answer, err := h.server.Client().Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, []string{h.record().RequestID}, answer.Header[RequestIDHeader])
	require.Equal(t, []string{trace}, answer.Header["Traceparent"])
}

func TestImpossibleStatusIsAHostError(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", answerWith(1000, "")))
	answer, body := h.do("GET", "/test", nil)
	_, rec := h.requireProblem(problem.Internal, answer, body)
	require.Equal(t, accesslog.OutcomeHostError, rec.Outcome)
}

func TestHTTP2(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		_, err := io.Copy(w, r.Body)
		return errors.Join(err, http.NewResponseController(w).Flush())
	}), binding("/abort", func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		_, err := io.WriteString(w, "begun")
		return errors.Join(err, errors.New("failed"))
	}))
	server := httptest.NewUnstartedServer(h.Router)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	answer, err := server.Client().Post(server.URL+"/test", "", bytes.NewReader(make([]byte, 100_000)))
	require.NoError(t, err)
	defer answer.Body.Close()
	n, err := io.Copy(io.Discard, answer.Body)
	require.NoError(t, err)
	require.EqualValues(t, 100_000, n)
	rec := h.record()
	require.Equal(t, []any{"HTTP/2.0", int64(100_000), int64(100_000)}, []any{rec.Proto, rec.BytesIn, rec.BytesOut})

	answer, err = server.Client().Get(server.URL + "/abort")
	if err == nil { // the reset of the stream may arrive before the header
		defer answer.Body.Close()
		_, err = io.ReadAll(answer.Body)
	}
	require.Error(t, err)
	require.Equal(t, accesslog.OutcomeHostError, h.record().Outcome)
}
