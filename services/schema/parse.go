package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

// Parse returns the value of a field that was given as text, in the order of texts for lists. refused is the predicate
// of a violation if a text is not a value of the field.
func (f Field) Parse(texts ...string) (value any, refused string) {
	switch f.Type {
	case Texts, Blobs:
		return slices.Clone(texts), ""
	case Pairs:
		return f.parsePairs(texts)
	case Config:
		pairs, refused := f.parsePairs(texts)
		return Settings{ByName: pairs}, refused
	}
	text := texts[len(texts)-1]
	switch f.Type {
	case Bool, Mark:
		return text == "true", unless(text == "true" || text == "false", "is %.60q: it must be true or false", text)
	case Count:
		n, err := strconv.ParseUint(text, 10, 31)
		return int64(n), unless(err == nil, "is %.60q: it must be a whole number from 0 to %d", text, math.MaxInt32)
	case Amount:
		n, err := strconv.ParseUint(text, 10, 53)
		return int64(n), unless(err == nil, "is %.60q: it must be a whole number from 0 to %d", text, int64(1)<<53-1)
	case Size:
		return f.parseSize(text)
	case Duration:
		return f.parseDuration(text)
	case Path:
		return cleanPath(text), ""
	case Contents:
		return text, unless(utf8.ValidString(text) && len(text) <= MaxTextBytes, "must be UTF-8 text of at most %d bytes", MaxTextBytes)
	}
	stands := text == "" && f.Default != "" // an empty text stands for the default
	return text, unless(len(f.Choices) == 0 || stands || slices.Contains(f.Choices, text),
		"is %.60q: it must be %s", text, strings.Join(f.Choices, " or "))
}

// Empty returns the value of a list without items.
func (f Field) Empty() any {
	switch f.Type {
	case Pairs:
		return map[string]string{}
	case Config:
		return Settings{}
	}
	return []string{}
}

// unless returns a text, or nothing if ok holds.
func unless(ok bool, format string, args ...any) string {
	if ok {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// cleanPath returns the canonical form of a local path. Other paths stay as they are: the kind refuses them.
func cleanPath(name string) string {
	if !filepath.IsLocal(name) {
		return name
	}
	return filepath.ToSlash(filepath.Clean(name))
}

func (f Field) parseSize(text string) (any, string) {
	n, err := humanize.ParseBytes(text)
	switch {
	case err != nil:
		return nil, fmt.Sprintf("is %.60q: write it like 16MiB, or as a number of bytes", text)
	case n == 0 || n > math.MaxInt64:
		return nil, fmt.Sprintf("is %.60q: it must be more than 0 and less than 8 EiB", text)
	}
	return int64(n), ""
}

func (f Field) parseDuration(text string) (any, string) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return nil, fmt.Sprintf("is %.60q: write it like 500ms, 10s or 1m30s", text)
	case d <= 0:
		return nil, fmt.Sprintf("is %.60q: it must be more than 0", text)
	}
	return d.String(), ""
}

// parsePairs reads NAME=VALUE. Values may be secrets: no text repeats them.
func (f Field) parsePairs(texts []string) (map[string]string, string) {
	pairs := make(map[string]string, len(texts))
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, "must be " + f.Form
		}
		if _, twice := pairs[name]; twice {
			return nil, fmt.Sprintf("has the name %.60q more than once", name)
		}
		pairs[name] = value
	}
	return pairs, ""
}

// ParseJSON returns the value of a field that was given as JSON. Numbers and booleans may be strings, too.
func (f Field) ParseJSON(text json.RawMessage) (value any, refused string) {
	switch {
	case f.Type == Texts || f.Type == Blobs:
		return list[[]string](text, '[', "must be an array of strings"+f.inArray())
	case f.Type == Config:
		return f.parseSettings(text)
	case f.Type == Pairs:
		pairs, refused := list[map[string]string](text, '{', `must be an object of strings, such as {"name": "value"}`)
		if _, empty := pairs.(map[string]string)[""]; empty && refused == "" {
			return nil, "must be " + f.Form
		}
		return pairs, refused
	}
	var s string
	switch {
	case text[0] == '"' && json.Unmarshal(text, &s) == nil:
		return f.Parse(s)
	case f.Type.IsBool() && (string(text) == "true" || string(text) == "false"):
		return f.Parse(string(text))
	case (f.Type == Count || f.Type == Amount) && text[0] != 'n' && json.Unmarshal(text, new(json.Number)) == nil,
		f.Type == Size && text[0] != 'n' && json.Unmarshal(text, new(uint64)) == nil:
		return f.Parse(string(text))
	case f.Type == Size:
		return nil, `must be a string such as "16MiB", or a whole number of bytes`
	case f.Type == Count || f.Type == Amount:
		return nil, "must be a whole number"
	case f.Type.IsBool():
		return nil, "must be true or false"
	}
	return nil, "must be a string"
}

// inArray returns the example of a list, as the one item of an array, or "".
func (f Field) inArray() string {
	if f.Example == "" {
		return ""
	}
	item, _, _ := strings.Cut(f.Example, " or ")
	return fmt.Sprintf(", such as [%q]", strings.Trim(item, "'"))
}

// list decodes an array or an object, which begins with open.
func list[T any](text json.RawMessage, open byte, otherwise string) (any, string) {
	var v T
	if text[0] != open || json.Unmarshal(text, &v) != nil {
		return v, otherwise
	}
	return v, ""
}

// Show returns the text of a value, which can be parsed again unless it is Settings with a text. Secrets are shown too:
// see [Field.Secret].
func (f Field) Show(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case bool:
		return strconv.FormatBool(value)
	case int64:
		if f.Type == Size {
			return SizeText(value)
		}
		return strconv.FormatInt(value, 10)
	case []string:
		return strings.Join(value, ", ")
	case map[string]string:
		var texts []string
		for _, name := range slices.Sorted(maps.Keys(value)) {
			texts = append(texts, name+"="+value[name])
		}
		return strings.Join(texts, ", ")
	case Settings:
		if value.Text != "" {
			return value.Summary()
		}
		return f.Show(value.ByName)
	}
	return ""
}

// SizeText formats a number of bytes so that it can be parsed again.
func SizeText(bytes int64) string {
	switch {
	case bytes == 0:
		return "0"
	case bytes%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", bytes>>20)
	case bytes%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", bytes>>10)
	}
	return strconv.FormatInt(bytes, 10)
}
