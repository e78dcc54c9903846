// Command image-resize makes pictures smaller. POST a PNG or JPEG picture, with the maximum width and height in the
// query, to get the picture in the same format. The proportions are kept, and pictures are never enlarged.
//
//	POST .../?width=200&height=100
//
// All memory use is bounded: the number of bytes read of the file is limited, and the dimensions in the picture's header
// are checked before the picture is decoded.
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
	// maxPixels is the largest number of pixels that fits into 16 MiB of memory. In the worst case, a progressive JPEG,
	// decoding takes 16 bytes for each pixel.
	maxPixels   = 512 << 10
	maxSide     = 10_000
	jpegQuality = 85
)

func init() { nethttp.Serve(http.HandlerFunc(serve)) }

// refusal is an error of the client. The reason is sent to it.
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
		panic(err) // internal error: status 500, with the reason in the log
	}
	w.Header().Set("Content-Type", contentType)
	w.Write(picture)
}

// handle returns the body of the response and its content type.
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

// wanted parses the maximum width and height in the query. If one is absent, it is maxSide.
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

// decode decodes a picture. It first checks the dimensions in the picture's header.
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
