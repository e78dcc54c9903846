package configfile

import (
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// modules describes the modules of one reading of a file. Their contents are not kept: those of many services together can
// exceed the memory of the machine.
type modules struct {
	maxBytes int64                // immutable
	known    map[string]described // by path; immutable after describe

	mu   sync.Mutex
	last module // guarded by mu; services that share a module often follow each other
}

// described is a module that was read, or could not be.
type described struct {
	blob services.Blob
	err  error
}

// module is a module in memory.
type module struct {
	path    string
	content []byte
}

// maxReaders bounds the modules that are read at a time.
const maxReaders = 8

// describe reads the modules of services, several at a time: nearly all of a start with many of them is this.
func (m *modules) describe(all []service) {
	m.known = make(map[string]described)
	var paths []string
	for i := range all {
		for _, path := range append([]string{all[i].module}, all[i].use...) {
			if _, ok := m.known[path]; !ok && path != "" {
				m.known[path] = described{}
				paths = append(paths, path)
			}
		}
	}
	found := make([]described, len(paths))
	var next atomic.Int64
	var readers sync.WaitGroup
	for range min(len(paths), runtime.GOMAXPROCS(0), maxReaders) {
		readers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(paths)); i = next.Add(1) - 1 {
				found[i].blob, found[i].err = m.read(paths[i])
			}
		})
	}
	readers.Wait()
	for i, path := range paths {
		m.known[path] = found[i]
	}
}

// blob returns the description of a module.
func (m *modules) blob(path string) (services.Blob, error) {
	d := m.known[path]
	return d.blob, d.err
}

// read reads a module to describe it.
func (m *modules) read(path string) (b services.Blob, err error) {
	var digest registry.Digest
	var sizeBytes int64
	err = readWhole(path, m.maxBytes, nil, func(from io.Reader, _ int64) (int64, error) {
		digest, sizeBytes, err = registry.ReadDigest(io.LimitReader(from, m.maxBytes+1))
		return sizeBytes, err
	})
	if err != nil {
		return services.Blob{}, err
	}
	return services.Blob{
		Digest:    digest,
		SizeBytes: sizeBytes,
		Read:      func() ([]byte, error) { return m.again(path, digest) },
	}, nil
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
