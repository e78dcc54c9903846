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

// etagOf gives the entity tag of a file at some time. It is made of what the file system says and not of the content, which would have to
// be read as a whole first. Where the file system tells what nobody can set (when and to which file the last change was), the tag is
// strong, and so is good for ranges; the other changes are told by size and time of modification, as everywhere.
func etagOf(info fs.FileInfo, now time.Time) string {
	facts := binary.LittleEndian.AppendUint64(nil, uint64(info.Size()))
	facts = binary.LittleEndian.AppendUint64(facts, uint64(info.ModTime().UnixNano()))
	facts, changed, sure := appendIdentity(facts, info)
	sum := sha256.Sum256(facts) // for it is nobody's business how many files there are, and where
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	if !sure || now.Sub(changed) < racyAge {
		return "W/" + tag
	}
	return tag
}
