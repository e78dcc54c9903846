package registry

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
)

// contentFormat is hashed first. It must change with the encoding, which changes every content digest.
const contentFormat = "vespo version 2"

// ContentDigest returns the digest of everything that determines how the version serves: kind, manifest and blobs. Two
// versions have the same digest if and only if SameContent holds.
func (v Version) ContentDigest() Digest {
	e := encoder{sha256.New()}
	e.text(contentFormat)
	e.text(v.Kind)
	e.text(string(v.Manifest))
	e.number(len(v.Blobs))
	for _, b := range v.Blobs {
		e.text(b.Field)
		e.text(string(b.Digest))
	}
	return Digest(digestScheme + hex.EncodeToString(e.Sum(nil)))
}

// encoder writes texts with their lengths, so that different versions have different encodings.
type encoder struct{ hash.Hash }

func (e encoder) text(s string) {
	e.number(len(s))
	_, _ = e.Write([]byte(s)) // a hash never fails
}

func (e encoder) number(n int) {
	_, _ = e.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
}
