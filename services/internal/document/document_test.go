package document

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type plain struct {
	Name string   `json:"name"`
	List []string `json:"list,omitempty"`
}

func TestDocuments(t *testing.T) {
	want := plain{Name: "<a> & \u2028", List: []string{"b"}}
	text := Encode(want)
	require.Equal(t, `{"name":"<a> & \u2028","list":["b"]}`, string(text))
	var got plain
	require.NoError(t, Decode(text, &got, "a test"))
	require.Equal(t, want, got)
	require.NoError(t, Decode([]byte(" {} \n"), new(plain), "a test"))
	require.NoError(t, Decode([]byte("\ufeff{\r\n}\r\n"), new(plain), "a test"), "as some editors write it")
	require.Panics(t, func() { Encode(make(chan int)) })
}

func TestRefusedDocuments(t *testing.T) {
	for text, want := range map[string]string{
		"":             "not one of a test: EOF",
		`{"name":1}`:   "not one of a test",
		`{"other":""}`: `unknown field "other"`,
		`{} {}`:        "followed by something else",
		`{}x`:          "followed by something else",
		`{"name":"`:    "not one of a test",
		`{"name":"` + strings.Repeat("a", MaxBytes) + `"}`: "at most 65536 are taken",
	} {
		require.ErrorContains(t, Decode([]byte(text), new(plain), "a test"), want)
	}
}
