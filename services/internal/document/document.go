// Package document has the form in which the catalogue keeps what a prefix is bound to where that is no module: a JSON object, always in
// the same bytes for the same binding, so that it has one digest.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxBytes bounds a document, and so what a deploy can make the catalogue keep of it.
const MaxBytes = 64 << 10

// Encode gives the text of d, a struct of strings, numbers, booleans and lists of these.
func Encode(d any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		panic("document: what is no plain data cannot be encoded: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Decode reads a text into d, which is one of noun ("a proxy"). It looks at the form alone: members that d does not have are refused, and
// so is what follows the document. The error is fit for the client.
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
