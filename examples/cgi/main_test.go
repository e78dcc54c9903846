package main

import (
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain runs the program if a web server started the test binary, which is the CGI program under test.
func TestMain(m *testing.M) {
	if os.Getenv("GATEWAY_INTERFACE") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestBehindAnotherServer runs the program, built for this machine, behind the CGI server of Go's library.
func TestBehindAnotherServer(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	server := httptest.NewServer(&cgi.Handler{Path: program, Root: "/cgi-bin/degrees"})
	defer server.Close()
	for _, c := range []struct {
		method, celsius string
		status          int
		want            string
	}{
		{"GET", "", 200, `action="/cgi-bin/degrees/x"`},
		{"POST", "100", 200, "That is 212.0 degrees"},
		{"POST", "-300", 422, "Nothing is as cold"},
		{"POST", `"><script>`, 422, `value="&#34;&gt;&lt;script&gt;"`},
		{"POST", strings.Repeat("1", maxFormBytes), 400, "cannot be read"},
		{"PUT", "", 405, "GET the form"},
	} {
		var body io.Reader
		if c.method == "POST" {
			body = strings.NewReader(url.Values{"celsius": {c.celsius}}.Encode())
		}
		r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+"/cgi-bin/degrees/x", body)
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := server.Client().Do(r)
		require.NoError(t, err)
		got, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, c.status, res.StatusCode, "%s", got)
		require.Contains(t, string(got), c.want)
		require.NotContains(t, string(got), "<script>")
	}
}

func TestFahrenheit(t *testing.T) {
	for celsius, want := range map[string]string{"0": "32.0", "100": "212.0", "-40": "-40.0", "36.6": "97.9", "-273.15": "-459.7"} {
		status, text := fahrenheit(celsius)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "That is "+want+" degrees Fahrenheit.", text)
	}
	for _, celsius := range []string{"", "x", "NaN", "Inf", "-273.16", "1e999"} {
		status, _ := fahrenheit(celsius)
		require.Equal(t, http.StatusUnprocessableEntity, status, celsius)
	}
}
