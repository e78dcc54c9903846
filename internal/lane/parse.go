package lane

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// Classes of bytes in a head.
const (
	inTarget = 1 << iota // a target, printable ASCII without the fragment's "#"
	inPath               // a path that is its own escaped form, see url.URL.EscapedPath
	inName               // a field name: a token, RFC 9110 section 5.6.2
	inValue              // a field value: space and printable ASCII
	inHost               // a Host that needs no decoding
	inUpper              // upper-case letters
	inLower              // lower-case letters
)

// classes returns the class bits of all bytes.
func classes() (table [256]uint8) {
	for c := byte(' '); c < 0x7f; c++ {
		table[c] |= inValue
		lower, upper := 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z'
		alnum := lower || upper || '0' <= c && c <= '9'
		if lower {
			table[c] |= inLower
		}
		if upper {
			table[c] |= inUpper
		}
		if c > ' ' && c != '#' {
			table[c] |= inTarget
		}
		if alnum || strings.IndexByte("-._~/$&+,:;=@", c) >= 0 {
			table[c] |= inPath
		}
		if alnum || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			table[c] |= inName
		}
		if alnum || strings.IndexByte("-._:[]", c) >= 0 {
			table[c] |= inHost
		}
	}
	return table
}

// class has the class bits of all bytes. It is never modified.
var class = classes()

// all reports whether all bytes of s have a class.
func all(s string, bit uint8) bool {
	for i := range len(s) {
		if class[s[i]]&bit == 0 {
			return false
		}
	}
	return true
}

// head is the head of a request of the strict subset.
type head struct {
	method string
	target string
	url    url.URL
	host   string
	header http.Header // without Host, as net/http does
	length int64       // Content-Length; 0 without a body
	close  bool        // the client asks to close the connection
	reason Reason      // of a head that is not of the subset

	sized      bool              // there is a Content-Length
	connection bool              // there is a Connection
	count      int               // used part of values
	values     [fieldRoom]string // of header, one each
}

// fieldRoom is the number of fields that take no further memory.
const fieldRoom = 12

// parse reads a head and reports whether it is of the strict subset. The text consists of lines with their CRLF. The
// last one is empty; without it the head is incomplete, and only its lines are checked.
func (h *head) parse(text string) bool {
	end := strings.IndexByte(text, '\n')
	if end < 1 || !h.parseLine(strings.TrimSuffix(text[:end], "\r"), end) {
		return false
	}
	if h.header == nil {
		h.header = make(http.Header)
	}
	for rest := text[end+1:]; rest != ""; {
		end := strings.IndexByte(rest, '\n')
		if end < 1 || rest[end-1] != '\r' {
			return false
		}
		line := rest[:end-1]
		rest = rest[end+1:]
		if line == "" {
			return rest == "" && h.complete()
		}
		if !h.parseField(line) {
			return false
		}
	}
	return true
}

// complete checks and completes a head whose fields were all read.
func (h *head) complete() bool {
	if h.host == "" {
		return false
	}
	// net/http reads this field of HTTP/1.0 as the one of HTTP/1.1.
	if pragma := h.header["Pragma"]; len(pragma) > 0 && pragma[0] == "no-cache" && h.header["Cache-Control"] == nil {
		h.header["Cache-Control"] = []string{"no-cache"}
	}
	return true
}

// parseLine parses a request line. end is its length with the CR.
func (h *head) parseLine(line string, end int) bool {
	rest, ok := strings.CutSuffix(line, " HTTP/1.1")
	if !ok || len(line) != end-1 {
		if strings.HasSuffix(line, " HTTP/1.0") || strings.HasSuffix(line, " HTTP/2.0") {
			h.reason = Version
		}
		return false
	}
	if h.method, h.target, ok = strings.Cut(rest, " "); !ok || len(h.target) == 0 || h.target[0] != '/' || !all(h.target, inTarget) {
		return false
	}
	switch h.method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		return false
	}
	path, query, asked := strings.Cut(h.target, "?")
	if all(path, inPath) && (!asked || query != "") {
		h.url = url.URL{Path: path, RawQuery: query}
		return true
	}
	u, err := url.ParseRequestURI(h.target) // as net/http does
	if err != nil || u.Scheme != "" || u.Opaque != "" || u.Host != "" || u.User != nil {
		return false
	}
	h.url = *u
	return true
}

// parseField parses a field.
func (h *head) parseField(line string) bool {
	name, rest, ok := cutName(line)
	if !ok || !all(rest, inValue) {
		return false
	}
	value := trimSpaces(rest)
	switch name {
	case "Host":
		if h.host != "" || value == "" || !all(value, inHost) {
			return false
		}
		h.host = value
		return true
	case "Content-Length":
		if h.sized || !h.parseLength(value) {
			return false
		}
		h.sized = true
	case "Connection":
		h.close = strings.EqualFold(value, "close")
		if h.connection || !h.close && !strings.EqualFold(value, "keep-alive") {
			h.reason = Upgrade
			return false
		}
		h.connection = true
	case "Transfer-Encoding", "Expect", "Te", "Trailer":
		h.reason = Body
		return false
	case "Upgrade", "Http2-Settings":
		h.reason = Upgrade
		return false
	}
	h.add(name, value)
	return true
}

// cutName returns the canonical name of a field, and the part of its line after the colon.
func cutName(line string) (name, rest string, ok bool) {
	canonical, upper := true, true
	for i := range len(line) {
		c := line[i]
		if c == ':' {
			if name = line[:i]; !canonical {
				name = textproto.CanonicalMIMEHeaderKey(name)
			}
			return name, line[i+1:], i > 0
		}
		bits := class[c]
		if bits&inName == 0 {
			return "", "", false
		}
		canonical = canonical && bits&(inUpper|inLower) != unwanted(upper)
		upper = c == '-'
	}
	return "", "", false
}

// unwanted returns the class of letters that are not canonical, at the beginning of a word or within it.
func unwanted(upper bool) uint8 {
	if upper {
		return inLower
	}
	return inUpper
}

// trimSpaces returns s without spaces around it.
func trimSpaces(s string) string {
	for s != "" && s[0] == ' ' {
		s = s[1:]
	}
	for s != "" && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// add adds a field to the header.
func (h *head) add(name, value string) {
	if before, found := h.header[name]; found {
		h.header[name] = append(before, value)
		return
	}
	if h.count == len(h.values) {
		h.header[name] = []string{value}
		return
	}
	h.values[h.count] = value
	h.count++
	h.header[name] = h.values[h.count-1 : h.count : h.count]
}

// maxLengthDigits keeps Content-Length within an int64.
const maxLengthDigits = 18

// parseLength parses a Content-Length: digits, without a leading zero.
func (h *head) parseLength(value string) bool {
	if value == "" || len(value) > maxLengthDigits || value[0] == '0' && len(value) > 1 {
		return false
	}
	for i := range len(value) {
		if value[i] < '0' || value[i] > '9' {
			return false
		}
		h.length = h.length*10 + int64(value[i]-'0')
	}
	return true
}
