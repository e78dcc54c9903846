package static

import (
	"io/fs"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
)

// codings are the forms in which a file may lie compressed beside itself, the one that is preferred first.
var codings = [...]struct{ name, extension string }{{"br", ".br"}, {"zstd", ".zst"}, {"gzip", ".gz"}}

// older reports whether a compressed file is of an earlier version of f, by whole seconds: compressors that copy the time of f, as pigz and
// brotli do, leave out the fraction.
func older(compressed, f fs.FileInfo) bool { return compressed.ModTime().Unix() < f.ModTime().Unix() }

// variant returns the form of f that the client likes best: f itself, or a compressed file beside it. The coding is empty for f. A compressed
// file that is older than f is not taken. f is closed where it is not the one that is returned.
func (d tree) variant(w http.ResponseWriter, r *http.Request, f *file) (_ *file, coding string) {
	accepted := strings.Join(r.Header.Values("Accept-Encoding"), ",")
	best, extension, bestQuality := "", "", 0
	for _, c := range codings {
		info, err := d.dir.Stat(filepath.FromSlash(f.name + c.extension))
		if err != nil || !info.Mode().IsRegular() || older(info, f.info) {
			continue
		}
		w.Header().Set("Vary", "Accept-Encoding")
		if q, _ := quality(accepted, c.name); q > bestQuality {
			best, extension, bestQuality = c.name, c.extension, q
		}
	}
	// Who says nothing of it takes the file as it is, and likes better what was asked for.
	if q, named := quality(accepted, "identity"); best == "" || named && q > bestQuality {
		return f, ""
	}
	compressed, err := d.open(f.name + extension)
	if err != nil { // it was there a moment ago
		return f, ""
	}
	_ = f.Close()
	compressed.name = f.name
	return compressed, best
}

// quality gives the weight of a coding in the header Accept-Encoding, RFC 9110 section 12.5.3, in thousandths, and whether the header names
// the coding or all that it does not name. A weight that is malformed counts as none.
func quality(accepted, coding string) (thousandths int, named bool) {
	for element := range strings.SplitSeq(accepted, ",") {
		name, parameters, weighted := strings.Cut(element, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		own := name == coding || coding == "gzip" && name == "x-gzip"
		if !own && (name != "*" || named) {
			continue
		}
		thousandths, named = 1000, true
		if weighted {
			thousandths = weight(parameters)
		}
		if own {
			return thousandths, true
		}
	}
	return thousandths, named
}

// weight reads "q=0.5".
func weight(parameter string) (thousandths int) {
	name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
	q, err := strconv.ParseFloat(value, 64)
	if err != nil || !strings.EqualFold(strings.TrimSpace(name), "q") || !(q >= 0 && q <= 1) {
		return 0
	}
	return int(q * 1000)
}
