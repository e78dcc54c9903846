package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// maxAge is the maximum age of a state, from the first page on.
const maxAge = time.Hour

var (
	errForged  = errors.New("the state was not signed with this key")
	errExpired = errors.New("the state is too old")
)

var encoding = base64.RawURLEncoding.Strict()

// seal encodes a state with a signature: CONTENT.SIGNATURE. The content is signed and not encrypted.
func seal(key []byte, r report) string {
	content, err := json.Marshal(r)
	if err != nil {
		panic(err) // impossible: strings and a time can always be encoded
	}
	text := encoding.EncodeToString(content)
	return text + "." + encoding.EncodeToString(sign(key, text))
}

// unseal decodes the result of seal. It returns an error if the signature is invalid or the state is too old.
func unseal(key []byte, sealed string, now time.Time) (r report, err error) {
	text, signature, _ := strings.Cut(sealed, ".")
	given, err := encoding.DecodeString(signature)
	if err != nil || !hmac.Equal(given, sign(key, text)) {
		return report{}, errForged
	}
	content, err := encoding.DecodeString(text)
	if err != nil {
		return report{}, errForged
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return report{}, errForged
	}
	if age := now.Sub(r.Begun); age < -time.Minute || age > maxAge {
		return report{}, errExpired
	}
	return r, nil
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
