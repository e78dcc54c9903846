// Package picture makes JPEG pictures smaller.
package picture

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"net/http"
)

const (
	limitBytes = 1 << 20
	factor     = 4
	side       = 400 // of the picture of Body
)

// Serve answers with the picture in the body at a quarter of its width and height.
func Serve(w http.ResponseWriter, r *http.Request) {
	from, err := jpeg.Decode(http.MaxBytesReader(w, r.Body, limitBytes))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, shrink(from), nil); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	_, _ = b.WriteTo(w) // the server handles write errors
}

// shrink returns the means of squares of factor by factor pixels.
func shrink(from image.Image) image.Image {
	low, size := from.Bounds().Min, from.Bounds().Size().Div(factor)
	to := image.NewRGBA(image.Rectangle{Max: size})
	for y := range size.Y {
		for x := range size.X {
			var r, g, b uint32
			for i := range factor * factor {
				pr, pg, pb, _ := from.At(low.X+factor*x+i%factor, low.Y+factor*y+i/factor).RGBA()
				r, g, b = r+pr>>8, g+pg>>8, b+pb>>8
			}
			const n = factor * factor
			to.SetRGBA(x, y, color.RGBA{uint8(r / n), uint8(g / n), uint8(b / n), 255})
		}
	}
	return to
}

// Body returns a picture of 400 by 400 pixels.
func Body() string {
	p := image.NewRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			p.SetRGBA(x, y, color.RGBA{uint8(x * y / 97), uint8(x + y), uint8(x ^ y), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, p, nil); err != nil {
		panic(err) // a picture of that size can be encoded
	}
	return b.String()
}
