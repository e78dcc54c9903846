package httpfield

import "strings"

// CallerHeader contains the name of the service on this server that sent the request.
const CallerHeader = "Vespo-Caller"

// The fields of a request that a schedule of this server makes: its cron expression, and the time that it is for, in UTC
// (RFC 3339).
const (
	ScheduleHeader     = "Vespo-Schedule"
	ScheduleTimeHeader = "Vespo-Schedule-Time"
)

// The fields of a request by which its client asks what it costs: "1", and a token of the management API. The answer has
// ReportHeader, too, in its trailer.
const (
	ReportHeader = "Vespo-Report"
	TokenHeader  = "Vespo-Token"
)

// ForwardHeader is in a request that a host passes on to another host of its catalogue, and in the answer of a host that does not
// serve it. Only the listener for other hosts reads it.
const ForwardHeader = "Vespo-Forward"

// Own reports whether a field is written by this server alone. The name must be plain or canonical.
func Own(plain string) bool {
	return plain == CallerHeader || plain == ScheduleHeader || plain == ScheduleTimeHeader
}

// HopByHop reports whether a field belongs to one connection (RFC 9110, section 7.6.1). The
// name must be canonical, such as "Keep-Alive".
func HopByHop(canonical string) bool {
	switch canonical {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// Trailer reports whether a field is allowed as a trailer. Fields needed before the body
// are not (RFC 9110, section 6.5.1): those for framing, routing, authentication, request
// modifiers, response control, and content format. Claims about the sender are not, either.
// Names that CGI cannot tell from a forbidden one are forbidden, too.
func Trailer(name string) bool {
	plain := Plain(name)
	if HopByHop(plain) || Claim(plain) || RequestID(plain) {
		return false
	}
	for _, prefix := range [...]string{"If-", "Accept-", "Access-Control-", "Proxy-", "Sec-", "Cross-Origin-"} {
		if strings.HasPrefix(plain, prefix) {
			return false
		}
	}
	switch plain {
	case "Accept", "Age", "Allow", "Alt-Svc", "Authorization", "Cache-Control", "Cdn-Cache-Control", "Clear-Site-Data", "Content-Disposition",
		"Content-Encoding", "Content-Language", "Content-Length", "Content-Location", "Content-Range", "Content-Security-Policy",
		"Content-Security-Policy-Report-Only", "Content-Type", "Cookie", "Cookie2", "Date", "Early-Data", "Expect", "Expires", "Forwarded",
		"From", "Host", "Http2-Settings", "Location", "Max-Forwards", "Origin", "Permissions-Policy", "Pragma", "Prefer", "Priority", "Range",
		"Realm", "Referer", "Referrer-Policy", "Refresh", "Retry-After", "Service-Worker-Allowed", "Set-Cookie", "Set-Cookie2", "Status",
		"Strict-Transport-Security", "Upgrade-Insecure-Requests", "User-Agent", "Vary", "Via", "Warning", "Www-Authenticate",
		"X-Content-Type-Options", "X-Frame-Options", "X-Http-Method-Override":
		return false
	}
	return true
}

// Claim reports whether a field is a claim about the sender of a request or its connection, or is for this server alone.
// Clients' claims are not trusted. The name must be plain or canonical.
func Claim(plain string) bool {
	return strings.HasPrefix(plain, "X-Forwarded-") || plain == "Forwarded" || plain == "X-Real-Ip" || Own(plain) ||
		plain == ReportHeader || plain == TokenHeader || plain == ForwardHeader
}

// RequestID reports whether a field contains a request id. The name must be plain or canonical.
func RequestID(plain string) bool { return plain == "X-Request-Id" }

// Disguised reports whether a name is an alternative spelling of a field that frames,
// routes or vouches for a request. CGI and similar interfaces do not distinguish
// "Content_Length" and "X.Forwarded.For" from the names with hyphens.
func Disguised(name string) bool {
	if !mixed(name) {
		return false
	}
	plain := Plain(name)
	for _, prefix := range [...]string{"Content-", "If-", "Proxy-", "Vespo-"} {
		if strings.HasPrefix(plain, prefix) {
			return true
		}
	}
	return HopByHop(plain) || Claim(plain) || RequestID(plain) || plain == "Max-Forwards"
}

// mixed reports whether a name has bytes other than letters, digits and hyphens.
func mixed(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '-' && !alphanumeric(c) {
			return true
		}
	}
	return false
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// Plain returns the canonical name that CGI and similar interfaces cannot tell from name:
// bytes other than letters and digits become hyphens.
func Plain(name string) string {
	plain, upper := true, true
	for i := range len(name) {
		c := name[i]
		plain = plain && (c == '-' || alphanumeric(c) && (upper && !('a' <= c && c <= 'z') || !upper && !('A' <= c && c <= 'Z')))
		upper = c == '-'
	}
	if plain {
		return name
	}
	b := []byte(name)
	upper = true
	for i, c := range b {
		switch {
		case !alphanumeric(c):
			b[i] = '-'
		case upper && 'a' <= c && c <= 'z':
			b[i] = c - 'a' + 'A'
		case !upper && 'A' <= c && c <= 'Z':
			b[i] = c - 'A' + 'a'
		}
		upper = b[i] == '-'
	}
	return string(b)
}
