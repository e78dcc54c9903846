package wasm

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"

	"github.com/vespo-dev/vespo/registry"
)

// Forget removes the compiled code of modules that are no longer in the catalogue from the disk.
func (k *Kind) Forget(modules iter.Seq[registry.Digest]) error {
	return k.engine.Forget(sums(modules)...)
}

// Retain removes the compiled code of all modules from the disk except those in the catalogue.
func (k *Kind) Retain(modules iter.Seq[registry.Digest]) error {
	return k.engine.Retain(sums(modules)...)
}

func sums(modules iter.Seq[registry.Digest]) (all [][sha256.Size]byte) {
	for digest := range modules {
		if sum, ok := sumOf(digest); ok {
			all = append(all, sum)
		}
	}
	return all
}

// sumOf returns the bytes of a digest.
func sumOf(digest registry.Digest) (sum [sha256.Size]byte, ok bool) {
	b, err := hex.DecodeString(digest.Hex())
	if err != nil || len(b) != len(sum) {
		return sum, false
	}
	return [sha256.Size]byte(b), true
}
