//go:build !wasip1

package guesttest

import (
	"slices"
	"strings"
)

// headers is a list of header fields in the order in which they were added.
type headers []field

type field struct{ name, value string }

func headersOf(m map[string][]string) (h headers) {
	for name, values := range m {
		for _, value := range values {
			h = append(h, field{strings.ToLower(name), value})
		}
	}
	slices.SortStableFunc(h, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return h
}

func (h headers) toMap() map[string][]string {
	m := map[string][]string{}
	for _, f := range h {
		m[f.name] = append(m[f.name], f.value)
	}
	return m
}

func (h headers) names() (names []string) {
	for _, f := range h {
		if !slices.Contains(names, f.name) {
			names = append(names, f.name)
		}
	}
	return names
}

func (h headers) values(name string) (values []string) {
	for _, f := range h {
		if f.name == strings.ToLower(name) {
			values = append(values, f.value)
		}
	}
	return values
}

func (h *headers) add(name, value string) { *h = append(*h, field{strings.ToLower(name), value}) }

func (h *headers) remove(name string) {
	*h = slices.DeleteFunc(*h, func(f field) bool { return f.name == strings.ToLower(name) })
}
