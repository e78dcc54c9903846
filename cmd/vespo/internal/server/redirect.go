package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
)

// httpsPort is the port of URLs with https that name none.
const httpsPort = "443"

// listenForRedirects opens the listener of --http-redirect, if there is one. Then certificates can be obtained. public is the address of the public listener.
func (s *server) listenForRedirects(ctx context.Context, public net.Addr) error {
	if s.cfg.HTTPRedirect == "" {
		return s.core.security.obtain(ctx, s.list, public, nil)
	}
	_, port, err := net.SplitHostPort(public.String())
	if err != nil {
		return fmt.Errorf("the port of the public listener: %w", err)
	}
	f := newSurface("the redirect to https", s.core.security.answersChallenges(redirectTo(port)), s.drainTimeout, s.log)
	if err := f.open(ctx, s.list, s.cfg.HTTPRedirect, s.cfg.connections("--http-redirect", s.log), false); err != nil {
		return err
	}
	s.surfaces = append(s.surfaces, f)
	fmt.Fprintf(s.streams.Err, "%s on http://%s\n", f.name, f.listener.Addr())
	return s.core.security.obtain(ctx, s.list, public, f.listener.Addr())
}

// redirectTo returns a handler that redirects to the same URL with https and a port.
// Clients repeat the request with its method and body.
func redirectTo(port string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		if host == "" || strings.ContainsFunc(host, notInHost) {
			problem.Respond(w, r, "", problem.New(problem.BadRequest, "the request names no valid host, so there is no URL with https to redirect to"))
			return
		}
		if port != httpsPort {
			host = net.JoinHostPort(host, port)
		} else if net.ParseIP(host).To4() == nil && net.ParseIP(host) != nil {
			host = "[" + host + "]"
		}
		target := url.URL{Scheme: "https", Host: host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
		w.Header().Set("Location", target.String())
		w.WriteHeader(http.StatusPermanentRedirect)
	})
}

// notInHost reports whether a character is in no name or address of a host.
func notInHost(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._:", r))
}

// strictTransport returns the value of Strict-Transport-Security; "" for none.
func (t *TLSSettings) strictTransport() string {
	if t.HSTS == 0 {
		return ""
	}
	return "max-age=" + strconv.FormatInt(int64(t.HSTS/time.Second), 10)
}
