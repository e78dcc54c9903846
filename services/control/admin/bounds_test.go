package admin_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/control/admin"
)

// addSlow starts to add a service whose preparation waits for st.kind.release. It returns when the
// preparation has begun.
func addSlow(st *stack) (done chan answer) {
	done = make(chan answer, 1)
	go func() { done <- st.add("slow", "slow") }()
	<-st.kind.preparing
	return done
}

func TestChangesAreBoundedAndStarveNobody(t *testing.T) {
	st := start(t, setup{admin: admin.Config{MaxChanges: 1, MaxReads: 1}})
	done := addSlow(st)
	for _, path := range []string{"/services/add?prefix=a", "/services/remove?prefix=a", "/services/rollback?prefix=a"} {
		refused := st.post(path, "application/wasm", magic)
		refused.problem(t, problem.NoCapacity)
		require.Equal(t, "2", refused.header.Get("Retry-After"))
	}
	for _, path := range []string{"/services", "/services/health", "/services/ready"} {
		require.Equal(t, http.StatusOK, st.get(path).status)
	}
	st.kind.release <- struct{}{}
	require.Equal(t, http.StatusCreated, (<-done).status)
	require.Equal(t, http.StatusCreated, st.add("a", "one").status)
}

// When a client disconnects while its module is prepared, its deploy is aborted.
func TestClientLeavesWhileItsModuleIsPrepared(t *testing.T) {
	st := start(t, setup{admin: admin.Config{MaxChanges: 1}})
	ctx, cancel := context.WithCancel(t.Context())
	r := st.request(http.MethodPost, "/services/add?prefix=slow", "application/wasm", strings.NewReader(magic+"slow")).WithContext(ctx)
	gone := make(chan error, 1)
	go func() {
		_, err := http.DefaultTransport.RoundTrip(r)
		gone <- err
	}()
	<-st.kind.preparing
	cancel()
	require.ErrorIs(t, <-gone, context.Canceled)
	// The next change gets the only slot as soon as the first has noticed.
	require.Eventually(t, func() bool { return st.add("a", "one").status == http.StatusCreated }, 10*time.Second, time.Millisecond)
	require.EqualValues(t, 1, st.generation())
	st.Records.First(func(r accesslog.Record) bool { return r.Outcome == accesslog.OutcomeClientGone })
}

// Neither the deadlines of the server nor those of the upload may end a preparation that takes longer.
func TestPreparationOutlastsDeadlines(t *testing.T) {
	const deadline = 100 * time.Millisecond
	st := start(t, setup{
		admin:  admin.Config{StallTimeout: deadline},
		server: func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = deadline, deadline },
	})
	outlast := func(done chan answer) answer {
		time.Sleep(3 * deadline)
		st.kind.release <- struct{}{}
		return <-done
	}
	first := outlast(addSlow(st))
	require.Equal(t, http.StatusCreated, first.status, first.body)
	require.Equal(t, http.StatusOK, st.add("slow", "quick").status)

	done := make(chan answer, 1)
	go func() { done <- st.post("/services/rollback?prefix=slow", "", "") }()
	<-st.kind.preparing
	back := outlast(done)
	require.Equal(t, http.StatusOK, back.status, back.body)
}

// dial opens a connection for tests of misbehaving clients.
func dial(t *testing.T, st *stack) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", st.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn, bufio.NewReader(conn)
}

func readAnswer(t *testing.T, r *bufio.Reader) answer {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
}

func TestStalledUploads(t *testing.T) {
	multi, multiType := form(t, part{"prefix", "a"}, part{"module", magic})
	st := start(t, setup{admin: admin.Config{StallTimeout: 50 * time.Millisecond, MaxChanges: 1}})
	tests := []struct{ name, path, contentType, begin string }{
		{"raw", "/services/add?prefix=a", "application/wasm", magic},
		{"raw, nothing sent", "/services/add?prefix=a", "application/wasm", ""},
		{"form", "/services/add", multiType, multi[:100]},
		{"form, in the module", "/services/add", multiType, multi[:len(multi)-70]},
		{"JSON", "/services/add", "application/json", `{"prefix":`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, r := dial(t, st)
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n%s", tt.path, st.Addr, tt.contentType, tt.begin)
			p := readAnswer(t, r).problem(t, problem.RequestTimeout)
			require.Contains(t, p.Detail, fmt.Sprintf("after %d bytes", len(tt.begin)))
			_, err := r.ReadByte()
			require.ErrorIs(t, err, io.EOF, "the connection is closed")
		})
	}
	require.Equal(t, http.StatusCreated, st.add("a", "one").status, "the place is free again")
}

