package lambda

import (
	"sync"

	"github.com/vespo-dev/vespo/internal/routekey"
)

// maxForeign bounds the services that a backlog leaves to other hosts. Events of further ones are taken and given back.
const maxForeign = 1000

// foreign has services that other hosts run, as far as this host has met their events. It is safe for concurrent use.
type foreign struct {
	mu   sync.Mutex
	keys map[routekey.Key]string // guarded by mu; their String forms
}

// add remembers a service. It reports whether there was room.
func (f *foreign) add(key routekey.Key) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys[key] == "" && len(f.keys) >= maxForeign {
		return false
	}
	if f.keys == nil {
		f.keys = make(map[routekey.Key]string)
	}
	f.keys[key] = key.String()
	return true
}

// names returns the services that are still away. It forgets the others.
func (f *foreign) names(away func(routekey.Key) bool) (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, name := range f.keys {
		if away(key) {
			all = append(all, name)
		} else {
			delete(f.keys, key)
		}
	}
	return all
}
