package wasm

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Limits of the requests that warm a module up.
const (
	maxWarmRequests = 32
	maxWarmBytes    = 32 << 10
)

// warmRequest is a request that warms a module up.
type warmRequest struct {
	*http.Request // without a body; its path is below the prefix of the service
	body          string
}

func (r warmRequest) String() string { return r.Method + " " + r.RequestURI }

// parseWarm reads requests in the form of HTTP, which lines that begin with ### separate. The version in the request line,
// Host and Content-Length may be left out. Lines before a request that begin with # are comments.
func parseWarm(text string) (all []warmRequest, err error) {
	if len(text) > maxWarmBytes {
		return nil, fmt.Errorf("has %d bytes: at most %d are allowed", len(text), maxWarmBytes)
	}
	for _, block := range blocks(text) {
		r, err := parseWarmRequest(block)
		if err != nil {
			return nil, fmt.Errorf("has a request %d that is not valid: %w", len(all)+1, err)
		}
		if all = append(all, r); len(all) > maxWarmRequests {
			return nil, fmt.Errorf("has more than %d requests", maxWarmRequests)
		}
	}
	if len(all) == 0 && text != "" {
		return nil, errors.New("has no request: write one as GET /path")
	}
	return all, nil
}

// blocks returns the lines of each request, without the comments and empty lines in front of it.
func blocks(text string) (all [][]string) {
	var block []string
	end := func() {
		if block != nil {
			all = append(all, block)
		}
		block = nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		switch {
		case strings.HasPrefix(line, "###"):
			end()
		case block == nil && (strings.TrimSpace(line) == "" || line[0] == '#'):
		default:
			block = append(block, line)
		}
	}
	end()
	return all
}

// parseWarmRequest reads one request. The body is what follows the first empty line, without a line end in front of the
// separator.
func parseWarmRequest(lines []string) (r warmRequest, err error) {
	first := strings.TrimRight(lines[0], " ")
	if strings.Count(first, " ") == 1 {
		first += " HTTP/1.1"
	}
	head, rest := first+"\r\n", lines[1:]
	for len(rest) > 0 && rest[0] != "" {
		head += rest[0] + "\r\n"
		rest = rest[1:]
	}
	if r.Request, err = http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n"))); err != nil {
		return r, err
	}
	switch {
	case !strings.HasPrefix(r.RequestURI, "/"):
		return r, fmt.Errorf("its path is %.60q: it must begin with /", r.RequestURI)
	case len(r.TransferEncoding) > 0 || r.Header.Get("Expect") != "":
		return r, errors.New("it has Transfer-Encoding or Expect, which are for connections")
	}
	if len(rest) > 0 {
		r.body = strings.Join(rest[1:], "\n")
	}
	r.Header.Del("Content-Length")
	r.Trailer = nil
	return r, nil
}