func TestUploadThatEndsEarly(t *testing.T) {
	st := start(t, setup{})
	conn, r := dial(t, st)
	fmt.Fprintf(conn, "POST /services/add?prefix=a HTTP/1.1\r\nHost: %s\r\nContent-Type: application/wasm\r\nContent-Length: 1000\r\n\r\n%s", st.Addr, magic)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	p := readAnswer(t, r).problem(t, problem.BadRequest)
	require.Contains(t, p.Detail, "ended early, after 8 bytes")
	require.Zero(t, st.generation())
}

// A client that sends everything before it reads receives the answer, even if the request is refused at once.
func TestRefusalsReachClientsThatSendFirst(t *testing.T) {
	const length = 8 << 20 // more than socket buffers hold
	st := start(t, setup{admin: admin.Config{MaxModuleBytes: length}})
	large, largeType := form(t, part{"prefix", "a"}, part{"memory", "much"}, part{"module", strings.Repeat("x", length+1)})
	tests := []struct {
		name, path, contentType, body string
		want                          int
	}{
		{"type", "/services/add?prefix=a", "text/plain", strings.Repeat("x", length), http.StatusUnsupportedMediaType},
		{"prefix", "/services/add?prefix=..", "application/wasm", strings.Repeat("x", length), http.StatusBadRequest},
		{"path", "/services/none", "application/wasm", strings.Repeat("x", length), http.StatusNotFound},
		{"module of the form", "/services/add", largeType, large, http.StatusRequestEntityTooLarge},
	}
	for _, tt := range tests {
		for _, connection := range []string{"close", "keep-alive"} {
			t.Run(tt.name+", "+connection, func(t *testing.T) {
				conn, r := dial(t, st)
				_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
					tt.path, st.Addr, connection, tt.contentType, len(tt.body), tt.body)
				require.NoError(t, err)
				require.Equal(t, tt.want, readAnswer(t, r).status)
			})
		}
	}
}

// A refusal before the body was read must not wait for the rest of it forever.
func TestRefusalsDoNotWaitForTheBody(t *testing.T) {
	st := start(t, setup{admin: admin.Config{StallTimeout: 100 * time.Millisecond, Token: "t"}})
	for name, head := range map[string]string{
		"no token": "POST /services/add?prefix=a HTTP/1.1\r\nContent-Type: application/wasm\r\n",
		"no type":  "POST /services/add?prefix=a HTTP/1.1\r\nAuthorization: Bearer t\r\n",
		"no path":  "POST /services/none HTTP/1.1\r\nAuthorization: Bearer t\r\n",
		"chunked":  "POST /services/remove?prefix=a HTTP/1.1\r\nAuthorization: Bearer t\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn, r := dial(t, st)
			fmt.Fprintf(conn, "%sHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n", head, st.Addr)
			got := readAnswer(t, r)
			require.GreaterOrEqual(t, got.status, 400)
			require.Less(t, got.status, 500)
			_, err := r.ReadByte()
			require.ErrorIs(t, err, io.EOF, "the connection is closed")
		})
	}
}

func TestManageOverHTTP2(t *testing.T) {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	const stall = 100 * time.Millisecond
	st := start(t, setup{
		admin:  admin.Config{StallTimeout: stall, MaxChanges: 1},
		server: func(s *http.Server) { s.Protocols, s.ReadTimeout, s.WriteTimeout = &protocols, stall, stall },
	})
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &only}
	defer transport.CloseIdleConnections()
	send := func(body io.Reader) answer {
		r := st.request(http.MethodPost, "/services/add?prefix=a", "application/wasm", body)
		resp, err := transport.RoundTrip(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, 2, resp.ProtoMajor)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
	}
	require.Equal(t, http.StatusCreated, send(strings.NewReader(magic+"one")).status)

	never, writer := io.Pipe()
	defer writer.Close()
	send(never).problem(t, problem.RequestTimeout)

	go func() {
		<-st.kind.preparing
		time.Sleep(3 * stall)
		st.kind.release <- struct{}{}
	}()
	slow := send(strings.NewReader(magic + "slow"))
	require.Equal(t, http.StatusOK, slow.status, slow.body)
}
