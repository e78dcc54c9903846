package prack

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEnvironment(t *testing.T) {
	r := httptest.NewRequest("POST", "http://example.com:8080/jobs/a%2Fb?x=1&y=%22", nil)
	r.RemoteAddr = "192.0.2.1:55"
	r.Header = http.Header{
		"Accept": {"text/html", "text/plain"}, "Cookie": {"a=1", "b=2"}, "Content-Type": {"text/plain"}, "X-Request-Id": {"a client's"},
		"Connection": {"close, X-Hop"}, "X-Hop": {"1"}, "Transfer-Encoding": {"chunked"}, "Content-Length": {"99"}, "Proxy": {"http://evil"},
		"X_Real_Ip": {"1"}, "X-Quote": {"\"<\x01\xff"},
	}
	var env map[string]string
	require.NoError(t, json.Unmarshal(Environment(r, Origin{Prefix: "/jobs", Rest: "/a%2Fb", RequestID: "ours"}, 5), &env))
	require.Equal(t, map[string]string{
		"REQUEST_METHOD": "POST", "SCRIPT_NAME": "/jobs", "PATH_INFO": "/a%2Fb?x=1&y=%22", "QUERY_STRING": "x=1&y=%22",
		"SERVER_NAME": "example.com", "SERVER_PORT": "8080", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "192.0.2.1",
		"rack.url_scheme": "http", "HTTP_HOST": "example.com:8080", "HTTP_ACCEPT": "text/html, text/plain", "HTTP_COOKIE": "a=1; b=2",
		"CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "5", "HTTP_X_REQUEST_ID": "ours", "HTTP_X_QUOTE": "\"<\x01ÿ",
	}, env)
}

func TestEnvironmentOfTheRoot(t *testing.T) {
	r := httptest.NewRequest("GET", "http://[::1]/", nil)
	var env map[string]string
	require.NoError(t, json.Unmarshal(Environment(r, Origin{Prefix: "/"}, 0), &env))
	require.Equal(t, []string{"", "/", "::1", "80"}, []string{env["SCRIPT_NAME"], env["PATH_INFO"], env["SERVER_NAME"], env["SERVER_PORT"]})
	require.NotContains(t, env, "CONTENT_LENGTH")
}

func TestRequestIsWritten(t *testing.T) {
	for _, body := range [][]byte{nil, {0}, bytes.Repeat([]byte("\x00\xffab"), 10_001)} {
		m := NewRequest("id1", []byte(`{"REQUEST_METHOD":"GET"}`), [][]byte{body[:len(body)/2], body[len(body)/2:]})
		for range 2 {
			var b bytes.Buffer
			n, err := m.WriteTo(&b)
			require.NoError(t, err)
			require.EqualValues(t, m.Len(), n)
			require.Equal(t, m.Len(), b.Len())
			var got struct {
				Identifier  string
				Environment map[string]string
				Body        []byte
			}
			require.NoError(t, json.Unmarshal(b.Bytes(), &got))
			require.Equal(t, "id1", got.Identifier)
			require.Equal(t, map[string]string{"REQUEST_METHOD": "GET"}, got.Environment)
			require.True(t, bytes.Equal(body, got.Body))
		}
	}
}

// TestAnswers checks the messages of Prack's clients, and other accepted forms.
func TestAnswers(t *testing.T) {
	html := http.Header{"Content-Type": {"text/html"}}
	for _, c := range []struct {
		name, text string
		want       Answer
	}{
		{"Node", `{"identifier":"i","code":200,"headers":{"Content-Type":"text/html","Connection":"close"},"body":"SGVsbG8="}`,
			Answer{200, html, []byte("Hello")}},
		{"Ruby", `{"identifier":"i","code":"200","headers":{"Content-Type":"text/html"},"body":"SGVs\nbG8=\n"}`, Answer{200, html, []byte("Hello")}},
		{"PHP", `{"identifier":"i","code":200,"headers":{"0":{"Content-Type":"text\/html"},"1":{"Content-length":5},"2":{"Connection":"close"}},"body":"SGVsbG8="}`,
			Answer{200, html, []byte("Hello")}},
		{"a list", `{"identifier":"i","code":404,"headers":[{"Content-Type":"text/html"}],"body":""}`, Answer{404, html, []byte{}}},
		{"several values", `{"identifier":"i","code":599,"headers":{"Set-Cookie":["a=1","b=2"],"X-N":7}}`,
			Answer{599, http.Header{"Set-Cookie": {"a=1", "b=2"}, "X-N": {"7"}}, nil}},
		{"nothing but a code", `{"code":204,"identifier":"i","headers":null,"body":null,"more":{}}`, Answer{204, http.Header{}, nil}},
		{"numbers with a fraction", "\ufeff" + `{"identifier":"i","code":200.0}`, Answer{200, http.Header{}, nil}},
		{"numbers with an exponent", `{"identifier":"i","code":2e2}`, Answer{200, http.Header{}, nil}},
		{"not UTF-8", "{\"identifier\":\"i\",\"code\":200,\"headers\":{\"X-N\":\"caf\xe9\"}}", Answer{200, http.Header{"X-N": {"café"}}, nil}},
		{"an empty list", `{"identifier":"i","code":200,"headers":[],"body":""}`, Answer{200, http.Header{}, []byte{}}},
		{"what is ours", `{"identifier":"i","code":200,"headers":{"Connection":"x-hop","x-hop":"1","Transfer-Encoding":"chunked","X-REQUEST-ID":"1"}}`,
			Answer{200, http.Header{}, nil}},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, a, err := Parse([]byte(c.text), 100)
			require.NoError(t, err)
			require.Equal(t, "i", id)
			require.Equal(t, c.want, *a)
		})
	}
}

