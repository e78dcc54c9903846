package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var testToken = strings.Repeat("x", minTokenBytes)

// ask sends a request to h, with pairs of header fields.
func ask(h http.Handler, method, target, body string, fields ...string) *http.Response {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+testToken)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func opened(t *testing.T, file string) http.Handler {
	t.Helper()
	v, err := open(file)
	if err != nil {
		t.Fatal(err)
	}
	return handler(v, testToken)
}

func textOf(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestConditions(t *testing.T) {
	h := opened(t, filepath.Join(t.TempDir(), "values"))
	for _, test := range []struct {
		body, name, value string
		status            int
	}{
		{`1`, "", "", 428},
		{`1`, "If-Match", `"1"`, 412},
		{`no JSON`, "If-None-Match", "*", 400},
		{`"` + strings.Repeat("x", maxValueBytes) + `"`, "If-None-Match", "*", 400},
		{`1`, "If-None-Match", "*", 204},
		{`2`, "If-None-Match", "*", 412},
		{`2`, "If-Match", `"1"`, 204},
		{`3`, "If-Match", `"1"`, 412},
		{`3`, "Authorization", "Bearer y", 401},
	} {
		if got := ask(h, "PUT", "/keys/user:ada", test.body, test.name, test.value).StatusCode; got != test.status {
			t.Errorf("%.20s with %s: %s: %d, want %d", test.body, test.name, test.value, got, test.status)
		}
	}
	answer := ask(h, "GET", "/keys/user:ada", "")
	if got := textOf(t, answer); got != "2" || answer.Header.Get("ETag") != `"2"` {
		t.Errorf("%s, %v", got, answer.Header)
	}
	if got := ask(h, "GET", "/keys/user:eve", "").StatusCode; got != 404 {
		t.Error(got)
	}
}

// TestRestart opens the file of another store.
func TestRestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "values")
	h := opened(t, file)
	for i := range 12 {
		ask(h, "PUT", "/keys/user:"+strconv.Itoa(i), strconv.Itoa(i), "If-None-Match", "*")
	}
	ask(h, "PUT", "/keys/other", "1", "If-None-Match", "*")
	got := textOf(t, ask(opened(t, file), "GET", "/keys?prefix=user:&after=user:10&limit=2", ""))
	want := `[{"key":"user:11","version":"\"12\"","value":11},{"key":"user:2","version":"\"3\"","value":2}]` + "\n"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := ask(h, "GET", "/keys?limit=0", "").StatusCode; got != 400 {
		t.Error(got)
	}
}

// TestNoLostUpdate increments a number from several clients, each with the version that it has read.
func TestNoLostUpdate(t *testing.T) {
	h := opened(t, filepath.Join(t.TempDir(), "values"))
	ask(h, "PUT", "/keys/n", "0", "If-None-Match", "*")
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			for done := 0; done < 5; {
				answer := ask(h, "GET", "/keys/n", "")
				n, err := strconv.Atoi(textOf(t, answer))
				if err != nil {
					t.Error(err)
					return
				}
				if ask(h, "PUT", "/keys/n", strconv.Itoa(n+1), "If-Match", answer.Header.Get("ETag")).StatusCode == 204 {
					done++
				}
			}
		}()
	}
	all.Wait()
	if got := textOf(t, ask(h, "GET", "/keys/n", "")); got != "20" {
		t.Error(got)
	}
}

// TestFailedWrite keeps the old value if the file cannot be written.
func TestFailedWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h := opened(t, filepath.Join(dir, "values"))
	ask(h, "PUT", "/keys/n", "0", "If-None-Match", "*")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if got := ask(h, "PUT", "/keys/n", "1", "If-Match", `"1"`).StatusCode; got != 500 {
		t.Error(got)
	}
	if got := textOf(t, ask(h, "GET", "/keys/n", "")); got != "0" {
		t.Error(got)
	}
}

func TestTokenIsNeeded(t *testing.T) {
	if err := run(t.Context(), "127.0.0.1:0", filepath.Join(t.TempDir(), "values"), "short"); err == nil {
		t.Error("it runs without a token")
	}
}
