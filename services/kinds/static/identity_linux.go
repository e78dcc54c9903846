package static

import (
	"encoding/binary"
	"io/fs"
	"syscall"
	"time"
)

// appendIdentity appends the device, the inode and the inode's change time, which no call can set.
func appendIdentity(facts []byte, info fs.FileInfo) (_ []byte, changed time.Time, sure bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return facts, time.Time{}, false
	}
	changed = time.Unix(stat.Ctim.Unix())
	facts = binary.LittleEndian.AppendUint64(facts, uint64(stat.Dev))
	facts = binary.LittleEndian.AppendUint64(facts, stat.Ino)
	return binary.LittleEndian.AppendUint64(facts, uint64(changed.UnixNano())), changed, true
}
