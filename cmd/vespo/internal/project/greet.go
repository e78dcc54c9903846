package project

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/live"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/server"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// Limits of the answer that is shown.
const (
	greetTimeout   = 10 * time.Second
	maxGreetBytes  = 4 << 10
	maxGreetLines  = 3
	maxGreetColumn = 76
)

// greet prints the address, and what the service answers there. Only a service that may call no origin is asked: its
// request can change nothing that lasts, because memory is restored and mounts are read-only.
func (d *dev) greet(ctx context.Context) {
	var text strings.Builder
	fmt.Fprintf(&text, "listening on http://%s\n", d.addr)
	base := "http://" + server.Reachable(d.addr)
	url := base + string(d.prefix)
	fmt.Fprintf(&text, "\n  curl %s\n", url)
	if !d.mayCall() {
		for _, line := range ask(ctx, url) {
			fmt.Fprintf(&text, "  %s\n", line)
		}
	}
	fmt.Fprintf(&text, "\nThe last requests and log lines are on %s%s. Stop with Ctrl-C.\n", base, live.Root)
	_, _ = io.WriteString(d.terminal, text.String()) // the terminal's errors are its own
}

// mayCall reports whether the service has been granted an origin.
func (d *dev) mayCall() bool {
	p, err := Open(d.dir)
	return err != nil || withFlags(p.service, d.given)["allow"] != nil
}

// ask returns the first lines of the answer of a service, or a line about it.
func ask(ctx context.Context, url string) []string {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return []string{err.Error()}
	}
	r.Header.Set("User-Agent", "vespo-dev")
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(r) // redirects are shown
	if err != nil {
		return []string{"no answer: " + stdio.Printable(err.Error())}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxGreetBytes))
	if err != nil {
		return []string{"the answer broke off: " + stdio.Printable(err.Error())}
	}
	return excerptOf(resp, body)
}

// excerptOf returns lines about an answer: its status, unless that is 200, and the beginning of its body.
func excerptOf(resp *http.Response, body []byte) (lines []string) {
	if resp.StatusCode != http.StatusOK {
		lines = append(lines, stdio.Printable(strings.TrimSpace("HTTP "+resp.Status+" "+resp.Header.Get("Location"))))
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); !isText(media, body) {
		return append(lines, fmt.Sprintf("(%s, %s)", stdio.Printable(media), accesslog.Bytes(max(resp.ContentLength, int64(len(body))))))
	}
	for n, line := range strings.Split(strings.TrimRight(string(body), "\n"), "\n") {
		if n == maxGreetLines {
			return append(lines, "...")
		}
		text := []rune(stdio.Printable(strings.ReplaceAll(strings.TrimRight(line, "\r"), "\t", "    ")))
		if len(text) > maxGreetColumn {
			text = append(text[:maxGreetColumn-3], []rune("...")...)
		}
		lines = append(lines, string(text))
	}
	return lines
}

// isText reports whether a body can be shown on a terminal.
func isText(media string, body []byte) bool {
	switch {
	case strings.HasPrefix(media, "text/"), strings.HasSuffix(media, "json"), strings.HasSuffix(media, "xml"):
		return true
	}
	return media == "" && strings.HasPrefix(http.DetectContentType(body), "text/")
}
