// Package shop adds up an order in JSON.
package shop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

const limitBytes = 64 << 10

// Order is the request's body.
type Order struct {
	Customer string `json:"customer"`
	Lines    []Line `json:"lines"`
}

// Line is an article of an order.
type Line struct {
	Article string `json:"article"`
	Count   int    `json:"count"`
	Cents   int    `json:"cents"`
}

// Sum is the response's body.
type Sum struct {
	Customer string   `json:"customer"`
	Articles []string `json:"articles"`
	Count    int      `json:"count"`
	Cents    int      `json:"cents"`
}

// Add adds up an order.
func Add(o *Order) *Sum {
	s := &Sum{Customer: o.Customer, Articles: make([]string, 0, len(o.Lines))}
	for _, l := range o.Lines {
		s.Articles = append(s.Articles, l.Article)
		s.Count += l.Count
		s.Cents += l.Count * l.Cents
	}
	return s
}

// Serve answers with the sum of the order in the body.
func Serve(w http.ResponseWriter, r *http.Request) {
	var o Order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, limitBytes)).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(Add(&o)) // the server handles write errors
}

// Body returns an order of 20 lines.
func Body() string {
	var lines []string
	for i := range 20 {
		lines = append(lines, fmt.Sprintf(`{"article": "article number %d", "count": %d, "cents": %d}`, i, i%7+1, 100*i+99))
	}
	return `{"customer": "A. Customer", "lines": [` + strings.Join(lines, ", ") + "]}"
}
