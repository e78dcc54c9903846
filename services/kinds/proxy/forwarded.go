package proxy

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"strings"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/forwarded"
)

const (
	forwardedPrefix = "X-Forwarded-"
	viaName         = " vespo" // follows the protocol version in the Via header, RFC 9110 section 7.6.3
	// maxVia is the number of these servers that a request may have
	// passed through. At this number it is taken for a forwarding loop.
	maxVia = 8
)

// setForwarded sets the headers that tell the upstream who the client is and what it asked for, as
// the router has decided. It drops all other such claims, in any spelling that an upstream may take
// for the same header. Further claims of a trusted proxy, such as X-Forwarded-User, are passed on.
func setForwarded(pr *httputil.ProxyRequest, client *forwarded.Client, requestID, strippedPrefix string) {
	h := pr.Out.Header
	for name := range h {
		believed := client.Trusted && strings.HasPrefix(name, forwardedPrefix)
		if httpfield.Disguised(name) || httpfield.Claim(name) && !believed && !httpfield.Own(name) {
			delete(h, name)
		}
	}
	h.Set(forwardedPrefix+"For", client.ForwardedFor())
	h.Set(forwardedPrefix+"Host", pr.In.Host)
	h.Set(forwardedPrefix+"Proto", client.Scheme)
	h.Del(forwardedPrefix + "Prefix")
	if prefix := client.Prefix + strings.TrimSuffix(strippedPrefix, "/"); prefix != "" {
		h.Set(forwardedPrefix+"Prefix", prefix)
	}
	h.Add("Via", fmt.Sprintf("%d.%d%s", pr.In.ProtoMajor, pr.In.ProtoMinor, viaName))
	h.Set(router.RequestIDHeader, requestID)
}

// circular reports whether a request has passed through too many servers of this kind.
func circular(h http.Header) bool {
	return strings.Count(strings.Join(h.Values("Via"), ","), viaName) >= maxVia
}

// dropH2C removes a request to upgrade to HTTP/2 on the same connection. Requests over such a
// tunnel would bypass all checks and rewrites here. Upgrades to other protocols are passed on.
func dropH2C(h http.Header) {
	if asksH2C(h) {
		for _, drop := range []string{"Upgrade", "Connection", "Http2-Settings"} {
			h.Del(drop)
		}
	}
}

// asksH2C reports whether a header asks to upgrade to HTTP, among others.
func asksH2C(h http.Header) bool {
	for name := range strings.SplitSeq(h.Get("Upgrade"), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name == "h2c" || name == "h2" || strings.HasPrefix(name, "http/") {
			return true
		}
	}
	return false
}
