package static

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io/fs"
	"time"
)

// racyAge is the minimum age of a file's last change for a strong entity tag. File systems may count time
// in steps, and two changes within one step cannot be told apart. The longest step in use is two seconds.
const racyAge = 2 * time.Second

// dateMargin is how long after the end of a second a file may still get a time within
// it, because file system clocks tick late.
const dateMargin = 20 * time.Millisecond

// validators tell versions of a file apart.
type validators struct {
	tag string
	// dated is false if the file may change again within the second of its Last-Modified, or if that second
	// is in the future. Last-Modified is not sent then, so every date sent is of a second that has passed.
	dated bool
	// exact reports whether the date identifies the content: the tag is strong, and the last change was
	// within the second of the date. Tools that copy files or set times change the file later than that.
	exact bool
}

// validatorsOf returns the validators of a file at time now. The entity tag is derived from
// file metadata, because hashing the content means reading the whole file first. Where the
// metadata includes the inode and its change time, which no call can set, the tag is strong
// and allows ranges. Elsewhere changes are detected by size and modification time only.
func validatorsOf(info fs.FileInfo, now time.Time) (v validators) {
	facts := binary.LittleEndian.AppendUint64(nil, uint64(info.Size()))
	facts = binary.LittleEndian.AppendUint64(facts, uint64(info.ModTime().UnixNano()))
	facts, changed, sure := appendIdentity(facts, info)
	sum := sha256.Sum256(facts) // hashed, so clients do not learn inode numbers and devices
	v.tag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	v.dated = now.After(time.Unix(info.ModTime().Unix()+1, 0).Add(dateMargin))
	if !sure || now.Sub(changed) < racyAge {
		v.tag = "W/" + v.tag
		return v
	}
	v.exact = changed.Unix() == info.ModTime().Unix()
	return v
}
