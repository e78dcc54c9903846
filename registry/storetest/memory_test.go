package storetest

import (
	"testing"

	"github.com/vespo-dev/vespo/registry"
)

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) Medium {
		return Medium{
			Volatile: true,
			Open: func(*testing.T) (registry.Store, func()) {
				return NewMemory(&registry.State{}), func() {}
			},
		}
	})
}

func TestMemoryBlobs(t *testing.T) {
	RunBlobs(t, func(*testing.T) Blobs {
		blobs := NewMemoryBlobs()
		return Blobs{
			Volatile: true,
			Open:     func(*testing.T) (registry.BlobStore, func()) { return blobs, func() {} },
			Damage:   func(_ *testing.T, d registry.Digest, content []byte) { blobs.Damage(d, content) },
		}
	})
}
