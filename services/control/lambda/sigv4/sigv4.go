// Package sigv4 verifies requests signed with AWS Signature Version 4, in the Authorization header or in the
// query (presigned) (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
//
// The signature covers the body: its hash is always computed, and UNSIGNED-PAYLOAD
// is rejected. Requests with an unsigned X-Amz header are rejected too. Any region
// is accepted. A signature can be replayed until it expires.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Errors of Verify, to be matched with errors.Is. Their texts may be sent to the client.
var (
	ErrMissing    = errors.New("the request is not signed")
	ErrIncomplete = errors.New("the signature is not complete")
	ErrUnknownKey = errors.New("the access key is not known")
	ErrMismatch   = errors.New("the signature does not match the request")
	ErrExpired    = errors.New("the signature is not valid at this time")
)

// MaxSkew is the largest accepted difference between the clocks of client and server.
const MaxSkew = 5 * time.Minute

// maxExpires is the longest validity of a presigned request.
const maxExpires = 7 * 24 * time.Hour

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeLayout = "20060102T150405Z"
	emptyHash  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// Verifier verifies signatures with a set of keys. It is immutable.
type Verifier struct {
	Service string            // service in the credential scope: "lambda"
	Secrets map[string]string // by access key id
}

// signature is a parsed signature.
type signature struct {
	keyID, day, region, service string
	at                          time.Time
	expires                     time.Duration // of a presigned request; 0 for others
	headers                     []string      // names of the signed headers
	value                       string        // hexadecimal digits
	presigned                   bool
}

// Check verifies what it can before the body is read: the key is known, the signature is
// complete and its time is valid. If X-Amz-Content-Sha256 holds the hash of the body, Check
// also verifies the signature and returns verified true. Verify must still check the body.
func (v *Verifier) Check(r *http.Request, now time.Time) (verified bool, err error) {
	s, err := parse(r)
	if err != nil {
		return false, err
	}
	if err := s.check(r, v.Service, now); err != nil {
		return false, err
	}
	secret, known := v.Secrets[s.keyID]
	claimed := r.Header.Get("X-Amz-Content-Sha256")
	switch raw, err := hex.DecodeString(claimed); {
	case !known:
		return false, ErrUnknownKey
	case claimed == "":
		return false, nil
	case err != nil || len(raw) != sha256.Size:
		return false, fmt.Errorf("%w: X-Amz-Content-Sha256 is not the hash of the body", ErrMismatch)
	case !s.matches(secret, r, claimed):
		return false, errWrong
	}
	return true, nil
}

// errWrong is returned for a signature that does not match.
var errWrong = fmt.Errorf("%w: check the secret, and that nothing on the way changes host, path or headers", ErrMismatch)

// matches reports whether the signature is valid for the request with a body of this hash.
func (s *signature) matches(secret string, r *http.Request, bodyHash string) bool {
	return subtle.ConstantTimeCompare([]byte(s.sign(secret, canonicalRequest(r, s, bodyHash))), []byte(s.value)) == 1
}

// Verify checks that the request, with this body, was signed with one of the keys, and returns the key's id.
func (v *Verifier) Verify(r *http.Request, body []byte, now time.Time) (keyID string, err error) {
	s, err := parse(r)
	if err != nil {
		return "", err
	}
	if err := s.check(r, v.Service, now); err != nil {
		return "", err
	}
	hash := hashOf(body)
	if claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed != "" && claimed != hash {
		return "", fmt.Errorf("%w: X-Amz-Content-Sha256 is not the hash of the body", ErrMismatch)
	}
	secret, known := v.Secrets[s.keyID]
	matches := s.matches(secret, r, hash) // also for an unknown key, so that both take equally long
	if !known {
		return "", ErrUnknownKey
	}
	if !matches {
		return "", errWrong
	}
	return s.keyID, nil
}

// check validates everything but the signature's value.
func (s *signature) check(r *http.Request, service string, now time.Time) error {
	switch {
	case s.service != service:
		return fmt.Errorf("%w: it is for the service %.40q, not for %s", ErrMismatch, s.service, service)
	case s.at.Format("20060102") != s.day:
		return fmt.Errorf("%w: the credential is for another day than X-Amz-Date", ErrMismatch)
	case !slices.Contains(s.headers, "host"):
		return fmt.Errorf("%w: the header host must be signed", ErrIncomplete)
	case s.at.After(now.Add(MaxSkew)):
		return fmt.Errorf("%w: it was made in the future; compare the clocks", ErrExpired)
	case s.presigned && now.After(s.at.Add(s.expires)), !s.presigned && now.After(s.at.Add(MaxSkew)):
		return fmt.Errorf("%w: it is too old; compare the clocks", ErrExpired)
	}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !slices.Contains(s.headers, lower) {
			return fmt.Errorf("%w: the header %s must be signed", ErrIncomplete, lower)
		}
	}
	return nil
}

