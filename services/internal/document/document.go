// Package document encodes the configuration of non-wasm services as canonical JSON,
// so equal configurations have equal digests.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxBytes is the maximum size of a document, and so of its copy in the catalogue.
const MaxBytes = 64 << 10

// Encode returns the canonical JSON of d. d must be a struct of strings, numbers,
// booleans and lists of these.
func Encode(d any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		panic("document: a value that is not plain data cannot be encoded: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Decode parses text into d. noun names the type of d in errors ("a proxy"). Unknown members and data
// after the document are refused; values are not checked. The error is safe to return to the client.
func Decode(text []byte, d any, noun string) error {
	if len(text) > MaxBytes {
		return fmt.Errorf("the document has %d bytes, at most %d are taken", len(text), MaxBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	dec.DisallowUnknownFields()
	if err := dec.Decode(d); err != nil {
		return fmt.Errorf("the document is not one of %s: %w", noun, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the document is followed by something else")
	}
	return nil
}