// TestLineBreaksTakeNoMemory checks a short body among many line breaks: it is counted as what it is.
func TestLineBreaksTakeNoMemory(t *testing.T) {
	_, a, err := Parse([]byte(`{"identifier":"i","code":200,"body":"`+strings.Repeat(`\n`, 1<<20)+`SGVsbG8="}`), 100)
	require.NoError(t, err)
	require.Equal(t, "Hello", string(a.Body))
	require.Less(t, cap(a.Body), 64)
}

func TestUnusableAnswers(t *testing.T) {
	long := base64.StdEncoding.EncodeToString(make([]byte, 101))
	for text, want := range map[string]string{
		`"code":20`:                       "from 200 to 599",
		`"code":600`:                      "from 200 to 599",
		`"code":"2e2"`:                    "from 200 to 599",
		`"code":"+20"`:                    "from 200 to 599",
		`"code":200.5`:                    "from 200 to 599",
		`"code":"200.0"`:                  "from 200 to 599",
		`"code":null`:                     "from 200 to 599",
		`"code":100`:                      "interim",
		`"code":"101"`:                    "interim",
		`"headers":{}`:                    "code is",
		`"code":200,"headers":"x"`:        "headers must be",
		`"code":200,"headers":[1]`:        "headers must be",
		`"code":200,"headers":{"a":null}`: "must be a string",
		`"code":200,"headers":{"a":[{}]}`: "must be a string",
		`"code":200,"headers":{"1":{"a":{"b":""}}}`:                                "must be a string",
		`"code":200,"headers":{"a":"b\r\nc: d"}`:                                   "line break",
		`"code":200,"headers":{"a":"b\nc"}`:                                        "line break",
		`"code":200,"headers":{"a\r\nb":"c"}`:                                      "not the name",
		`"code":200,"headers":{"a b":"c"}`:                                         "not the name",
		`"code":200,"headers":{"":"c"}`:                                            "not the name",
		`"code":200,"body":"%%%"`:                                                  "not base64",
		`"code":200,"body":"YQ"`:                                                   "not base64",
		`"code":200,"body":7`:                                                      "body must be a string",
		`"code":200,"body":"` + long + `"`:                                         "at most 100",
		`"code":200,"headers":{"a":"` + strings.Repeat("x", maxHeaderBytes) + `"}`: "more than",
		`"code":200,"headers":[` + strings.Repeat("{},", maxHeaderBytes) + `{}]`:   "more than",
	} {
		id, a, err := Parse([]byte(`{"identifier":"i",`+text+`}`), 100)
		require.ErrorContains(t, err, want, "%.100s", text)
		require.Equal(t, "i", id, "%.100s", text)
		require.Nil(t, a)
	}
}

func TestNoIdentifier(t *testing.T) {
	for _, text := range []string{``, `{`, `[]`, `null`, `"i"`, `{}`, `{"identifier":7}`, `{"identifier":""}`, `{"identifier":"i"`, `{"identifier":"i"} x`,
		`{"identifier":[` + strings.Repeat("1,", 1000) + `1]}`, `{"identifier":"` + strings.Repeat("x", 300) + `"}`, strings.Repeat("[", 1<<17)} {
		_, _, err := Parse([]byte(text), 100)
		require.ErrorIs(t, err, ErrNoIdentifier, "%.20s", text)
	}
}

func TestIdentifierOfABeginning(t *testing.T) {
	for text, want := range map[string]string{
		`{"identifier":"i","body":"xxxxxx`:       "i",
		`{"code":200,"identifier":"i","body":"x`: "i",
		`{"body":"xxxxxx`:                        "",
		`{"identifier":"i`:                       "",
		`{"identifier":7,"body":"`:               "",
		`["identifier"`:                          "",
		``:                                       "",
	} {
		require.Equal(t, want, Identifier([]byte(text)), text)
	}
}

// TestLongestMessage checks base64 as Ruby writes it, with line breaks that JSON escapes.
func TestLongestMessage(t *testing.T) {
	const bodyBytes = 1 << 20
	encoded := base64.StdEncoding.EncodeToString(make([]byte, bodyBytes))
	var broken strings.Builder
	for len(encoded) > 60 {
		broken.WriteString(encoded[:60] + `\n`)
		encoded = encoded[60:]
	}
	text := `{"identifier":"i","code":200,"headers":{},"body":"` + broken.String() + encoded + `\n"}`
	require.LessOrEqual(t, int64(len(text)), MaxMessageBytes(bodyBytes))
	_, a, err := Parse([]byte(text), bodyBytes)
	require.NoError(t, err)
	require.Len(t, a.Body, bodyBytes)
}

// FuzzParse checks that every accepted answer can be sent.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"identifier":"i","code":200,"headers":{"Content-Type":"text/html"},"body":"SGVsbG8="}`))
	f.Add([]byte(`{"identifier":"i","code":"404","headers":[{"a":1}]}`))
	f.Add([]byte(`{"identifier":"i","code":200,"headers":{"0":{"a":["b"]}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		id, a, err := Parse(text, 100)
		if (err == nil) != (a != nil) || err == nil && id == "" {
			t.Fatal(id, a, err)
		}
		_ = Identifier(text)
		if a == nil {
			return
		}
		require.True(t, a.Status >= 200 && a.Status <= 599)
		for name, values := range a.Header {
			require.False(t, hopByHop[name] || strings.ContainsAny(name, "\r\n: "), name)
			require.False(t, strings.ContainsAny(strings.Join(values, ""), "\r\n\x00"), name)
		}
	})
}
