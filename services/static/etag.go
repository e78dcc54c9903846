package static

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io/fs"
	"time"
)

// racyAge is how old the last change of a file must be for its entity tag to be strong: file systems may count time in steps, and another
// change within the same step could not be told from the one before. Two seconds is the longest step in use.
const racyAge = 2 * time.Second

// dateMargin is how long after a second has passed a file may still be given a time within it: clocks of file systems tick late.
const dateMargin = 20 * time.Millisecond

// validators are what a client can tell versions of a file apart by.
type validators struct {
	tag string
	// dated is false as long as the file may change again within the second of its Last-Modified, or where that is in the future: it is not
	// sent then. A date that was sent is of a second that has passed.
	dated bool
	// exact reports whether the date of the file identifies its content: the tag is strong, and the file was not changed since the second of
	// the date. Tools that copy or set times change it later.
	exact bool
}

// validatorsOf returns the validators of a file at some time. The entity tag is made of what the file system tells and not of the content, which
// would have to be read as a whole first. Where the file system tells what no call can set (when and to which file the last change was), the
// tag is strong, and so is good for ranges; elsewhere changes are told by size and time of modification.
func validatorsOf(info fs.FileInfo, now time.Time) (v validators) {
	facts := binary.LittleEndian.AppendUint64(nil, uint64(info.Size()))
	facts = binary.LittleEndian.AppendUint64(facts, uint64(info.ModTime().UnixNano()))
	facts, changed, sure := appendIdentity(facts, info)
	sum := sha256.Sum256(facts) // it is no client's business how many files there are, and where
	v.tag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	v.dated = now.After(time.Unix(info.ModTime().Unix()+1, 0).Add(dateMargin))
	if !sure || now.Sub(changed) < racyAge {
		v.tag = "W/" + v.tag
		return v
	}
	v.exact = changed.Unix() == info.ModTime().Unix()
	return v
}
