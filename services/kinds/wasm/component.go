package wasm

import (
	"fmt"
	"strings"
)

// Limits of the interfaces of a component that are shown. Large programs have some 30.
const (
	maxShownNames     = 100
	maxShownNameBytes = 200
)

// shownNames returns names for the owner of a service.
func shownNames(names []string) (shown []string) {
	for i, name := range names {
		if i == maxShownNames {
			return append(shown, fmt.Sprintf("%d more", len(names)-i))
		}
		shown = append(shown, strings.ToValidUTF8(name[:min(len(name), maxShownNameBytes)], ""))
	}
	return shown
}
