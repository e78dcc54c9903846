package wrangler

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// parseJSONC parses JSON with comments and commas behind the last items.
func parseJSONC(text []byte) (map[string]any, error) {
	plain, err := plainJSON(text)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(plain))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is text behind the object")
	}
	if object == nil {
		return nil, errors.New("it is null, and not an object")
	}
	return object, nil
}

// plainJSON returns text with spaces in place of comments and of commas behind the last items. Places stay the same.
func plainJSON(text []byte) ([]byte, error) {
	plain := bytes.Clone(text)
	comma := -1 // the last comma, if only spaces and comments have followed
	for i := 0; i < len(plain); i++ {
		switch c := plain[i]; c {
		case '"':
			comma = -1
			for i++; i < len(plain) && plain[i] != '"'; i++ {
				if plain[i] == '\\' {
					i++
				}
			}
		case '/':
			end := endOfComment(plain[i:])
			if end < 0 {
				return nil, fmt.Errorf("byte %d begins a comment that does not end, or is none", i)
			}
			blank(plain[i : i+end])
			i += end - 1
		case ',':
			comma = i
		case ']', '}':
			if comma >= 0 {
				plain[comma] = ' '
			}
			comma = -1
		case ' ', '\t', '\r', '\n':
		default:
			comma = -1
		}
	}
	return plain, nil
}

// endOfComment returns the length of the comment that text begins with, or -1.
func endOfComment(text []byte) int {
	switch {
	case bytes.HasPrefix(text, []byte("//")):
		if end := bytes.IndexByte(text, '\n'); end >= 0 {
			return end
		}
		return len(text)
	case bytes.HasPrefix(text, []byte("/*")):
		if end := bytes.Index(text[2:], []byte("*/")); end >= 0 {
			return end + 4
		}
	}
	return -1
}

// blank replaces all but line ends by spaces.
func blank(text []byte) {
	for i, c := range text {
		if c != '\n' && c != '\r' {
			text[i] = ' '
		}
	}
}
