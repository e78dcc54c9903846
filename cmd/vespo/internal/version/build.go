package version

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"runtime/debug"
	"strings"
)

// Build returns what no other build of this program has: the id that Go's linker has given it, which depends on its
// content, or for a release, which has no id, its version and commit. It is empty if there is neither, as on systems whose
// programs are not ELF files.
func Build() string {
	if id := linked(); id != "" {
		return id
	}
	if i := read(stamp, &debug.BuildInfo{}); i.Commit != "" {
		return i.String()
	}
	return ""
}

// linked returns the id of the linker.
func linked() string {
	path := "/proc/self/exe" // the program itself, even if its file was replaced
	if _, err := os.Stat(path); err != nil {
		if path, err = os.Executable(); err != nil {
			return ""
		}
	}
	file, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	section := file.Section(".note.go.buildid")
	if section == nil {
		return ""
	}
	note, err := section.Data()
	if err != nil {
		return ""
	}
	return idOf(note, file.ByteOrder)
}

// idOf returns the id in a note: three words, the sizes of name and id and a type, then the name "Go" and the id.
// Source: https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html#note_section
func idOf(note []byte, order binary.ByteOrder) string {
	const header, name = 12, "Go\x00\x00"
	if len(note) < header+len(name) || string(note[header:header+len(name)]) != name {
		return ""
	}
	id, size := note[header+len(name):], order.Uint32(note[4:])
	if uint64(size) > uint64(len(id)) {
		return ""
	}
	return strings.TrimRight(string(id[:size]), "\x00")
}
