package configfile

import (
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is the maximum number of symbolic links followed on the way to a file, as on Linux.
const maxLinks = 40

// trail returns the places whose replacement can change the file at path: the file itself, its directory and
// each symbolic link on the way. If a component is missing, the list ends with it. Kubernetes, for example,
// updates the files of a ConfigMap by replacing one link on the way. The places are absolute, and their
// directories contain no links.
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

// split returns the components of a path. It keeps "..".
func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return os.IsPathSeparator(uint8(r)) && r < 0x80 })
}
