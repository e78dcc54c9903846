package registry

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strconv"
)

// contentFormat is hashed first. It must change with the encoding, which changes every content digest.
const contentFormat = "vespo version 1"

// ContentDigest returns the digest of everything that determines how the version serves: kind, blob,
// middleware and options. Two versions have the same digest if and only if SameContent holds. Zero options
// are left out of the encoding, so that a new option does not change the digests of versions that do not use
// it.
func (v Version) ContentDigest() Digest {
	e := encoder{sha256.New()}
	e.field("format", contentFormat)
	e.field("kind", v.Kind)
	e.field("blob", string(v.Digest))
	o := v.Options
	if o.MemoryBytes != 0 {
		e.field("memory", strconv.FormatInt(o.MemoryBytes, 10))
	}
	if o.Timeout != 0 {
		e.field("timeout", strconv.FormatInt(int64(o.Timeout), 10))
	}
	if o.Isolation != "" {
		e.field("isolation", o.Isolation)
	}
	if o.CGIArgs {
		e.field("cgi_args", "true")
	}
	e.field("allow", o.Allow...)
	e.pairs("config", o.Config)
	e.pairs("mounts", o.Mounts)
	use := make([]string, 0, len(o.Use))
	for _, digest := range o.Use {
		use = append(use, string(digest))
	}
	e.field("use", use...)
	e.pairs("use_config", o.UseConfig)
	return Digest(digestScheme + hex.EncodeToString(e.Sum(nil)))
}

// encoder writes fields with their lengths, so that different lists of fields have different encodings.
type encoder struct{ hash.Hash }

// field writes a field, unless it has no values.
func (e encoder) field(name string, values ...string) {
	if len(values) == 0 {
		return
	}
	e.text(name)
	e.number(len(values))
	for _, value := range values {
		e.text(value)
	}
}

func (e encoder) pairs(name string, pairs map[string]string) {
	values := make([]string, 0, 2*len(pairs))
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		values = append(values, key, pairs[key])
	}
	e.field(name, values...)
}

func (e encoder) text(s string) {
	e.number(len(s))
	_, _ = e.Write([]byte(s)) // a hash never fails
}

func (e encoder) number(n int) {
	_, _ = e.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
}
