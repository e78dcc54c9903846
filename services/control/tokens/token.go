package tokens

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"
)

// The form of a token.
const (
	prefix      = "vespo_"
	randomChars = 40
	checkChars  = 6
	tokenBytes  = len(prefix) + randomChars + checkChars
	alphabet    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// Is reports whether a text begins like a token that a server has made.
func Is(text string) bool { return strings.HasPrefix(text, prefix) }

// generate returns a new token.
func generate() string {
	text := make([]byte, 0, tokenBytes)
	text = append(text, prefix...)
	var random [2 * randomChars]byte
	for len(text) < len(prefix)+randomChars {
		_, _ = rand.Read(random[:]) // it never fails
		for _, b := range random {
			// The largest multiple of 62 in a byte; a remainder of more would favour the first characters.
			if b < 4*byte(len(alphabet)) && len(text) < len(prefix)+randomChars {
				text = append(text, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(text) + checksum(string(text))
}

// checksum returns the last characters of a token: the CRC-32 of the others in base 62.
func checksum(text string) string {
	sum := crc32.ChecksumIEEE([]byte(text))
	var check [checkChars]byte
	for i := range check {
		check[checkChars-1-i] = alphabet[sum%uint32(len(alphabet))]
		sum /= uint32(len(alphabet))
	}
	return string(check[:])
}

// wellFormed reports whether a text has the form of a token, with its checksum.
func wellFormed(text string) bool {
	if len(text) != tokenBytes || !Is(text) {
		return false
	}
	for _, c := range []byte(text[len(prefix):]) {
		if strings.IndexByte(alphabet, c) < 0 {
			return false
		}
	}
	return checksum(text[:tokenBytes-checkChars]) == text[tokenBytes-checkChars:]
}

// digest is the SHA-256 of a token.
type digest [sha256.Size]byte

func digestOf(token string) digest { return sha256.Sum256([]byte(token)) }

// equal compares in constant time.
func (d digest) equal(o digest) bool { return subtle.ConstantTimeCompare(d[:], o[:]) == 1 }

// idBytes is the part of a digest that identifies a token in texts. It does not help to find the token.
const idBytes = 6

// id returns the text that identifies the token.
func (d digest) id() string { return hex.EncodeToString(d[:idBytes]) }

// MarshalText returns d in hexadecimal digits.
func (d digest) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(d[:])), nil }

// UnmarshalText parses hexadecimal digits.
func (d *digest) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("a SHA-256 has %d hexadecimal digits, not %d", hex.EncodedLen(len(d)), len(text))
	}
	_, err := hex.Decode(d[:], text)
	return err
}
