package page

import (
	"net/http"
	"strings"
)

// Wanted reports whether a client prefers a page to JSON, after its Accept field (RFC 9110, section 12.5.1). Browsers
// that navigate do. Clients that accept everything alike, such as curl and fetch, want JSON.
func Wanted(h http.Header) bool {
	accepted := h["Accept"]
	html := quality(accepted, "text/", "text/html")
	return html > 0 && html > max(
		quality(accepted, "application/", "application/problem+json"),
		quality(accepted, "application/", "application/json"))
}

// quality returns the weight of a media type, from 0 to 1000. Of the ranges that match, the most specific ones count, and
// the highest weight among them. Parameters of a range other than q, such as a charset, are ignored. Malformed ranges are
// ignored, too. Without any Accept field, all types have the full weight.
func quality(accepted []string, kind, full string) int {
	if len(accepted) == 0 {
		return 1000
	}
	weight, specific := 0, 0
	for _, value := range accepted {
		for element := range elements(value, ',') {
			name, q, ok := mediaRange(element)
			depth := 0
			switch {
			case strings.EqualFold(name, full):
				depth = 3
			case strings.EqualFold(name, kind+"*"):
				depth = 2
			case name == "*/*":
				depth = 1
			}
			switch {
			case !ok || depth == 0 || depth < specific:
			case depth > specific:
				weight, specific = q, depth
			default:
				weight = max(weight, q)
			}
		}
	}
	return weight
}

// mediaRange parses a media range and its weight in thousandths.
func mediaRange(element string) (name string, weight int, ok bool) {
	weight, first := 1000, true
	for part := range elements(element, ';') {
		if first {
			name, first = part, false
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		if !strings.EqualFold(strings.TrimRight(key, " \t"), "q") {
			continue
		}
		if weight, ok = thousandths(strings.TrimLeft(value, " \t")); !ok {
			return "", 0, false
		}
	}
	return name, weight, strings.Contains(name, "/")
}

// thousandths parses a weight: a number from 0 to 1 with at most three decimals.
func thousandths(text string) (n int, ok bool) {
	whole, decimals, point := strings.Cut(text, ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 || strings.Trim(decimals, "0123456789") != "" {
		return 0, false
	}
	n = int(whole[0]-'0') * 1000
	if point {
		scale := 100
		for _, d := range decimals {
			n += int(d-'0') * scale
			scale /= 10
		}
	}
	return n, n <= 1000
}

// elements iterates over the parts of text between separators that are not in quoted strings, without spaces around them.
func elements(text string, separator byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		begin, quoted := 0, false
		for i := 0; i < len(text); i++ {
			switch c := text[i]; {
			case quoted && c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case c == separator && !quoted:
				if !yield(strings.Trim(text[begin:i], " \t")) {
					return
				}
				begin = i + 1
			}
		}
		yield(strings.Trim(text[begin:], " \t"))
	}
}
