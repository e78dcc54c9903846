package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
)

const (
	maxValueBytes = 256 << 10
	maxList       = 100
)

// handler returns the store's HTTP interface.
func handler(v *values, token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys/{key}", func(w http.ResponseWriter, r *http.Request) { get(v, w, r) })
	mux.HandleFunc("PUT /keys/{key}", func(w http.ResponseWriter, r *http.Request) { put(v, w, r) })
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) { list(v, w, r) })
	want := sha256.Sum256([]byte("Bearer " + token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			http.Error(w, "the token is needed", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func get(v *values, w http.ResponseWriter, r *http.Request) {
	e, ok := v.get(r.PathValue("key"))
	if !ok {
		http.Error(w, "there is no such key", http.StatusNotFound)
		return
	}
	w.Header().Set("ETag", e.Version)
	w.Header().Set("Content-Type", "application/json")
	w.Write(e.Value)
}

func put(v *values, w http.ResponseWriter, r *http.Request) {
	version := r.Header.Get("If-Match")
	if version == "" && r.Header.Get("If-None-Match") != "*" {
		http.Error(w, "a PUT needs If-Match, or If-None-Match: *", http.StatusPreconditionRequired)
		return
	}
	value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxValueBytes))
	if err != nil || !json.Valid(value) {
		http.Error(w, "a value is JSON of at most 256 KiB", http.StatusBadRequest)
		return
	}
	next, err := v.put(r.PathValue("key"), value, version)
	switch {
	case errors.Is(err, errChanged):
		http.Error(w, err.Error(), http.StatusPreconditionFailed)
	case err != nil:
		slog.Error("a value was not written", "err", err)
		http.Error(w, "the value was not written", http.StatusInternalServerError)
	default:
		w.Header().Set("ETag", next)
		w.WriteHeader(http.StatusNoContent)
	}
}

func list(v *values, w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil || limit < 1 || limit > maxList {
		http.Error(w, "limit is from 1 to "+strconv.Itoa(maxList), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v.list(func(key string) bool {
		return strings.HasPrefix(key, query.Get("prefix")) && key > query.Get("after")
	}, limit))
}
