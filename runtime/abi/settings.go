package abi

import "encoding/json"

// Settings are a service's settings and secrets for its guest: by name, or one text of any bytes. They are immutable. The
// zero Settings are empty.
type Settings struct {
	byName map[string]string
	text   string
}

// TextSettings returns Settings that are one text.
func TextSettings(text string) Settings { return Settings{text: text} }

// NewSettings returns Settings for a map, which must not be changed afterwards.
func NewSettings(byName map[string]string) Settings {
	s := Settings{byName: byName}
	if len(byName) > 0 {
		text, err := json.Marshal(byName)
		if err != nil {
			panic("a map of strings can always be encoded: " + err.Error())
		}
		s.text = string(text)
	}
	return s
}

// Get returns the setting with this name.
func (s Settings) Get(name string) (value string, ok bool) {
	value, ok = s.byName[name]
	return value, ok
}

// All returns all settings by name. The caller must not change the map.
func (s Settings) All() map[string]string { return s.byName }

// Text returns the text, or all settings by name as one JSON object. It returns "" if there are none.
func (s Settings) Text() string { return s.text }
