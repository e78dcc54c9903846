package queue_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestUnusableAnswers checks answers that cannot be sent to a client.
func TestUnusableAnswers(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{})
	for n, rest := range []string{
		`"code":99`, `"code":600`, `"code":100`, `"code":"101"`, `"code":"many"`, `"code":{}`, ``,
		`"code":200,"body":"%"`, `"code":200,"body":"YQ"`, `"code":200,"body":[1]`, `"code":200,"body":{"a":1}`,
		`"code":200,"headers":{"X":"a\r\nSet-Cookie: b"}`, `"code":200,"headers":{"X\r\nY":"a"}`, `"code":200,"headers":"none"`,
	} {
		asked := h.ask("GET", "/jobs", "")
		got := h.take(at + "/api/v1/jobs/request")
		text := strings.TrimSuffix(`{"identifier":"`+got.Identifier+`",`+rest, ",") + "}"
		said := h.do("POST", at+"/api/v1/jobs/response", text)
		require.Equal(t, http.StatusBadRequest, said.StatusCode, rest)
		require.Contains(t, said.Body, `"error":"Backend error: `)
		a := <-asked
		a.RequireProblem(t, problem.BadGateway)
		require.Contains(t, a.Body, "Backend error")
		require.Equal(t, accesslog.OutcomeBadAnswer, h.Records.Nth(n+1).Outcome)
	}
}

// TestHeadersOfWorkers checks which header fields a worker may set.
func TestHeadersOfWorkers(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{})
	asked := h.ask("GET", "/jobs", "")
	got := h.take(at + "/api/v1/jobs/request")
	text := `{"identifier":"` + got.Identifier + `","code":200,"body":"SGVsbG8=","headers":{"Content-Length":"999","Transfer-Encoding":"chunked",` +
		`"Connection":"close, X-Hop","X-Hop":"1","Upgrade":"websocket","X-Request-Id":"forged","Trailer":"X","Set-Cookie":["a=1","b=2"],"Location":"/x"}}`
	require.Equal(t, http.StatusOK, h.do("POST", at+"/api/v1/jobs/response", text).StatusCode)
	a := <-asked
	require.Equal(t, "Hello", a.Body)
	require.Equal(t, got.Environment["HTTP_X_REQUEST_ID"], a.Header.Get("X-Request-Id"))
	delete(a.Header, "Date")
	delete(a.Header, "X-Request-Id")
	require.Equal(t, http.Header{"Set-Cookie": {"a=1", "b=2"}, "Location": {"/x"}, "Content-Length": {"5"}}, a.Header, "and no guess of the type")
	require.False(t, a.Close)
}

func TestMessagesWithoutIdentifier(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{Default: true})
	for _, text := range []string{"", "{", "[]", "null", `{"identifier":7}`, `{"identifier":""}`, "\xff", strings.Repeat("[", 1<<16)} {
		for _, path := range []string{"/api/v1/request", "/api/v1/response", "/api/v1/jobs/request"} {
			a := h.do("POST", at+path, text)
			require.Equal(t, http.StatusNotFound, a.StatusCode)
			var said map[string]string
			require.NoError(t, json.Unmarshal([]byte(a.Body), &said))
			require.NotEmpty(t, said["error"])
		}
	}
}

// TestLongAnswers checks that an answer of 7 MB is accepted,
// and that one that is too long ends the request at once.
func TestLongAnswers(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{})
	long := strings.Repeat("0123456789", 700_000)
	asked := h.ask("GET", "/jobs", "")
	got := h.take(at + "/api/v1/jobs/request")
	require.Equal(t, http.StatusOK, h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, 200, long)).StatusCode)
	require.True(t, long == (<-asked).Body)

	asked = h.ask("GET", "/jobs", "")
	got = h.take(at + "/api/v1/jobs/request")
	// The connection may break before everything was sent. Only the client's response counts.
	_, _ = h.try(t.Context(), "POST", at+"/api/v1/jobs/response", `{"identifier":"`+got.Identifier+`","code":200,"body":"`+strings.Repeat("QUFB", 4<<20)+`"}`)
	a := <-asked
	a.RequireProblem(t, problem.BadGateway)
	require.Contains(t, a.Body, "Backend error")
	require.Equal(t, http.StatusNotFound, h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, 200, "short")).StatusCode)
}

// TestRepliesAreBounded checks that answers that clients do not read are limited in total.
func TestRepliesAreBounded(t *testing.T) {
	h := newHouse(t, t.TempDir(), func(c *queue.Config) { c.MaxReplyBytes = 700 << 10 })
	at := h.add("/jobs", queue.Document{})
	for range 3 {
		asked := h.ask("GET", "/jobs", "")
		got := h.take(at + "/api/v1/jobs/request")
		a := h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, 200, strings.Repeat("x", 200<<10)))
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		a = h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, 200, strings.Repeat("x", 50<<10)))
		require.Equal(t, http.StatusOK, a.StatusCode, a.Body)
		require.Len(t, (<-asked).Body, 50<<10)
	}
}

// TestSlowWorker checks that a request survives an answer that breaks off, and accepts the next one.
func TestSlowWorker(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{})
	asked := h.ask("POST", "/jobs", "x")
	got := h.take(at + "/api/v1/jobs/request")
	conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
	require.NoError(t, err)
	_, err = io.WriteString(conn, "POST /api/v1/jobs/response HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n{\"identifier\":\""+got.Identifier+"\",")
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	said, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Contains(t, string(said), "400 Bad Request")
	require.Equal(t, http.StatusOK, h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, 200, "whole")).StatusCode)
	require.Equal(t, "whole", (<-asked).Body)
}

// TestTooManyPolls checks the limit of waiting workers.
func TestTooManyPolls(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{})
	const more = 513
	said := make(chan int, more)
	for range more {
		go func() {
			for {
				a, err := h.try(t.Context(), "GET", at+"/api/v1/jobs/request", "")
				switch {
				case err != nil:
					said <- 0
					return
				case a.StatusCode != http.StatusNotFound: // there was a request, or too many waited for one
					said <- a.StatusCode
					return
				}
			}
		}()
	}
	require.Equal(t, http.StatusServiceUnavailable, <-said, "the first that is answered")
	var asked []chan servicetest.Answer
	for range more - 1 {
		asked = append(asked, h.ask("GET", "/jobs", ""))
	}
	for range more - 1 {
		require.Equal(t, http.StatusOK, <-said)
	}
	require.NoError(t, h.Remove(t.Context(), routekey.MustParse("/jobs")))
	closeAll(h, asked)
}

// closeAll ends requests by closing the server.
func closeAll(h *house, asked []chan servicetest.Answer) {
	_ = h.Deployer.Close(canceled())
	for _, a := range asked {
		<-a
	}
}
