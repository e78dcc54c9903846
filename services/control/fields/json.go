package fields

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// AddJSON adds the members of a JSON object. It returns false if text is not one and its members are unknown. example is
// an object for the message about an empty text.
func (in *Input) AddJSON(text []byte, example string) bool {
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors and shells write a byte order mark
	if len(bytes.TrimSpace(text)) == 0 {
		in.Violate("", "the body is empty: send a JSON object such as %s", example)
		return false
	}
	if !utf8.Valid(text) {
		in.Violate("", "the JSON is not valid UTF-8")
		return false
	}
	// This checks the whole text: the package bounds the nesting, and anything after the object is an error.
	var whole json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil {
		in.malformed(err)
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		in.Violate("", "the JSON is not an object")
		return false
	}
	for dec.More() {
		var value json.RawMessage
		name, err := dec.Token()
		if err == nil {
			err = dec.Decode(&value)
		}
		if err != nil {
			in.malformed(err)
			return false
		}
		in.AddMember(name.(string), value) // the key of a valid object is a string
	}
	return true
}

func (in *Input) malformed(err error) {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		in.Violate("", "the JSON is malformed at byte %d: %.100s", syntax.Offset, syntax.Error())
		return
	}
	in.Violate("", "the JSON is malformed")
}
