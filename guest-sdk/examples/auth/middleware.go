package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// secrets returns the secret of a user. If the user is unknown, ok is false.
type secrets func(user string) (secret string, ok bool)

type userKey struct{}

// userOf returns the user that authenticate stored in the request's context, or "".
func userOf(r *http.Request) string {
	user, _ := r.Context().Value(userKey{}).(string)
	return user
}

// authenticate calls next for requests with a valid token, with the user in the context. It responds to others with
// status 401.
func authenticate(secretOf secrets, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, ok := check(secretOf, r.Header.Get("Authorization"))
		if !ok {
			w.Header().Set("WWW-Authenticate", `Bearer realm="example"`)
			http.Error(w, "a valid token is needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
	})
}

// authorize calls next for requests of one user and responds to others with status 403. It must be wrapped by
// authenticate.
func authorize(user string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if userOf(r) != user {
			http.Error(w, "this is not for you", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// check verifies the value of the Authorization header. It takes the same time for an unknown user and a wrong secret. A
// user with an empty secret cannot authenticate.
func check(secretOf secrets, authorization string) (user string, ok bool) {
	scheme, token, _ := strings.Cut(authorization, " ")
	user, given, _ := strings.Cut(strings.TrimSpace(token), ":")
	secret, known := secretOf(user)
	// Comparing digests, which have equal lengths, does not reveal the length of the secret.
	want, got := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(given))
	same := subtle.ConstantTimeCompare(want[:], got[:]) == 1
	return user, same && known && user != "" && secret != "" && strings.EqualFold(scheme, "Bearer")
}
