// Command json is a small JSON API for the items of a shop, on a net/http router. Every request starts with the initial
// items.
//
//	GET  /items        returns all items
//	GET  /items/{id}   returns one item
//	POST /items        validates an item and returns it with the next id; the item is discarded when the request ends
package main

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
	"github.com/vespo-dev/vespo/guest-sdk/vespo/vespohttp"
)

type item struct {
	ID    int    `json:"id"`
	Name  string `json:"name"`
	Cents int    `json:"cents"`
}

var items = []item{{1, "honey", 450}, {2, "wax", 300}}

const bodyLimitBytes = 64 << 10

func init() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items", list)
	mux.HandleFunc("GET /items/{id}", get)
	mux.HandleFunc("POST /items", create)
	nethttp.Serve(vespohttp.StripPrefix(mux))
}

func list(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, items) }

func get(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id < 1 || id > len(items) {
		answer(w, http.StatusNotFound, problem{"no such item"})
		return
	}
	answer(w, http.StatusOK, items[id-1])
}

func create(w http.ResponseWriter, r *http.Request) {
	var made item
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyLimitBytes))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&made); err != nil {
		answer(w, http.StatusBadRequest, problem{err.Error()})
		return
	}
	if made.Name == "" || made.Cents <= 0 {
		answer(w, http.StatusUnprocessableEntity, problem{"an item needs a name and a price"})
		return
	}
	made.ID = len(items) + 1
	items = append(items, made) // for this request only
	answer(w, http.StatusCreated, made)
}

type problem struct {
	Error string `json:"error"`
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func main() {}
