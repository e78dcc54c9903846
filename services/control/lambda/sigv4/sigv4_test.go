package sigv4

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	keyID  = "AKIDEXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

var at = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)

func verifier(service string) *Verifier {
	return &Verifier{Service: service, Secrets: map[string]string{keyID: secret}}
}

// request parses a request as a server does.
func request(t testing.TB, text string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n"))))
	require.NoError(t, err)
	return r
}

// TestKnown checks signatures of the published test suite of Signature Version 4.
func TestKnown(t *testing.T) {
	for _, c := range []struct{ name, request, headers, signature string }{
		{"get-vanilla", "GET / HTTP/1.1\nHost: example.amazonaws.com\n", "host;x-amz-date",
			"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"get-vanilla-query-order-key-case", "GET /?Param2=value2&Param1=value1 HTTP/1.1\nHost: example.amazonaws.com\n", "host;x-amz-date",
			"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"post-vanilla", "POST / HTTP/1.1\nHost: example.amazonaws.com\n", "host;x-amz-date",
			"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(t, c.request+"X-Amz-Date: 20150830T123600Z\nAuthorization: AWS4-HMAC-SHA256 Credential="+keyID+
				"/20150830/us-east-1/service/aws4_request, SignedHeaders="+c.headers+", Signature="+c.signature+"\n\n")
			id, err := verifier("service").Verify(r, nil, at)
			require.NoError(t, err)
			require.Equal(t, keyID, id)
		})
	}
}

// sign signs a request as a client does, with the given signed headers.
func sign(r *http.Request, body, secret string, presign bool, names ...string) {
	s := &signature{day: at.Format("20060102"), region: "eu-west-3", service: "lambda", at: at, headers: names, presigned: presign}
	scope := keyID + "/" + s.day + "/" + s.region + "/lambda/aws4_request"
	if presign {
		r.RequestURI += "&X-Amz-Algorithm=" + algorithm + "&X-Amz-Credential=" + escape(scope, false) + "&X-Amz-Date=" + at.Format(timeLayout) +
			"&X-Amz-Expires=600&X-Amz-SignedHeaders=" + escape(strings.Join(names, ";"), false)
	} else {
		r.Header.Set("X-Amz-Date", at.Format(timeLayout))
	}
	value := s.sign(secret, canonicalRequest(r, s, hashOf([]byte(body))))
	if presign {
		r.RequestURI += "&X-Amz-Signature=" + value
		r.URL.RawQuery = r.RequestURI[strings.IndexByte(r.RequestURI, '?')+1:]
		return
	}
	r.Header.Set("Authorization", algorithm+" Credential="+scope+", SignedHeaders="+strings.Join(names, ";")+", Signature="+value)
}

const body = `{"a":1}`

func post(t testing.TB) *http.Request {
	return request(t, "POST /2015-03-31/functions/a%3Ab/invocations?Qualifier=x%20y&a= HTTP/1.1\nHost: localhost:9000\nX-Amz-Invocation-Type:  Event   now \n"+
		"Content-Length: "+strconv.Itoa(len(body))+"\n\n"+body)
}

