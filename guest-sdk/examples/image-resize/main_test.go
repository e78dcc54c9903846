package main

import (
	"bytes"
	"fmt"

	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func post(query string, file []byte) *guesttest.Answer {
	return guesttest.Serve(&guesttest.Request{Method: "POST", URI: "/?" + query, Body: bytes.NewReader(file)})
}

// halves returns a picture with a red upper half and a transparent lower half.
func halves(width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height / 2 {
		for x := range width {
			m.Set(x, y, color.NRGBA{R: 255, A: 255})
		}
	}
	return m
}

func encodePNG(t testing.TB, m image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPNG(t *testing.T) {
	answer := post("width=50", encodePNG(t, halves(100, 200)))
	if answer.Status != 200 || answer.Header["content-type"][0] != "image/png" {
		t.Fatalf("%+v", answer)
	}
	m, err := png.Decode(strings.NewReader(answer.Body))
	if err != nil {
		t.Fatal(err)
	}
	if m.Bounds().Size() != image.Pt(50, 100) {
		t.Errorf("%v", m.Bounds())
	}
	for y, want := range map[int]color.NRGBA{0: {R: 255, A: 255}, 49: {R: 255, A: 255}, 50: {}, 99: {}} {
		if got := color.NRGBAModel.Convert(m.At(25, y)); got != want {
			t.Errorf("row %d: %v, want %v", y, got, want)
		}
	}
}

func TestNothingIsMadeLarger(t *testing.T) {
	file := encodePNG(t, halves(1024, 512))
	if answer := post("width=2000", file); answer.Status != 200 || answer.Body != string(file) {
		t.Errorf("%d, %d bytes", answer.Status, len(answer.Body))
	}
}

func TestJPEG(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for i := range m.Pix {
		m.Pix[i] = 200
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	answer := post("width=20&height=10", b.Bytes())
	if answer.Status != 200 || answer.Header["content-type"][0] != "image/jpeg" {
		t.Fatalf("%+v", answer)
	}
	small, err := jpeg.Decode(strings.NewReader(answer.Body))
	if err != nil {
		t.Fatal(err)
	}
	r, _, _, _ := small.At(5, 5).RGBA()
	if small.Bounds().Size() != image.Pt(10, 10) || r>>8 < 195 || r>>8 > 205 {
		t.Errorf("%v, red %d", small.Bounds(), r>>8)
	}
}

func TestRefused(t *testing.T) {
	small := encodePNG(t, halves(10, 10))
	for _, test := range []struct {
		query  string
		file   []byte
		status int
		want   string
	}{
		{"", small, 400, "say what size"},
		{"width=0", small, 400, "width must be"},
		{"height=x", small, 400, "height must be"},
		{"width=10001", small, 400, "from 1 to 10000"},
		{"width=5", nil, 415, "neither a PNG nor a JPEG"},
		{"width=5", []byte("GIF89a"), 415, "neither a PNG nor a JPEG"},
		{"width=5", small[:60], 400, "the picture is damaged"},
		{"width=5", encodePNG(t, halves(2000, 2000)), 413, "2000 x 2000 pixels is too large"},
		{"width=5", encodePNG(t, image.NewGray(image.Rect(0, 0, 10_001, 1))), 413, "too large"},
		{"width=5", encodePNG(t, halves(1025, 512)), 413, "too large"},
		{"width=5", make([]byte, maxFileBytes+1), 413, "larger than 1048576 bytes"},
	} {
		answer := post(test.query, test.file)
		if answer.Status != test.status || !strings.Contains(answer.Body, test.want) || answer.Ended {
			t.Errorf("%q, %d bytes: %+v", test.query, len(test.file), answer)
		}
	}
	if answer := guesttest.Serve(&guesttest.Request{}); answer.Status != 405 {
		t.Errorf("%+v", answer)
	}
}

func TestFit(t *testing.T) {
	for _, test := range []struct{ picture, within, want image.Point }{
		{image.Pt(100, 200), image.Pt(50, maxSide), image.Pt(50, 100)},
		{image.Pt(100, 200), image.Pt(50, 10), image.Pt(5, 10)},
		{image.Pt(100, 200), image.Pt(500, 1000), image.Pt(100, 200)},
		{image.Pt(10_000, 1), image.Pt(3, 3), image.Pt(3, 1)},
		{image.Pt(1, 10_000), image.Pt(3, 3), image.Pt(1, 3)},
	} {
		if got := fit(test.picture, test.within); got != test.want {
			t.Errorf("%v within %v: %v, want %v", test.picture, test.within, got, test.want)
		}
	}
}

// TestShrinkKeepsTheMean shrinks noise by factors that divide its size. The mean of all pixels must not change, except
// for rounding.
func TestShrinkKeepsTheMean(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	m := image.NewRGBA(image.Rect(3, 5, 3+120, 5+60)) // bounds need not begin at 0
	for i := range m.Pix {
		m.Pix[i] = byte(random.IntN(256))
		if i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	average := func(m *image.RGBA) (sum float64) {
		for i, v := range m.Pix {
			if i%4 == 0 {
				sum += float64(v)
			}
		}
		return sum / float64(len(m.Pix)/4)
	}
	for _, size := range []image.Point{{60, 30}, {1, 1}, {120, 1}, {40, 15}} {
		got := average(shrink(m, size).(*image.RGBA))
		if want := average(m); got < want-0.6 || got > want+0.6 {
			t.Errorf("%v: mean %.2f, want %.2f", size, got, want)
		}
	}
}

// FuzzResize searches for files that make the handler panic.
func FuzzResize(f *testing.F) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, halves(20, 20), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(3, 10_000, encodePNG(f, halves(10, 20)))
	f.Add(9, 3, b.Bytes())
	f.Add(10_000, 3, encodePNG(f, image.NewPaletted(image.Rect(0, 0, 9, 9), color.Palette{color.Black, color.White})))
	f.Fuzz(func(t *testing.T, width, height int, file []byte) {
		if answer := post(fmt.Sprintf("width=%d&height=%d", width, height), file); answer.Ended {
			t.Fatalf("%+v", answer)
		}
	})
}
