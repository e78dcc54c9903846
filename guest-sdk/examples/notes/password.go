package main

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/hex"
	"strconv"
	"strings"
)

// iterations is OWASP's advice for PBKDF2 with HMAC-SHA-512. It is a variable so that tests can be quick.
var iterations = 210_000

const saltBytes = 16

// hashPassword returns a text from which a password can be checked but not read: ITERATIONS$SALT$HASH.
func hashPassword(password string) string {
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	return hashWith(password, iterations, salt)
}

func hashWith(password string, n int, salt []byte) string {
	hash, err := pbkdf2.Key(sha512.New, password, salt, n, sha512.Size/2)
	if err != nil {
		panic(err) // impossible outside of FIPS mode
	}
	return strconv.Itoa(n) + "$" + hex.EncodeToString(salt) + "$" + hex.EncodeToString(hash)
}

// checkPassword reports whether the password is the one of the hash. It takes as long for a user that does not exist,
// whose hash is "".
func checkPassword(hash, password string) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 3 {
		hashWith(password, iterations, make([]byte, saltBytes))
		return false
	}
	n, err := strconv.Atoi(parts[0])
	salt, saltErr := hex.DecodeString(parts[1])
	if err != nil || saltErr != nil || n < 1 {
		return false
	}
	return hmac.Equal([]byte(hash), []byte(hashWith(password, n, salt)))
}
