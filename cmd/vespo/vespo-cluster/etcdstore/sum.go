package etcdstore

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// digest is a number of 256 bits. The sum of the hashes of all entries is the checksum of a catalogue: it changes with
// each entry, does not depend on their order, and costs nothing for entries that stay.
type digest [4]uint64

// hashOf returns the hash of an entry.
func hashOf(key string, value []byte) (d digest) {
	h := sha256.New()
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(key)))) // a hash never fails
	_, _ = h.Write([]byte(key))
	_, _ = h.Write(value)
	sum := h.Sum(nil)
	for i := range d {
		d[i] = binary.BigEndian.Uint64(sum[8*i:])
	}
	return d
}

// plus returns the sum, modulo 2^256.
func (d digest) plus(o digest) digest {
	var carry uint64
	for i := len(d) - 1; i >= 0; i-- {
		d[i], carry = bits.Add64(d[i], o[i], carry)
	}
	return d
}

// minus returns the difference, modulo 2^256.
func (d digest) minus(o digest) digest {
	var borrow uint64
	for i := len(d) - 1; i >= 0; i-- {
		d[i], borrow = bits.Sub64(d[i], o[i], borrow)
	}
	return d
}

func (d digest) String() string {
	var b []byte
	for _, part := range d {
		b = binary.BigEndian.AppendUint64(b, part)
	}
	return hex.EncodeToString(b)
}
