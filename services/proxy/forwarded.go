package proxy

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"strings"

	"github.com/vespo-dev/vespo/router"
)

const (
	forwardedPrefix = "X-Forwarded-"
	viaName         = " vespo" // follows the protocol's version in the header Via, RFC 9110 section 7.6.3
	// maxVia is how many servers of this kind a request may have come through; one that has met more goes round in circles.
	maxVia = 8
)

// setForwarded tells the upstream who asks and for what, as the server has seen it. What the client says about that is dropped, under
// any spelling that an upstream may take for the same: CGI and its kin do not tell _ from -.
func setForwarded(pr *httputil.ProxyRequest, requestID, strippedPrefix string) {
	h := pr.Out.Header
	for name := range h {
		switch plain := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")); {
		case strings.HasPrefix(plain, forwardedPrefix), plain == "Forwarded", plain == "X-Real-Ip":
			delete(h, name)
		}
	}
	pr.SetXForwarded()
	if strippedPrefix != "" && strippedPrefix != "/" {
		h.Set(forwardedPrefix+"Prefix", strippedPrefix)
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