func TestVerify(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *http.Request)
		body   string
		now    time.Duration // relative to at
		want   error
	}{
		{name: "as signed"},
		{name: "a little late", now: MaxSkew},
		{name: "a little early", now: -MaxSkew},
		{name: "too late", now: MaxSkew + time.Second, want: ErrExpired},
		{name: "too early", now: -MaxSkew - time.Second, want: ErrExpired},
		{name: "another body", body: "{}", want: ErrMismatch},
		{name: "another method", change: func(r *http.Request) { r.Method = "PUT" }, want: ErrMismatch},
		{name: "another path", change: func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "a%3Ab", "other", 1) }, want: ErrMismatch},
		{name: "another escape", change: func(r *http.Request) { r.RequestURI = strings.Replace(r.RequestURI, "a%3Ab", "a:b", 1) }, want: ErrMismatch},
		{name: "another query", change: func(r *http.Request) { r.RequestURI += "&b=1" }, want: ErrMismatch},
		{name: "another host", change: func(r *http.Request) { r.Host = "other" }, want: ErrMismatch},
		{name: "another header", change: func(r *http.Request) { r.Header.Set("X-Amz-Invocation-Type", "DryRun") }, want: ErrMismatch},
		{name: "a header more", change: func(r *http.Request) { r.Header.Set("X-Amz-Client-Context", "x") }, want: ErrIncomplete},
		{name: "another hash", change: func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", emptyHash) }, want: ErrIncomplete},
		{name: "another date", change: func(r *http.Request) { r.Header.Set("X-Amz-Date", at.Add(time.Second).Format(timeLayout)) }, want: ErrMismatch},
		{name: "another day", change: func(r *http.Request) { r.Header.Set("X-Amz-Date", "20150831T000000Z") }, want: ErrMismatch},
		{name: "no date", change: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, want: ErrIncomplete},
		{name: "not signed", change: func(r *http.Request) { r.Header.Del("Authorization") }, want: ErrMissing},
		{name: "signed twice", change: func(r *http.Request) { r.Header.Add("Authorization", "x") }, want: ErrIncomplete},
		{name: "another key", change: replace(keyID, "AKIDOTHER"), want: ErrUnknownKey},
		{name: "another region", change: replace("eu-west-3", "eu-west-1"), want: ErrMismatch},
		{name: "another service", change: replace("/lambda/", "/s3/"), want: ErrMismatch},
		{name: "another scheme", change: replace(algorithm, "Bearer"), want: ErrIncomplete},
		{name: "no host", change: replace("content-length;host;", "content-length;"), want: ErrIncomplete},
		{name: "not sorted", change: replace("content-length;host", "host;content-length"), want: ErrIncomplete},
		{
			name: "short",
			change: func(r *http.Request) {
				r.Header.Set("Authorization", strings.TrimRight(r.Header.Get("Authorization"), "0123456789abcdef"))
			},
			want: ErrIncomplete,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := post(t)
			sign(r, body, secret, false, "content-length", "host", "x-amz-date", "x-amz-invocation-type")
			if c.change != nil {
				c.change(r)
			}
			if c.body == "" {
				c.body = body
			}
			_, err := verifier("lambda").Verify(r, []byte(c.body), at.Add(c.now))
			require.ErrorIs(t, err, c.want)
		})
	}
}

func replace(old, replacement string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, replacement, 1))
	}
}

func TestPresigned(t *testing.T) {
	make := func() *http.Request {
		r := post(t)
		r.Header.Del("X-Amz-Invocation-Type")
		sign(r, body, secret, true, "host")
		return r
	}
	_, err := verifier("lambda").Verify(make(), []byte(body), at.Add(10*time.Minute))
	require.NoError(t, err)
	_, err = verifier("lambda").Verify(make(), []byte(body), at.Add(10*time.Minute+time.Second))
	require.ErrorIs(t, err, ErrExpired)
	r := make()
	r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Expires=600", "Expires=604800", 1)
	r.RequestURI = strings.Replace(r.RequestURI, "Expires=600", "Expires=604800", 1)
	_, err = verifier("lambda").Verify(r, []byte(body), at)
	require.ErrorIs(t, err, ErrMismatch, "the validity is signed")
	for _, expires := range []string{"0", "604801", "x", "-1"} {
		r := make()
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Expires=600", "Expires="+expires, 1)
		_, err = verifier("lambda").Verify(r, []byte(body), at)
		require.ErrorIs(t, err, ErrIncomplete, expires)
	}
	_, err = (&Verifier{Service: "lambda", Secrets: map[string]string{keyID: "other"}}).Verify(make(), []byte(body), at)
	require.ErrorIs(t, err, ErrMismatch)
}

// FuzzVerify checks that only requests signed with the secret pass.
func FuzzVerify(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature="+emptyHash,
		"20150830T123600Z", "X-Amz-Signature=a")
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=1&X-Amz-Signature="+emptyHash)
	f.Fuzz(func(t *testing.T, authorization, date, query string) {
		r := post(t)
		r.URL.RawQuery, r.RequestURI = query, "/?"+query
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		r.Header["X-Amz-Date"] = []string{date}
		_, err := verifier("lambda").Verify(r, []byte(body), at)
		require.Error(t, err)
	})
}
