package configfile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vespo-dev/vespo/services/schema"
)

// maxValueBytes is the maximum size of a file that is the value of a key.
const maxValueBytes = 1 << 20

// Beginnings of values that are not taken as they are written.
const (
	fromFile     = "file:" // the whole value is the content of a file
	fromVariable = "${"
	escape       = "$" // in front of the others; they are text then
)

// values replaces variables and files in the values of a table.
type values struct {
	file   *File
	where  map[string]int        // lines of the table's keys
	secret func(key string) bool // reports whether a value of the table's key is never shown, or always a file's
	binary func(key string) bool // reports whether the value of the table's key can be any bytes; may be nil

	violations Violations
	failed     map[string]bool // keys of the table with violations
}

// expand replaces the values in table, in place.
func (v *values) expand(table map[string]any) {
	v.failed = make(map[string]bool)
	for _, key := range slices.Sorted(maps.Keys(table)) {
		table[key] = v.value(table[key], key)
	}
}

// value returns one value with its parts replaced. path is its place below the table.
func (v *values) value(value any, path ...string) any {
	switch value := value.(type) {
	case string:
		text, err := v.text(value, v.secret(path[0]))
		switch {
		case err == nil && utf8.ValidString(text):
			return text
		case err == nil && len(path) == 1 && v.binary != nil && v.binary(path[0]):
			return schema.Settings{Text: text}
		case err == nil:
			err = fmt.Errorf("is in the file %s, which is not UTF-8 text", v.file.secrets[len(v.file.secrets)-1])
		}
		v.violations = append(v.violations, v.file.violation(lineOf(v.where, path), "%s %s", strings.Join(path, "."), err))
		v.failed[path[0]] = true
	case []any:
		for i := range value {
			value[i] = v.value(value[i], path...)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			value[key] = v.value(value[key], append(slices.Clip(path), key)...)
		}
	}
	return value
}

// text returns a text with its parts replaced. No error repeats a part of the text, which may be a secret, except names of
// variables and files.
func (v *values) text(text string, secret bool) (string, error) {
	path, whole := strings.CutPrefix(text, fromFile)
	switch {
	case whole && !secret:
		return "", errors.New(`begins with "file:", but is shown to who may manage the server: only secrets can be in files. Write "$file:" for a text that begins so`)
	case whole:
		path, err := v.variables(path)
		if err != nil {
			return "", err
		}
		return v.content(path)
	case strings.HasPrefix(text, escape) && strings.HasPrefix(strings.TrimLeft(text, escape), fromFile):
		text = text[len(escape):]
	}
	return v.variables(text)
}

// content returns the content of a file without the end of its last line. It may be any bytes.
func (v *values) content(path string) (string, error) {
	path = v.file.Relative(path)
	v.file.secrets = append(v.file.secrets, path)
	content, err := readFile(path, maxValueBytes, nil)
	if err != nil {
		return "", fmt.Errorf("is in the file %s: %w", path, err)
	}
	text, _ := strings.CutSuffix(string(content), "\n")
	text, _ = strings.CutSuffix(text, "\r")
	return text, nil
}

// variables returns a text with its variables replaced.
func (v *values) variables(text string) (string, error) {
	var b strings.Builder
	for rest := text; ; {
		at := strings.Index(rest, fromVariable)
		if at < 0 {
			b.WriteString(rest)
			return b.String(), nil
		}
		if at > 0 && rest[at-1:at] == escape {
			b.WriteString(rest[:at-1] + fromVariable)
			rest = rest[at+len(fromVariable):]
			continue
		}
		b.WriteString(rest[:at])
		inner, after, closed := strings.Cut(rest[at+len(fromVariable):], "}")
		name, fallback, hasFallback := strings.Cut(inner, ":-")
		if !closed || !isName(name) || strings.Contains(fallback, fromVariable) {
			return "", fmt.Errorf(`has "${" at character %d, where neither ${NAME} nor ${NAME:-default} begins: write "$${" for the text`,
				1+utf8.RuneCountInString(text[:len(text)-len(rest)+at]))
		}
		value, err := v.variable(name, fallback, hasFallback)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		rest = after
	}
}

// variable returns the value of a variable.
func (v *values) variable(name, fallback string, hasFallback bool) (string, error) {
	value, ok := v.file.source.Lookup(name)
	switch {
	case hasFallback && value == "":
		return fallback, nil
	case !ok:
		return "", fmt.Errorf("needs the environment variable %s, which is not set: set it, or write ${%s:-default}", name, name)
	case !utf8.ValidString(value):
		return "", fmt.Errorf("needs the environment variable %s, which is not UTF-8 text", name)
	}
	return value, nil
}

// isName reports whether s is the name of a variable.
func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// Escape returns the value of a key that stands for the text.
func Escape(text string) string {
	if strings.HasPrefix(strings.TrimLeft(text, escape), fromFile) {
		text = escape + text
	}
	return strings.ReplaceAll(text, fromVariable, escape+fromVariable)
}
