package schema

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxTextBytes is the maximum size of the text of Settings. Two of them fit into a manifest.
const MaxTextBytes = 256 << 10

// encodedName is the only name of the JSON object for a text that is not one of characters. No setting can have it.
const encodedName = "=base64"

// Settings is a value of type Config: what a guest is configured with. It has settings by name, or a text, or neither.
//
// Its JSON is an object of strings, or a string. A text that is not valid UTF-8, or has control characters besides tabs
// and line ends, is {"=base64": "..."}.
type Settings struct {
	ByName map[string]string
	Text   string // of any bytes
}

// IsZero reports whether s has neither settings nor a text.
func (s Settings) IsZero() bool { return len(s.ByName) == 0 && s.Text == "" }

// Equal reports whether two Settings are the same.
func (s Settings) Equal(o Settings) bool { return s.Text == o.Text && maps.Equal(s.ByName, o.ByName) }

// Names returns the sorted names of the settings.
func (s Settings) Names() []string { return slices.Sorted(maps.Keys(s.ByName)) }

// Summary describes s without its values, which may be secrets: by names, or by the size of the text.
func (s Settings) Summary() string {
	if s.Text != "" {
		return fmt.Sprintf("%d bytes", len(s.Text))
	}
	return strings.Join(s.Names(), ", ")
}

// MarshalJSON implements json.Marshaler. Equal Settings have equal JSON.
func (s Settings) MarshalJSON() ([]byte, error) {
	switch {
	case s.Text == "" && s.ByName == nil:
		return []byte("{}"), nil
	case s.Text == "":
		return encode(s.ByName), nil
	case plain(s.Text):
		return encode(s.Text), nil
	}
	return encode(map[string]string{encodedName: base64.StdEncoding.EncodeToString([]byte(s.Text))}), nil
}

// plain reports whether a text is stored as a JSON string, which takes at most twice its bytes.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r' || r == '\u2028' || r == '\u2029'
	})
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Settings) UnmarshalJSON(text []byte) error {
	*s = Settings{}
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &s.Text)
	}
	if err := json.Unmarshal(text, &s.ByName); err != nil {
		return err
	}
	encoded, ok := s.ByName[encodedName]
	if !ok {
		return nil
	}
	if len(s.ByName) > 1 {
		return errors.New(encodedName + " is not the only name")
	}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	*s = Settings{Text: string(decoded)}
	return err
}

// parseSettings parses JSON.
func (f Field) parseSettings(text json.RawMessage) (any, string) {
	var s Settings
	if text[0] != '"' && text[0] != '{' || json.Unmarshal(text, &s) != nil {
		return s, `must be an object of strings, such as {"name": "value"}, a string, or bytes as {"` + encodedName + `": "..."}`
	}
	if _, empty := s.ByName[""]; empty {
		return s, "must be " + f.Form
	}
	return s, ""
}

// Adapt returns a value of another field with the same name as one of f. Kinds that only have settings by name share
// their field's name with kinds that also take a text.
func (f Field) Adapt(value any) (adapted any, refused string) {
	s, ok := value.(Settings)
	if !ok || f.Type == Config {
		return value, ""
	}
	return s.ByName, unless(s.Text == "", "is one text: this kind of service has settings by name, %s", f.Form)
}
