package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func post(csv string) *guesttest.Answer {
	return guesttest.Serve(&guesttest.Request{Method: "POST", Body: strings.NewReader(csv)})
}

func TestDraw(t *testing.T) {
	const want = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 202 102">` +
		`<path fill="none" stroke="black" stroke-width="1" d="M0 0L100 50.5L200 100"/></svg>` + "\n"
	for name, csv := range map[string]string{
		"plain":  "0,0\n100,50.5\n200,100\n",
		"header": "x,y\r\n0,0\r\n100,50.5\r\n200,1e2\r\n",
		"quoted": "\"0\", 0 \n\n100,50.5\n 200,\"100\"",
	} {
		answer := post(csv)
		if answer.Status != 200 || answer.Body != want || answer.Header["content-type"][0] != "image/svg+xml" {
			t.Errorf("%s: %+v", name, answer)
		}
	}
}

func TestRefused(t *testing.T) {
	for csv, want := range map[string]string{
		"1,2\n3,1e999\n":                     "400 line 2: \"1e999\" is not a number from -1e9 to 1e9\n",
		"":                                   "400 a line needs two points at least\n",
		"x,y\n":                              "400 a line needs two points at least\n",
		"1,2\n":                              "400 a line needs two points at least\n",
		"1,2\n3\n":                           "400 record on line 2: wrong number of fields\n",
		"1,2\n3,four\n":                      "400 line 2: \"four\" is not a number from -1e9 to 1e9\n",
		"1,y\n3,4\n":                         "400 line 1: \"y\" is not a number from -1e9 to 1e9\n",
		"x,y\nx,y\n":                         "400 line 2: \"x\" is not a number from -1e9 to 1e9\n",
		"1,2\n3,NaN\n":                       "400 line 2: \"NaN\" is not a number from -1e9 to 1e9\n",
		"1,2\n3,-2e9\n":                      "400 line 2: \"-2e9\" is not a number from -1e9 to 1e9\n",
		"1,2\n\"3,4\n":                       "400 parse error on line 2, column 6: extraneous or missing \" in quoted-field\n",
		"1,2\n3,<script>&\"\n":               "400 parse error on line 2, column 12: bare \" in non-quoted-field\n",
		strings.Repeat("1,2\n", maxPoints+1): "413 more than 100000 points\n",
	} {
		answer := post(csv)
		if got := fmt.Sprint(answer.Status, " ", answer.Body); got != want {
			t.Errorf("%.40q: got %q, want %q", csv, got, want)
		}
	}
	if answer := guesttest.Serve(&guesttest.Request{}); answer.Status != 405 || answer.Header["allow"][0] != "POST" {
		t.Errorf("%+v", answer)
	}
}

// FuzzDraw tests that every accepted file results in well-formed XML with finite numbers.
func FuzzDraw(f *testing.F) {
	for _, csv := range []string{"0,0\n1,1\n", "x,y\n1e9,-1e9\n-1e9,1e9\n", "5,5\n5,5\n", "1,\"2\"\n3,4", "0x1p-2,1_0\n1,1"} {
		f.Add(csv)
	}
	f.Fuzz(func(t *testing.T, csv string) {
		answer := post(csv)
		if answer.Ended || answer.Status >= 500 {
			t.Fatalf("%+v", answer)
		}
		if answer.Status != 200 {
			return
		}
		var svg struct {
			ViewBox string `xml:"viewBox,attr"`
			Path    struct {
				D string `xml:"d,attr"`
			} `xml:"path"`
		}
		if err := xml.NewDecoder(strings.NewReader(answer.Body)).Decode(&svg); err != nil && err != io.EOF {
			t.Fatalf("%v: %s", err, answer.Body)
		}
		for _, text := range strings.Fields(svg.ViewBox + " " + strings.NewReplacer("M", " ", "L", " ").Replace(svg.Path.D)) {
			var v float64
			if _, err := fmt.Sscan(text, &v); err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
				t.Fatalf("%q of %s", text, answer.Body)
			}
		}
	})
}
