package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/vespo-dev/vespo/services/egress/fetch"
)

// decodeJSON reads Frenezulo's form: a JSON object with a prefix and the address of the module.
func (d *decoder) decodeJSON(r *http.Request, body *pacedBody) (*addRequest, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, bodyProblem(err, body)
	}
	f := newFields("JSON member", changeFields(fieldPrefix, fieldSource)...)
	f.refuseQuery(r)
	if !f.addJSON(text) {
		return nil, f.err()
	}
	req := newAddRequest(f)
	req.source = f.source()
	if req.kind, req.module = f.bound(fieldSource); !req.bound() {
		f.missing(fieldSource, "give the http or https address of the module"+orElse)
	}
	return req, f.err()
}

// addJSON adds the members of a JSON object. It returns false if text is not one and its members are unknown.
func (f *fields) addJSON(text []byte) bool {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors and shells write a byte order mark
	if len(bytes.TrimSpace(text)) == 0 {
		f.violatef(`the body is empty: send a JSON object such as {"prefix": "hello", "source": "https://example.com/hello.wasm"}`)
		return false
	}
	if !utf8.Valid(text) {
		f.violatef("the JSON is not valid UTF-8")
		return false
	}
	// This checks the whole text: the package bounds the nesting, and anything after the object is an error.
	var whole json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil {
		f.malformedJSON(err)
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		f.violatef("the JSON is not an object")
		return false
	}
	for dec.More() {
		var value json.RawMessage
		name, err := dec.Token()
		if err == nil {
			err = dec.Decode(&value)
		}
		if err != nil {
			f.malformedJSON(err)
			return false
		}
		f.addMember(name.(string), value) // the key of a valid object is a string
	}
	return true
}

func (f *fields) malformedJSON(err error) {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		f.violatef("the JSON is malformed at byte %d: %.100s", syntax.Offset, syntax.Error())
		return
	}
	f.violatef("the JSON is malformed")
}

// addMember adds one member. Number and boolean fields may also be JSON numbers and booleans; all others must
// be strings.
func (f *fields) addMember(name string, value json.RawMessage) {
	if f.claimed[name] && isList(name) {
		f.violatef("%s %s is given more than once", f.noun, name)
		return
	}
	if !f.claim(name) {
		return
	}
	if isList(name) {
		f.addListMember(name, value)
		return
	}
	var s string
	var n uint64
	switch {
	case value[0] == '"' && json.Unmarshal(value, &s) == nil:
		f.values[name] = s
	case isBoolean(name) && (string(value) == "true" || string(value) == "false"):
		f.values[name] = string(value)
	case (name == fieldMemory || isNumber(name)) && json.Unmarshal(value, &n) == nil && value[0] != 'n':
		f.values[name] = string(value)
	case name == fieldMemory:
		f.violatef(`%s memory must be a string such as "16MiB", or a whole number of bytes`, f.noun)
	default:
		f.violatef("%s %s must be a string", f.noun, name)
	}
}

// addListMember adds the values of an array or an object of strings.
func (f *fields) addListMember(name string, value json.RawMessage) {
	var list []string
	var object map[string]string
	switch {
	case !isPairs(name) && value[0] == '[' && json.Unmarshal(value, &list) == nil:
		f.lists[name] = list
	case !isPairs(name):
		f.violatef(`%s %s must be an array of strings, such as ["https://api.example.com"]`, f.noun, name)
	case value[0] == '{' && json.Unmarshal(value, &object) == nil:
		for _, key := range slices.Sorted(maps.Keys(object)) {
			f.set(name, key+"="+object[key])
		}
	default:
		f.violatef(`%s %s must be an object of strings, such as {"name": "value"}`, f.noun, name)
	}
}

// source returns the address of the module, or nil if none was given.
func (f *fields) source() *fetch.Source {
	value, given := f.values[fieldSource]
	if !given {
		return nil
	}
	source, err := fetch.ParseSource(value)
	if err != nil {
		f.violatef("%s %s", f.noun, err)
		return nil
	}
	return &source
}
