package static

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// maxRanges is how many ranges are answered at a time. Each has a header of its own, so that a request for many of one byte would be answered
// by many times its length; for more, the whole file is sent, as RFC 9110, section 14.2, allows.
const maxRanges = 16

// conditional returns a request for http.ServeContent, whose conditions and ranges are what RFC 9110 makes of those of r. ServeContent reads the
// first line of each field, answers ranges that it does not understand by 416, and trusts a date of If-Range.
func conditional(r *http.Request, v validators, sizeBytes int64, coded bool) *http.Request {
	header := maps.Clone(r.Header)
	for _, name := range [...]string{"If-Match", "If-None-Match"} { // lists, section 5.3
		if lines := header[name]; len(lines) > 1 {
			header[name] = []string{strings.Join(lines, ", ")}
		}
	}
	ranges, count := "", 0
	if lines := header["Range"]; len(lines) == 1 && r.Method == http.MethodGet { // section 14.2: defined for GET alone
		ranges, count = parseRanges(lines[0], sizeBytes)
	}
	switch {
	case sizeBytes == 0: // no Content-Range can say what was selected of nothing
		ranges = ""
	case count > maxRanges, coded && count > 1: // a client would decode the multipart body and not its parts
		ranges = ""
	case !rangeApplies(header["If-Range"], v):
		ranges = ""
	}
	delete(header, "Range")
	if ranges != "" {
		header["Range"] = []string{ranges}
	}
	own := *r
	own.Header = header
	return &own
}

// rangeApplies reports whether If-Range lets a range be sent, as far as ServeContent does not see it: a date must be a strong validator (section
// 13.1.5), and the field has one line.
func rangeApplies(lines []string, v validators) bool {
	switch {
	case len(lines) == 0:
		return true
	case len(lines) > 1:
		return false
	case strings.Contains(lines[0], `"`): // an entity tag
		return true
	}
	return v.exact
}

// parseRanges reads the field Range. It returns the ranges in the one spelling that ServeContent understands, and their number; none for a unit
// other than bytes and for what is malformed, which is ignored (section 14.2). Suffixes of no bytes are dropped, unless all ranges are such
// ones: they become one that no file can satisfy.
func parseRanges(field string, sizeBytes int64) (normal string, count int) {
	unit, set, _ := strings.Cut(field, "=")
	if !strings.EqualFold(strings.TrimSpace(unit), "bytes") { // section 14.1: without regard to case
		return "", 0
	}
	var good []string
	for element := range strings.SplitSeq(set, ",") {
		element = strings.Trim(element, " \t")
		if element == "" { // an empty element of a list, section 5.6.1.2
			count++
			continue
		}
		first, last, found := strings.Cut(element, "-")
		if !found || !isPosition(first, last != "") || !isPosition(last, first != "") || first != "" && last != "" && less(last, first) {
			return "", 0
		}
		if count++; first != "" || strings.Trim(last, "0") != "" {
			good = append(good, clamped(first)+"-"+clamped(last))
		}
	}
	switch {
	case count == 0 || strings.Trim(set, ", \t") == "":
		return "", 0
	case len(good) == 0:
		good = []string{strconv.FormatInt(sizeBytes, 10) + "-"}
	}
	return "bytes=" + strings.Join(good, ","), count
}

// isPosition reports whether s is a number, or nothing where that is allowed.
func isPosition(s string, optional bool) bool {
	return (s != "" || optional) && strings.Trim(s, "0123456789") == ""
}

// less compares numbers of any length.
func less(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return len(a) < len(b) || len(a) == len(b) && a < b
}

// clamped is a number that fits into 63 bits, and is beyond the end of every file where it does not.
func clamped(s string) string {
	if s == "" {
		return ""
	}
	if _, err := strconv.ParseInt(s, 10, 64); err != nil {
		return "9223372036854775807"
	}
	return s
}
