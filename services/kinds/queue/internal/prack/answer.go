package prack

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/services/internal/lenient"
)

const (
	maxHeaderBytes     = 256 << 10 // of an answer
	maxIdentifierBytes = 256
)

// ErrNoIdentifier is returned for a message that is not a JSON object with an identifier.
var ErrNoIdentifier = errors.New("the body is not a JSON object with an identifier")

// Answer is a valid answer of a worker.
type Answer struct {
	Status int
	Header http.Header // without fields that only the server sets
	Body   []byte
}

// MaxMessageBytes returns the length of the longest message with a body of bodyBytes: in base64
// with a line break every 60 characters, as Ruby's encode64 writes it, and escaped for JSON.
func MaxMessageBytes(bodyBytes int64) int64 {
	encoded := (bodyBytes + 2) / 3 * 4
	return encoded + encoded/30 + 2*maxHeaderBytes
}

// Parse parses a message of a worker. If identifier is not empty, the error is about the answer
// to that request. Otherwise it matches ErrNoIdentifier. Errors may be sent to the worker.
func Parse(text []byte, maxBodyBytes int64) (identifier string, _ *Answer, err error) {
	var m struct {
		Identifier json.RawMessage `json:"identifier"`
		Code       json.RawMessage `json:"code"`
		Headers    json.RawMessage `json:"headers"`
		Body       *string         `json:"body"`
	}
	text = lenient.JSON(text)
	unmarshalErr := json.Unmarshal(text, &m)
	// Anything but a short string could need much more memory decoded than the message has bytes.
	if len(m.Identifier) > maxIdentifierBytes || json.Unmarshal(m.Identifier, &identifier) != nil || identifier == "" {
		return "", nil, ErrNoIdentifier
	}
	if unmarshalErr != nil {
		return identifier, nil, errors.New("invalid message: body must be a string")
	}
	a := &Answer{}
	if a.Status, err = parseCode(m.Code); err != nil {
		return identifier, nil, err
	}
	if a.Header, err = parseHeaders(m.Headers); err != nil {
		return identifier, nil, err
	}
	if m.Body == nil {
		return identifier, a, nil
	}
	if a.Body, err = base64.StdEncoding.DecodeString(*m.Body); err != nil { // skips line breaks
		return identifier, nil, errors.New("body is not base64")
	}
	if cap(a.Body)-len(a.Body) > len(a.Body)/4 { // line breaks had room, too: what waits for the client is counted by its length
		a.Body = bytes.Clone(a.Body)
	}
	if int64(len(a.Body)) > maxBodyBytes {
		return identifier, nil, fmt.Errorf("body has %d bytes, at most %d are taken", len(a.Body), maxBodyBytes)
	}
	return identifier, a, nil
}

// Identifier returns the identifier from the beginning of a message
// that is too long to be read, or "" if it is not in there.
func Identifier(beginning []byte) string {
	dec := json.NewDecoder(bytes.NewReader(beginning))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return ""
	}
	for {
		name, err := dec.Token()
		if err != nil {
			return ""
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return ""
		}
		var identifier string
		if name == "identifier" && json.Unmarshal(value, &identifier) == nil {
			return identifier
		}
	}
}

// parseCode parses a status given as a number or a string.
func parseCode(raw json.RawMessage) (int, error) {
	text := string(raw)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	code, whole := lenient.Whole(text)
	whole = whole && (text == string(raw) || strings.Trim(text, "0123456789") == "") // a string may hold digits only
	switch {
	case !whole || code < 100 || code > 599:
		return 0, fmt.Errorf("code is %.20q: it must be a status from 200 to 599", text)
	case code < 200:
		return 0, fmt.Errorf("code is %d: an interim answer is none", code)
	}
	return code, nil
}

// headers collects the header fields of an answer.
type headers struct {
	all       http.Header
	sizeBytes int
}

// parseHeaders parses the headers of an answer. They are an object of strings, or one of the variants
// that clients send. Values may be numbers, or arrays for several fields of one name. Members may be
// objects with one field each, under any name, or the whole may be an array of such objects.
func parseHeaders(raw json.RawMessage) (http.Header, error) {
	h := &headers{all: http.Header{}}
	var list []map[string]json.RawMessage
	var object map[string]json.RawMessage
	var err error
	switch {
	case len(raw) > 2*maxHeaderBytes: // room for quotes, spaces and escapes
		err = fmt.Errorf("the headers have more than %d bytes", maxHeaderBytes)
	case len(raw) == 0 || string(raw) == "null":
	case raw[0] == '[' && json.Unmarshal(raw, &list) == nil:
		for _, members := range list {
			err = errors.Join(err, h.addObject(members, false))
		}
	case raw[0] == '{' && json.Unmarshal(raw, &object) == nil:
		err = h.addObject(object, true)
	default:
		err = errors.New("headers must be an object of strings")
	}
	if err != nil {
		return nil, err
	}
	drop(h.all)
	return h.all, nil
}

func (h *headers) addObject(members map[string]json.RawMessage, nested bool) error {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		raw := members[name]
		var list []json.RawMessage
		var object map[string]json.RawMessage
		var err error
		switch {
		case raw[0] == '[' && json.Unmarshal(raw, &list) == nil:
			for _, value := range list {
				err = errors.Join(err, h.add(name, value))
			}
		case nested && raw[0] == '{' && json.Unmarshal(raw, &object) == nil:
			err = h.addObject(object, false)
		default:
			err = h.add(name, raw)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add validates and adds one value. A line break would inject another field.
func (h *headers) add(name string, raw json.RawMessage) error {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		v = nil
	}
	value, isText := v.(string)
	if _, isNumber := v.(float64); isNumber {
		value = string(raw)
	} else if !isText {
		return fmt.Errorf("the header %.60q must be a string", name)
	}
	value = strings.Trim(value, " \t")
	switch {
	case !httpfield.ValidName(name):
		return fmt.Errorf("%.60q is not the name of a header", name)
	case !httpfield.ValidValue(value):
		return fmt.Errorf("the header %.60q has a line break or another control character", name)
	}
	if h.sizeBytes += len(name) + len(value); h.sizeBytes > maxHeaderBytes {
		return fmt.Errorf("the headers have more than %d bytes", maxHeaderBytes)
	}
	h.all.Add(name, value)
	return nil
}

// hopByHop are the hop-by-hop fields of RFC 9110 section 7.6.1, and the fields that frame a message.
var hopByHop = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true, "Te": true,
	"Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Content-Length": true, "Expect": true,
}

// drop removes the fields that a worker may not set.
func drop(h http.Header) {
	for name := range connectionOptions(h) {
		delete(h, name)
	}
	for name := range hopByHop {
		delete(h, name)
	}
	delete(h, "X-Request-Id")
}

// connectionOptions returns the field names listed in Connection.
func connectionOptions(h http.Header) map[string]bool {
	named := map[string]bool{}
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			named[textproto.CanonicalMIMEHeaderKey(strings.Trim(name, " \t"))] = true
		}
	}
	return named
}
