package configfile

import (
	"fmt"
	"sync"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// modules describes the modules of one reading of a file. Their contents are not kept: those of many services together can
// exceed the memory of the machine. blob is used by one goroutine at a time.
type modules struct {
	maxBytes int64                    // immutable
	known    map[string]services.Blob // by path

	mu   sync.Mutex
	last module // guarded by mu; services that share a module often follow each other
}

// module is a module in memory.
type module struct {
	path    string
	content []byte
}

// blob reads a module to describe it.
func (m *modules) blob(path string) (services.Blob, error) {
	if b, ok := m.known[path]; ok {
		return b, nil
	}
	content, err := readFile(path, m.maxBytes, nil)
	if err != nil {
		return services.Blob{}, err
	}
	digest := registry.DigestOf(content)
	b := services.Blob{
		Digest:    digest,
		SizeBytes: int64(len(content)),
		Read:      func() ([]byte, error) { return m.again(path, digest) },
	}
	m.known[path] = b
	return b, nil
}

// again reads a module that was described. It must not have changed.
func (m *modules) again(path string, digest registry.Digest) ([]byte, error) {
	if content := m.lastOf(path); content != nil {
		return content, nil
	}
	content, err := readFile(path, m.maxBytes, nil)
	switch {
	case err != nil:
		return nil, fmt.Errorf("module %s: %w", path, err)
	case registry.DigestOf(content) != digest:
		return nil, fmt.Errorf("module %s was written to while the configuration was applied", path)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = module{path, content}
	return content, nil
}

// lastOf returns the module that was read last if it has the path, or nil.
func (m *modules) lastOf(path string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last.path != path {
		return nil
	}
	return m.last.content
}
