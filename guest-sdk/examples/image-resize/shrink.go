package main

import (
	"image"
	"image/draw"
)

// fit returns the largest size that has the proportions of picture and exceeds neither within nor picture.
func fit(picture, within image.Point) image.Point {
	if picture.X <= within.X && picture.Y <= within.Y {
		return picture
	}
	if picture.X*within.Y > within.X*picture.Y { // the width is the tighter limit
		return image.Pt(within.X, max(1, picture.Y*within.X/picture.X))
	}
	return image.Pt(max(1, picture.X*within.Y/picture.Y), within.Y)
}

// shrink scales a picture down. Each pixel of the result is the mean of the pixels that it replaces. The picture is
// converted in strips of the rows for one row of the result, because converting it at once would double the memory use.
func shrink(from image.Image, size image.Point) image.Image {
	bounds := from.Bounds()
	to := image.NewRGBA(image.Rectangle{Max: size})
	rows := image.NewRGBA(image.Rect(0, 0, bounds.Dx(), bounds.Dy()/size.Y+1))
	for y := range size.Y {
		top, bottom := y*bounds.Dy()/size.Y, (y+1)*bounds.Dy()/size.Y
		strip := rows.SubImage(image.Rect(0, 0, bounds.Dx(), bottom-top)).(*image.RGBA)
		draw.Draw(strip, strip.Rect, from, bounds.Min.Add(image.Pt(0, top)), draw.Src)
		for x := range size.X {
			left, right := x*bounds.Dx()/size.X, (x+1)*bounds.Dx()/size.X
			mean(to.Pix[to.PixOffset(x, y):][:4], strip, left, right)
		}
	}
	return to
}

// mean sets pixel to the mean of the columns from left to right. Colours are premultiplied by alpha, so transparent
// pixels do not affect the colour.
func mean(pixel []byte, strip *image.RGBA, left, right int) {
	var sum [4]int
	height := strip.Rect.Dy()
	for y := range height {
		row := strip.Pix[strip.PixOffset(left, y):strip.PixOffset(right, y)]
		for i, v := range row {
			sum[i%4] += int(v)
		}
	}
	count := height * (right - left)
	for i := range pixel {
		pixel[i] = byte((sum[i] + count/2) / count)
	}
}
