package abi

import "strings"

// common are the names of fields that most messages have, in canonical form and in lower case, by both: such a name costs
// no allocation. It is never modified.
var common = commonNames("Accept", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Access-Control-Allow-Origin", "Age", "Authorization",
	"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length", "Content-Range",
	"Content-Security-Policy", "Content-Type", "Cookie", "Date", "Dnt", "Etag", "Expires", "If-Modified-Since", "If-None-Match",
	"Last-Modified", "Location", "Origin", "Pragma", "Range", "Referer", "Retry-After", "Sec-Fetch-Dest", "Sec-Fetch-Mode",
	"Sec-Fetch-Site", "Sec-Fetch-User", "Server", "Set-Cookie", "Strict-Transport-Security", "Traceparent", "Tracestate",
	"Upgrade-Insecure-Requests", "User-Agent", "Vary", "Via", "Www-Authenticate", "X-Content-Type-Options", "X-Forwarded-For",
	"X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id", "X-Requested-With")

type commonName struct{ canonical, lower string }

func commonNames(list ...string) map[string]commonName {
	names := make(map[string]commonName, 2*len(list))
	for _, canonical := range list {
		n := commonName{canonical, strings.ToLower(canonical)}
		names[n.canonical], names[n.lower] = n, n
	}
	return names
}

// LowerName returns a field name in lower case.
func LowerName(name string) string {
	if n, ok := common[name]; ok {
		return n.lower
	}
	return strings.ToLower(name)
}
