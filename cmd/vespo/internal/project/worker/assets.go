package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"path"
	"strings"

	"github.com/vespo-dev/vespo/internal/regular"
)

// maxAssetBytes is the size limit of all assets of a worker. They are in the memory of every request.
const maxAssetBytes = 4 << 20

// asset is a file as the glue serves it.
type asset struct {
	Type string `json:"type"`
	ETag string `json:"etag"`
	Text string `json:"text,omitempty"`
	Data []byte `json:"data,omitempty"` // base64; instead of Text
}

// readAssets returns the files below a directory, by their paths. Hidden files are left out, as are those that configure
// other servers, which are returned by name.
func readAssets(dir string) (files map[string]asset, ignored []string, err error) {
	root, err := regular.OpenRoot(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("worker.assets.directory: %w", err)
	}
	defer root.Close()
	files = map[string]asset{}
	left := int64(maxAssetBytes)
	system := regular.FS(root)
	err = fs.WalkDir(system, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(d.Name(), ".") && name != ".well-known":
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case name == "_headers" || name == "_redirects":
			ignored = append(ignored, name)
			return nil
		}
		content, err := readAsset(system, name, left)
		if err != nil {
			return err
		}
		left -= int64(len(content))
		files["/"+name] = newAsset(name, content)
		return nil
	})
	return files, ignored, err
}

var errTooLarge = errors.New("the assets have more than 4 MiB, which a worker would hold in the memory of every request: " +
	"serve the directory as a static service instead, see docs/static.md")

func readAsset(system fs.FS, name string, left int64) ([]byte, error) {
	f, err := system.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, left+1))
	if err == nil && int64(len(content)) > left {
		err = errTooLarge
	}
	return content, err
}

func newAsset(name string, content []byte) asset {
	digest := sha256.Sum256(content)
	a := asset{Type: contentType(name), ETag: `"` + hex.EncodeToString(digest[:12]) + `"`}
	if text := string(content); strings.ToValidUTF8(text, "") == text && !strings.HasPrefix(text, "\ufeff") {
		a.Text = text
	} else {
		a.Data = content
	}
	return a
}

// contentType returns the type for a file name. The usual ones do not depend on the machine that builds.
func contentType(name string) string {
	switch suffix := strings.ToLower(path.Ext(name)); suffix {
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".txt", ".md":
		return "text/plain; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".ico":
		return "image/vnd.microsoft.icon"
	case ".woff2":
		return "font/woff2"
	default:
		if known := mime.TypeByExtension(suffix); known != "" {
			return known
		}
		return "application/octet-stream"
	}
}
