package httpevent

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/services/internal/lenient"
)

// ErrAnswer is matched by errors about a function's output.
var ErrAnswer = errors.New("the function's output is no answer to an HTTP request")

// PreludeType is the media type of a streamed response that begins
// with its status and header as JSON, followed by eight NUL bytes.
const PreludeType = "application/vnd.awslambda.http-integration-response"

// Maximum length and terminator of a prelude.
const (
	MaxPreludeBytes = 64 << 10
	preludeEnd      = "\x00\x00\x00\x00\x00\x00\x00\x00"
)

// Answer is an HTTP response.
type Answer struct {
	StatusCode int
	Header     http.Header
	Body       []byte
}

// document is the JSON form of an answer. Headers should be strings. Numbers
// and booleans are accepted as well, because JavaScript functions return them.
type document struct {
	StatusCode      scalar            `json:"statusCode,omitempty"`
	Headers         map[string]scalar `json:"headers,omitempty"`
	Cookies         []string          `json:"cookies,omitempty"`
	Body            *scalar           `json:"body,omitempty"`
	IsBase64Encoded bool              `json:"isBase64Encoded,omitempty"`
}

// scalar is a string. It also unmarshals from a number or boolean, and from null as the empty string.
type scalar string

// UnmarshalJSON implements json.Unmarshaler.
func (s *scalar) UnmarshalJSON(text []byte) error {
	switch {
	case string(text) == "null":
		*s = ""
	case text[0] == '"':
		var v string
		if err := json.Unmarshal(text, &v); err != nil {
			return err
		}
		*s = scalar(v)
	case text[0] == '{' || text[0] == '[':
		return errors.New("an object or array where a string is expected")
	default:
		*s = scalar(text)
	}
	return nil
}

// ParseAnswer parses a function's output. An object with statusCode is a response,
// any other JSON is the body of a response with status 200. Errors match ErrAnswer.
func ParseAnswer(output []byte) (Answer, error) {
	output = lenient.JSON(output)
	var probe map[string]json.RawMessage
	if json.Unmarshal(output, &probe) != nil || probe["statusCode"] == nil {
		if !json.Valid(output) {
			return Answer{}, fmt.Errorf("%w: it is not JSON", ErrAnswer)
		}
		return Answer{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: output}, nil
	}
	return parse(output)
}

// parse parses an object with a statusCode.
func parse(text []byte) (Answer, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	a := Answer{Header: make(http.Header, len(d.Headers)+1)}
	var err error
	var whole bool
	if a.StatusCode, whole = lenient.Whole(string(d.StatusCode)); !whole || !abi.ValidStatus(a.StatusCode) {
		return Answer{}, fmt.Errorf("%w: statusCode is %.20q: it must be a whole number from 200 to 599", ErrAnswer, d.StatusCode)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) { // sorted: two spellings of a name are two values, and need a stable order
		if err := a.set(name, string(d.Headers[name])); err != nil {
			return Answer{}, err
		}
	}
	httpfield.Collapse(a.Header)
	for _, cookie := range d.Cookies {
		if !abi.ValidValue(cookie) {
			return Answer{}, fmt.Errorf("%w: a cookie has control characters", ErrAnswer)
		}
		a.Header.Add("Set-Cookie", cookie)
	}
	if len(a.Header["Content-Type"]) == 0 {
		a.Header.Set("Content-Type", "application/json")
	}
	if d.Body == nil {
		return a, nil
	}
	if a.Body = []byte(*d.Body); d.IsBase64Encoded {
		if a.Body, err = base64.StdEncoding.DecodeString(string(*d.Body)); err != nil {
			return Answer{}, fmt.Errorf("%w: the body is not base64, as isBase64Encoded says", ErrAnswer)
		}
	}
	return a, nil
}

// set adds a header field. Fields that the server writes itself are ignored.
func (a *Answer) set(name, value string) error {
	canonical, ok := abi.CanonicalName(name)
	if !ok || !abi.ValidValue(value) {
		return fmt.Errorf("%w: the header %.60q cannot be sent", ErrAnswer, name)
	}
	if canonical != "Content-Length" && !abi.HopByHop(canonical) {
		a.Header[canonical] = append(a.Header[canonical], value)
	}
	return nil
}

// SplitPrelude parses the prelude of a streamed response. rest is the part of begin after the prelude.
// If done is false, the prelude is incomplete and the caller must read more, up to MaxPreludeBytes.
func SplitPrelude(begin []byte) (a Answer, rest []byte, done bool, err error) {
	prelude, rest, found := bytes.Cut(begin, []byte(preludeEnd))
	switch {
	case !found && len(begin) < MaxPreludeBytes:
		return Answer{}, nil, false, nil
	case !found || len(prelude) > MaxPreludeBytes:
		return Answer{}, nil, false, fmt.Errorf("%w: the prelude has no end within %d bytes", ErrAnswer, MaxPreludeBytes)
	}
	var probe map[string]json.RawMessage
	prelude = lenient.JSON(prelude)
	if err := json.Unmarshal(prelude, &probe); err != nil {
		return Answer{}, nil, false, fmt.Errorf("%w: the prelude: %w", ErrAnswer, err)
	}
	if probe["statusCode"] == nil {
		probe["statusCode"] = json.RawMessage("200")
		if prelude, err = json.Marshal(probe); err != nil {
			return Answer{}, nil, false, fmt.Errorf("%w: the prelude: %w", ErrAnswer, err)
		}
	}
	a, err = parse(prelude)
	return a, rest, err == nil, err
}

// Encode returns the answer as the JSON that a function would return.
func (a Answer) Encode() ([]byte, error) {
	d := struct {
		StatusCode      int               `json:"statusCode"`
		Headers         map[string]string `json:"headers"`
		Cookies         []string          `json:"cookies,omitempty"`
		Body            string            `json:"body"`
		IsBase64Encoded bool              `json:"isBase64Encoded"`
	}{StatusCode: a.StatusCode, Headers: make(map[string]string, len(a.Header)), Body: string(a.Body)}
	for _, cookie := range a.Header["Set-Cookie"] {
		d.Cookies = append(d.Cookies, lenient.Text(cookie))
	}
	for name, values := range a.Header {
		if name != "Set-Cookie" {
			d.Headers[strings.ToLower(name)] = lenient.Text(strings.Join(values, ","))
		}
	}
	if !utf8.Valid(a.Body) || a.Header.Get("Content-Encoding") != "" {
		d.Body, d.IsBase64Encoded = base64.StdEncoding.EncodeToString(a.Body), true
	}
	return json.Marshal(d)
}

// HasPrelude reports whether a streamed response of this type begins with a prelude.
func HasPrelude(contentType string) bool {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	return mediaType == PreludeType
}
