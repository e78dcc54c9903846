// Command cgi is a CGI program that uses net/http/cgi: a form that converts temperatures. It does not depend on
// WebAssembly. Built for the machine, it runs behind any web server with CGI; built for WASI, it runs in Vespo.
package main

import (
	"fmt"
	"html"
	"math"
	"net/http"
	"net/http/cgi"
	"os"
	"strconv"
)

const maxFormBytes = 4 << 10

func main() {
	if err := cgi.Serve(http.HandlerFunc(convert)); err != nil {
		fmt.Fprintln(os.Stderr, err) // goes to the server's log
		os.Exit(1)
	}
}

// page is a format string for the URL of the form, the input and the result.
const page = `<!doctype html>
<title>Temperatures</title>
<form method="post" action="%s">
<label>Degrees Celsius <input name="celsius" value="%s"></label> <button>Convert</button>
</form>
<p>%s</p>
`

func convert(w http.ResponseWriter, r *http.Request) {
	status, given, text := http.StatusOK, "", "Which temperature?"
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "this form cannot be read", http.StatusBadRequest)
			return
		}
		given = r.PostForm.Get("celsius")
		status, text = fahrenheit(given)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "GET the form, or POST it", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, page, html.EscapeString(r.URL.Path), html.EscapeString(given), text)
	}
}

// absoluteZero is the lowest temperature, in degrees Celsius.
const absoluteZero = -273.15

// fahrenheit returns the status of the response and the text to show.
func fahrenheit(celsius string) (status int, text string) {
	degrees, err := strconv.ParseFloat(celsius, 64)
	switch {
	case err != nil || math.IsNaN(degrees) || math.IsInf(degrees, 0):
		return http.StatusUnprocessableEntity, "Please give a number."
	case degrees < absoluteZero:
		return http.StatusUnprocessableEntity, "Nothing is as cold as that."
	}
	return http.StatusOK, fmt.Sprintf("That is %.1f degrees Fahrenheit.", degrees*9/5+32)
}
