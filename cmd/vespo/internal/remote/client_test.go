package remote

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

func TestParseServer(t *testing.T) {
	for given, want := range map[string]string{
		"":                        defaultServer,
		"http://127.0.0.1:8080":   "http://127.0.0.1:8080",
		"https://example.com/":    "https://example.com",
		"localhost:1":             "http://localhost:1",
		"[::1]:8080":              "http://[::1]:8080",
		"HTTP://127.0.0.1:8080//": "http://127.0.0.1:8080",
	} {
		got, err := parseServer(given)
		require.NoError(t, err, given)
		require.Equal(t, want, got)
	}
	for _, given := range []string{"ftp://x", "http://", "http://x/services", "http://u:p@x", "http://x?a", "http://x#a", "http://x y", ":8080x"} {
		_, err := parseServer(given)
		require.ErrorContains(t, err, "write it like http://127.0.0.1:8080", given)
	}
}

// answering returns a client of a server with one fixed response.
func answering(t *testing.T, status int, contentType, body string) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	c, err := (&clientFlags{Server: server.URL}).client("")
	require.NoError(t, err)
	return c
}

func TestRefusals(t *testing.T) {
	const problemJSON = "application/problem+json"
	for _, tt := range []struct {
		name, contentType, body string
		status                  int
		want                    string
	}{
		{"violations", problemJSON, `{"title":"Bad request","detail":"d","violations":["one","two"]}`, 400, "d\n  - one\n  - two"},
		{"token", problemJSON, `{"title":"Unauthorized"}`, 401, "Unauthorized\ngive it with --token or in VESPO_TOKEN"},
		{"busy", problemJSON + "; charset=utf-8", `{"title":"No capacity","detail":"d"}`, 503, "d\ntry again in 7 s"},
		{"internal", problemJSON, `{"title":"Internal server error","request_id":"0a"}`, 500, "Internal server error\nrequest id 0a"},
		{"terminal codes", problemJSON, `{"title":"\u001b[2J","detail":"a\nb\u202e"}`, 400, "a\uFFFDb\uFFFD"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := answering(t, tt.status, tt.contentType, tt.body).Get(t.Context(), "/services", nil)
			require.EqualError(t, err, tt.want)
		})
	}
}

func TestRefusalsNameTheService(t *testing.T) {
	c := answering(t, 404, "application/problem+json", `{"title":"Not found","detail":"no service is bound to this prefix"}`)
	c.about = boundTo("a/b/", "Host: x")
	_, err := c.Get(t.Context(), "/services/inspect", nil)
	require.EqualError(t, err, "/a/b Host: x: no service is bound to this prefix")
	require.Equal(t, "/", boundTo("/", ""))
}

func TestAnswersOfOtherServers(t *testing.T) {
	for _, tt := range []struct {
		name, contentType, body string
		status                  int
	}{
		{"a page", "text/html", "<h1>nginx</h1>", 404},
		{"broken JSON", "application/problem+json", `{"title":`, 500},
		{"a redirect is not followed", "text/plain", "", 307},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := answering(t, tt.status, tt.contentType, tt.body).Post(t.Context(), "/services/remove", nil)
			require.ErrorContains(t, err, "is no answer of a Vespo server")
		})
	}
	t.Run("success that is none", func(t *testing.T) {
		a, err := answering(t, 200, "text/html", "<h1>hello</h1>").Get(t.Context(), "/services", nil)
		require.NoError(t, err)
		require.ErrorContains(t, a.Decode(&Service{}), "not as expected")
	})
	t.Run("one that hangs up", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		defer server.Close()
		c, err := (&clientFlags{Server: server.URL}).client("")
		require.NoError(t, err)
		_, err = c.Get(t.Context(), "/services", nil)
		require.ErrorContains(t, err, "did not answer")
	})
}

// TestWrongScheme checks that the error for the wrong one of http and https names the right one.
func TestWrongScheme(t *testing.T) {
	plain, secure := httptest.NewServer(http.NotFoundHandler()), httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer plain.Close()
	defer secure.Close()
	for given, want := range map[string]string{
		strings.Replace(plain.URL, "http", "https", 1):  plain.URL,
		strings.Replace(secure.URL, "https", "http", 1): secure.URL,
	} {
		c, err := (&clientFlags{Server: given}).client("")
		require.NoError(t, err)
		_, err = c.Get(t.Context(), "/services/list", nil)
		require.ErrorContains(t, err, given+" speaks ")
		require.ErrorContains(t, err, "write --server "+want)
	}
}

// TestEmptyFiles checks that an empty variable for a file, as containers have, is none, and not the current directory.
func TestEmptyFiles(t *testing.T) {
	for _, name := range []string{"VESPO_CA", "VESPO_CLIENT_CERT", "VESPO_CLIENT_KEY"} {
		t.Setenv(name, "")
	}
	var flags struct{ tlsFlags }
	parser, err := kong.New(&flags)
	require.NoError(t, err)
	_, err = parser.Parse(nil)
	require.NoError(t, err)
	require.NoError(t, flags.check("https://127.0.0.1", ""))
	_, err = flags.config()
	require.NoError(t, err)
	home, err := os.UserHomeDir()
	require.NoError(t, err)
	_, err = parser.Parse([]string{"--ca=~/none"})
	require.NoError(t, err)
	_, err = flags.config()
	require.ErrorContains(t, err, home)
}

// TestRefusedUploadIsNotSent checks that a module which the server refuses is not sent.
func TestRefusedUploadIsNotSent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"title":"Unauthorized"}`)
	}))
	defer server.Close()
	c, err := (&clientFlags{Server: server.URL}).client("")
	require.NoError(t, err)
	body := strings.NewReader("a module")
	_, err = c.Call(t.Context(), http.MethodPost, "/services/add", nil, Upload{Body: body, SizeBytes: int64(body.Len()), ContentType: "application/wasm"})
	require.ErrorContains(t, err, "Unauthorized")
	require.Equal(t, len("a module"), body.Len())
}
