package static

import (
	"path"
	"strings"
)

// unknownType is the type of files with an unknown extension. With nosniff, browsers offer to save them.
const unknownType = "application/octet-stream"

// types maps extensions to media types. It does not use the system's table, so that a
// site is the same on every machine. It is never written.
var types = map[string]string{
	"html": "text/html; charset=utf-8", "htm": "text/html; charset=utf-8", "xhtml": "application/xhtml+xml",
	"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "mjs": "text/javascript; charset=utf-8",
	"json": "application/json", "map": "application/json", "jsonld": "application/ld+json", "geojson": "application/geo+json",
	"webmanifest": "application/manifest+json", "wasm": "application/wasm",
	"txt": "text/plain; charset=utf-8", "md": "text/markdown; charset=utf-8", "csv": "text/csv; charset=utf-8",
	"ics": "text/calendar; charset=utf-8", "vtt": "text/vtt; charset=utf-8",
	"yaml": "application/yaml", "yml": "application/yaml", "toml": "application/toml",
	"xml": "text/xml; charset=utf-8", "rss": "application/rss+xml", "atom": "application/atom+xml",
	"svg": "image/svg+xml", "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
	"avif": "image/avif", "ico": "image/x-icon", "bmp": "image/bmp", "jxl": "image/jxl", "tif": "image/tiff", "tiff": "image/tiff",
	"woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf",
	"mp3": "audio/mpeg", "m4a": "audio/mp4", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav", "oga": "audio/ogg", "ogg": "audio/ogg",
	"opus": "audio/ogg", "mp4": "video/mp4", "m4v": "video/mp4", "webm": "video/webm", "ogv": "video/ogg", "mov": "video/quicktime",
	"m3u8": "application/vnd.apple.mpegurl", "ts": "video/mp2t",
	"pdf": "application/pdf", "zip": "application/zip", "gz": "application/gzip", "zst": "application/zstd", "bz2": "application/x-bzip2",
	"xz": "application/x-xz", "7z": "application/x-7z-compressed", "tar": "application/x-tar", "epub": "application/epub+zip", "rtf": "application/rtf",
}

// typeOf returns the media type of a file by its extension.
func typeOf(name string) string {
	if t, known := types[strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))]; known {
		return t
	}
	return unknownType
}
