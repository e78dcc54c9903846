package static

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// maxRanges is the maximum number of ranges in one response. Each range adds a header,
// so many one-byte ranges would multiply the size of the response. For more ranges the
// whole file is sent, as RFC 9110, section 14.2, allows.
const maxRanges = 16

// conditional returns a request for http.ServeContent with the conditions and ranges of
// r as RFC 9110 defines them. ServeContent reads only the first line of each field,
// answers ranges that it does not understand with 416, and trusts any date in If-Range.
func conditional(r *http.Request, v validators, sizeBytes int64, coded bool) *http.Request {
	header := maps.Clone(r.Header)
	for _, name := range [...]string{"If-Match", "If-None-Match"} { // lists, section 5.3
		if lines := header[name]; len(lines) > 1 {
			header[name] = []string{strings.Join(lines, ", ")}
		}
	}
	ranges, count := "", 0
	if lines := header["Range"]; len(lines) == 1 && r.Method == http.MethodGet { // section 14.2: defined for GET only
		ranges, count = parseRanges(lines[0], sizeBytes)
	}
	switch {
	case sizeBytes == 0: // Content-Range cannot express a range of an empty file
		ranges = ""
	case count > maxRanges, coded && count > 1: // a client would decode the multipart body instead of its parts
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

// rangeApplies reports whether If-Range allows a range to be sent. It checks only what ServeContent
// does not: the field has one line, and a date must be a strong validator (section 13.1.5).
func rangeApplies(lines []string, v validators) bool {
	switch {
	case len(lines) == 0:
		return true
	case len(lines) > 1:
		return false
	case strings.Contains(lines[0], `"`): // one entity tag: ServeContent ignores what follows it
		return strings.Count(lines[0], `"`) == 2 && strings.HasSuffix(strings.TrimRight(lines[0], " \t"), `"`)
	}
	return v.exact
}

// parseRanges parses the Range field. It returns the ranges in the one syntax that ServeContent understands, and the
// number of list elements. Units other than bytes and malformed ranges are ignored (section 14.2): the number is 0.
// Suffixes of zero bytes are dropped. If all ranges are such suffixes, the result is a range that no file can satisfy.
func parseRanges(field string, sizeBytes int64) (normal string, count int) {
	unit, set, _ := strings.Cut(field, "=")
	if !strings.EqualFold(strings.TrimSpace(unit), "bytes") { // section 14.1: case-insensitive
		return "", 0
	}
	var good []string
	for element := range strings.SplitSeq(set, ",") {
		element = strings.Trim(element, " \t")
		if element == "" { // an empty list element, section 5.6.1.2
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

// isPosition reports whether s is a number, or empty if optional.
func isPosition(s string, optional bool) bool {
	return (s != "" || optional) && strings.Trim(s, "0123456789") == ""
}

// less compares decimal numbers of any length.
func less(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return len(a) < len(b) || len(a) == len(b) && a < b
}

// clamped returns s if it fits into 63 bits, and otherwise a position beyond the end of every file.
func clamped(s string) string {
	if s == "" {
		return ""
	}
	if _, err := strconv.ParseInt(s, 10, 64); err != nil {
		return "9223372036854775807"
	}
	return s
}
