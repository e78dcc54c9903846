// Command image-resize makes pictures smaller: POST a PNG or JPEG, with the size that it shall fit into in the query, and the
// answer is the picture in the same format. Proportions are kept, and nothing is made larger.
//
//	POST .../?width=200&height=100
//
// All that it takes is bounded before it is taken: the size of the file by what is read, the size of the picture by its header.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
)

const (
	maxFileBytes = 1 << 20
	// maxPixels is what fits into 16 MiB of memory in the worst case: decoding a progressive JPEG takes 16 bytes for each.
	maxPixels   = 512 << 10
	maxSide     = 10_000
	jpegQuality = 85
)

func init() { nethttp.Serve(http.HandlerFunc(serve)) }

// refusal is an error that is the client's.
type refusal struct {
	status int
	reason string
}

func (r refusal) Error() string { return r.reason }

func refuse(status int, format string, args ...any) error {
	return refusal{status, fmt.Sprintf(format, args...)}
}

func serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "POST a PNG or JPEG picture", http.StatusMethodNotAllowed)
		return
	}
	picture, contentType, err := handle(w, r)
	var refused refusal
	switch {
	case errors.As(err, &refused):
		http.Error(w, refused.reason, refused.status)
		return
	case err != nil:
		panic(err) // our own fault: 500, and the reason is in the log
	}
	w.Header().Set("Content-Type", contentType)
	w.Write(picture)
}

// handle gives the answer's body and its type.
func handle(w http.ResponseWriter, r *http.Request) (picture []byte, contentType string, err error) {
	within, err := wanted(r.URL.Query())
	if err != nil {
		return nil, "", err
	}
	file, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFileBytes))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, "", refuse(http.StatusRequestEntityTooLarge, "the file is larger than %d bytes", maxFileBytes)
	} else if err != nil {
		return nil, "", err
	}
	from, format, err := decode(file)
	if err != nil {
		return nil, "", err
	}
	size := fit(from.Bounds().Size(), within)
	if size == from.Bounds().Size() {
		return file, "image/" + format, nil
	}
	var b bytes.Buffer
	small := shrink(from, size)
	if format == "png" {
		encoder := png.Encoder{CompressionLevel: png.BestSpeed}
		err = encoder.Encode(&b, small)
	} else {
		err = jpeg.Encode(&b, small, &jpeg.Options{Quality: jpegQuality})
	}
	return b.Bytes(), "image/" + format, err
}

// wanted reads the query: the size that the picture shall fit into. A side that is not given is not bounded.
func wanted(query url.Values) (within image.Point, err error) {
	for name, side := range map[string]*int{"width": &within.X, "height": &within.Y} {
		*side = maxSide
		if !query.Has(name) {
			continue
		}
		*side, err = strconv.Atoi(query.Get(name))
		if err != nil || *side < 1 || *side > maxSide {
			return within, refuse(http.StatusBadRequest, "%s must be a number of pixels, from 1 to %d", name, maxSide)
		}
	}
	if !query.Has("width") && !query.Has("height") {
		return within, refuse(http.StatusBadRequest, "say what size the picture shall fit into: ?width=200, ?height=100, or both")
	}
	return within, nil
}

// decode reads a picture, after its header has said that it is not too large.
func decode(file []byte) (picture image.Image, format string, err error) {
	config, format, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, "", refuse(http.StatusUnsupportedMediaType, "the body is neither a PNG nor a JPEG picture")
	}
	if config.Width > maxSide || config.Height > maxSide || config.Width*config.Height > maxPixels {
		return nil, "", refuse(http.StatusRequestEntityTooLarge, "a picture of %d x %d pixels is too large", config.Width, config.Height)
	}
	picture, _, err = image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, "", refuse(http.StatusBadRequest, "the picture is damaged: %v", err)
	}
	return picture, format, nil
}

func main() {}
