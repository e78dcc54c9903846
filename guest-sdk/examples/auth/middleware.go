package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// secrets gives the secret of a user; ok is false if there is no such user.
type secrets func(user string) (secret string, ok bool)

type userKey struct{}

// userOf gives the user that authenticate has found.
func userOf(r *http.Request) string {
	user, _ := r.Context().Value(userKey{}).(string)
	return user
}

// authenticate lets requests pass whose token is right, with the user in their context.
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

// authorize lets one user pass. It stands behind authenticate.
func authorize(user string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if userOf(r) != user {
			http.Error(w, "this is not for you", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// check reads the header Authorization. An unknown user takes it as long as a wrong secret, and an empty secret is none.
func check(secretOf secrets, authorization string) (user string, ok bool) {
	scheme, token, _ := strings.Cut(authorization, " ")
	user, given, _ := strings.Cut(strings.TrimSpace(token), ":")
	secret, known := secretOf(user)
	// Digests have one length, whatever the secrets have: the comparison tells nothing of them.
	want, got := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(given))
	same := subtle.ConstantTimeCompare(want[:], got[:]) == 1
	return user, same && known && user != "" && secret != "" && strings.EqualFold(scheme, "Bearer")
}
