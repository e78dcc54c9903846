package configfile

import (
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is how many symbolic links are followed on the way to a file, as by Linux.
const maxLinks = 40

// trail gives the places in the file system whose exchange exchanges what a path leads to: the file itself, each symbolic link on the way
// to it, the directory that it is in, and where the way ends if there is no such file, the first that is missing. Kubernetes replaces
// the files of a ConfigMap by exchanging one link on the way. The places are absolute, each in a directory that is no link.
func trail(path string) (places []string) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	at := filepath.VolumeName(absolute) + string(filepath.Separator)
	names := split(absolute[len(at):])
	for links := 0; len(names) > 0; {
		next := filepath.Join(at, names[0])
		names = names[1:]
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			return append(places, next)
		case info.Mode()&os.ModeSymlink != 0:
			places = append(places, next)
			target, err := os.Readlink(next)
			if links++; err != nil || links > maxLinks {
				return places
			}
			if filepath.IsAbs(target) {
				at = filepath.VolumeName(target) + string(filepath.Separator)
				target = target[len(at):]
			}
			names = append(split(target), names...)
			continue
		case len(names) <= 1:
			places = append(places, next)
		}
		at = next
	}
	return places
}

// split gives the names of a path; those that lead back stay.
func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return os.IsPathSeparator(uint8(r)) && r < 0x80 })
}
