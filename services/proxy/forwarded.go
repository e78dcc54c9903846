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
	viaName         = " vespo" // follows the protocol's version in the header Via, RFC 9110 section 7.6.3
	// maxVia is how many servers of this kind a request may have come through; one that has met more goes round in circles.
	maxVia = 8
)

// setForwarded tells the upstream who asks and for what, as the router has decided. Other claims are dropped, under any spelling that an
// upstream may take for the same. What a trusted proxy says beside that, as in X-Forwarded-User, is passed on.
func setForwarded(pr *httputil.ProxyRequest, client *forwarded.Client, requestID, strippedPrefix string) {
	h := pr.Out.Header
	for name := range h {
		believed := client.Trusted && strings.HasPrefix(name, forwardedPrefix)
		if httpfield.Disguised(name) || httpfield.Claim(name) && !believed && name != httpfield.CallerHeader {
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

// circular tells whether a request has come through too many servers of this kind.
func circular(h http.Header) bool {
	return strings.Count(strings.Join(h.Values("Via"), ","), viaName) >= maxVia
}

// dropH2C takes away the wish to go on in HTTP/2 on the same connection: what went over it then would have passed by everything that
// is done to requests here. Upgrades to other protocols are passed on.
func dropH2C(h http.Header) {
	for name := range strings.SplitSeq(h.Get("Upgrade"), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name == "h2c" || name == "h2" || strings.HasPrefix(name, "http/") {
			for _, drop := range []string{"Upgrade", "Connection", "Http2-Settings"} {
				h.Del(drop)
			}
			return
		}
	}
}
