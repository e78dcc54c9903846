package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// httpCommand implements "http [-h2c] METHOD URL [HEADER: VALUE | @FILE | BODY]...". It sends a request and
// prints the status line, the headers and the body. It fails for a status of 400 and above, unless negated.
func httpCommand(ts *testscript.TestScript, neg bool, args []string) {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	if len(args) > 0 && args[0] == "-h2c" {
		protocols = http.Protocols{}
		protocols.SetUnencryptedHTTP2(true)
		args = args[1:]
	}
	if len(args) < 2 {
		ts.Fatalf("usage: http [-h2c] METHOD URL [HEADER: VALUE | @FILE | BODY]...")
	}
	r, err := http.NewRequest(args[0], args[1], nil)
	ts.Check(err)
	for _, arg := range args[2:] {
		name, value, isHeader := strings.Cut(arg, ": ")
		file, isFile := strings.CutPrefix(arg, "@")
		switch {
		case isHeader && name == "Host":
			r.Host = value
		case isHeader:
			r.Header.Add(name, value)
		default:
			if isFile {
				arg = ts.ReadFile(file)
			}
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(arg)), int64(len(arg))
		}
	}
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	ts.Check(err)
	show(ts, resp)
	if failed := resp.StatusCode >= 400; failed != neg {
		ts.Fatalf("%s", resp.Status)
	}
}

func show(ts *testscript.TestScript, resp *http.Response) {
	defer resp.Body.Close()
	fmt.Fprintln(ts.Stdout(), resp.Proto, resp.Status)
	ts.Check(resp.Header.Write(ts.Stdout()))
	fmt.Fprintln(ts.Stdout())
	_, err := io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout())
}

// stream is a request in progress: the service waits for the rest of its body.
type stream struct {
	conn net.Conn
	from *bufio.Reader
	rest string
}

// beginCommand implements "begin NAME ADDR PATH BODY". It sends a request with half of its body, and waits until the service at PATH serves it.
func beginCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 || len(args[3]) < 2 {
		ts.Fatalf("usage: begin NAME ADDR PATH BODY")
	}
	name, address, path, body := args[0], args[1], args[2], args[3]
	conn, err := net.Dial("tcp", address)
	ts.Check(err)
	ts.Check(conn.SetDeadline(time.Now().Add(hangTimeout)))
	s := &stream{conn: conn, from: bufio.NewReader(conn), rest: body[len(body)/2:]}
	worldOf(ts).streams[name] = s
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", path, address, len(body))
	ts.Check(err)
	line, err := s.from.ReadString('\n')
	ts.Check(err)
	if !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		ts.Fatalf("answer %q, want 100 Continue", line)
	}
	_, err = s.from.ReadString('\n')
	ts.Check(err)
	_, err = io.WriteString(conn, body[:len(body)/2])
	ts.Check(err)
	served := regexp.MustCompile(`(?m)^vespo_service_requests_in_flight\{service="` + regexp.QuoteMeta(path) + `"\} [1-9]`)
	for end := time.Now().Add(hangTimeout); !served.MatchString(metricsOf(ts, address)); {
		if time.Now().After(end) {
			ts.Fatalf("the request is not served")
		}
	}
}

func metricsOf(ts *testscript.TestScript, address string) string {
	resp, err := http.Get("http://" + address + "/services/metrics")
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	return string(text)
}

// finishCommand implements "finish NAME". It posts the other half and prints the response.
func finishCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || worldOf(ts).streams[args[0]] == nil {
		ts.Fatalf("usage: finish NAME")
	}
	s := worldOf(ts).streams[args[0]]
	_, err := io.WriteString(s.conn, s.rest)
	ts.Check(err)
	resp, err := http.ReadResponse(s.from, nil)
	ts.Check(err)
	show(ts, resp)
}
