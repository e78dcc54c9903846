package static

import (
	"io/fs"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
)

// codings are the supported encodings of precompressed files, in order of preference.
var codings = [...]struct{ name, extension string }{{"br", ".br"}, {"zstd", ".zst"}, {"gzip", ".gz"}}

// older reports whether a compressed file was made from an earlier version of f. It compares whole
// seconds, because compressors that copy the time of f, such as pigz and brotli, drop the fraction.
func older(compressed, f fs.FileInfo) bool { return compressed.ModTime().Unix() < f.ModTime().Unix() }

// variant returns the form of f that the client prefers: f itself, with an empty coding, or a compressed
// file next to it. Compressed files older than f are ignored. variant closes f if it returns another file.
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
	// Without a mention of identity, the file itself is acceptable, but any accepted coding is preferred.
	if q, named := quality(accepted, "identity"); best == "" || named && q > bestQuality {
		return f, ""
	}
	compressed, err := d.open(f.name + extension)
	if err != nil { // removed since Stat
		return f, ""
	}
	_ = f.Close()
	compressed.name = f.name
	return compressed, best
}

// quality returns the weight of a coding in Accept-Encoding (RFC 9110 section 12.5.3), in thousandths.
// named reports whether the header names the coding or "*". A malformed weight counts as 0.
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

// weight parses "q=0.5".
func weight(parameter string) (thousandths int) {
	name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
	q, err := strconv.ParseFloat(value, 64)
	if err != nil || !strings.EqualFold(strings.TrimSpace(name), "q") || !(q >= 0 && q <= 1) {
		return 0
	}
	return int(q * 1000)
}