// parse returns the signature of a request.
func parse(r *http.Request) (*signature, error) {
	query := r.URL.Query()
	given := r.Header.Values("Authorization")
	switch presigned := query.Has("X-Amz-Signature"); {
	case len(given) > 1 || len(given) == 1 && presigned:
		return nil, fmt.Errorf("%w: it is given twice", ErrIncomplete)
	case len(given) == 1:
		return parseHeader(given[0], r.Header.Get("X-Amz-Date"))
	case presigned:
		return parseQuery(query)
	}
	return nil, ErrMissing
}

// parseHeader reads "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...".
func parseHeader(authorization, date string) (*signature, error) {
	scheme, rest, _ := strings.Cut(authorization, " ")
	if scheme != algorithm {
		return nil, fmt.Errorf("%w: the scheme of Authorization must be %s", ErrIncomplete, algorithm)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := parts[name]; twice {
			return nil, fmt.Errorf("%w: a part of Authorization is given twice", ErrIncomplete)
		}
		parts[name] = value
	}
	return newSignature(parts["Credential"], date, parts["SignedHeaders"], parts["Signature"])
}

// parseQuery reads the signature from the query of a presigned request.
func parseQuery(query map[string][]string) (*signature, error) {
	one := func(name string) string {
		if len(query[name]) != 1 {
			return ""
		}
		return query[name][0]
	}
	if one("X-Amz-Algorithm") != algorithm {
		return nil, fmt.Errorf("%w: X-Amz-Algorithm must be %s", ErrIncomplete, algorithm)
	}
	seconds, err := strconv.ParseUint(one("X-Amz-Expires"), 10, 31)
	if expires := time.Duration(seconds) * time.Second; err != nil || seconds == 0 || expires > maxExpires {
		return nil, fmt.Errorf("%w: X-Amz-Expires must be between 1 and %d", ErrIncomplete, int(maxExpires.Seconds()))
	}
	s, err := newSignature(one("X-Amz-Credential"), one("X-Amz-Date"), one("X-Amz-SignedHeaders"), one("X-Amz-Signature"))
	if err != nil {
		return nil, err
	}
	s.presigned, s.expires = true, time.Duration(seconds)*time.Second
	return s, nil
}

func newSignature(credential, date, headers, value string) (*signature, error) {
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[4] != terminator || scope[0] == "" {
		return nil, fmt.Errorf("%w: the credential must be KEY/DAY/REGION/SERVICE/%s", ErrIncomplete, terminator)
	}
	at, err := time.Parse(timeLayout, date)
	if err != nil {
		return nil, fmt.Errorf("%w: X-Amz-Date must be a time like %s", ErrIncomplete, timeLayout)
	}
	names := strings.Split(headers, ";")
	if !slices.IsSorted(names) || strings.ToLower(headers) != headers {
		return nil, fmt.Errorf("%w: the names of signed headers must be in lower case, and sorted", ErrIncomplete)
	}
	if len(value) != hex.EncodedLen(sha256.Size) {
		return nil, fmt.Errorf("%w: the signature has not the length of one", ErrIncomplete)
	}
	return &signature{keyID: scope[0], day: scope[1], region: scope[2], service: scope[3], at: at, headers: names, value: value}, nil
}

// sign returns the signature of a canonical request.
func (s *signature) sign(secret, canonical string) string {
	key := []byte("AWS4" + secret)
	for _, part := range [...]string{s.day, s.region, s.service, terminator} {
		key = mac(key, part)
	}
	scope := strings.Join([]string{s.day, s.region, s.service, terminator}, "/")
	text := strings.Join([]string{algorithm, s.at.Format(timeLayout), scope, hashOf([]byte(canonical))}, "\n")
	return hex.EncodeToString(mac(key, text))
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text)) // never fails
	return m.Sum(nil)
}

func hashOf(b []byte) string {
	if len(b) == 0 {
		return emptyHash
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
