package arn

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		given string
		want  Reference
	}{
		{"fn", Reference{"fn", ""}},
		{"fn:$LATEST", Reference{"fn", "$LATEST"}},
		{"fn:prod", Reference{"fn", "prod"}},
		{"a/b", Reference{"a/b", ""}},
		{"123456789012:function:fn:7", Reference{"fn", "7"}},
		{"arn:aws:lambda:eu-west-1:123456789012:function:fn", Reference{"fn", ""}},
		{"arn:aws-cn:lambda:cn-north-1:123456789012:function:fn:prod", Reference{"fn", "prod"}},
		{Format("fn", "1"), Reference{"fn", "1"}},
	} {
		got, err := Parse(c.given)
		require.NoError(t, err, c.given)
		require.Equal(t, c.want, got)
	}
	for _, bad := range []string{"", ":", "fn:", "fn:$OTHER", "fn:a:b", "a b", "arn:aws:s3:::bucket", "arn:aws:lambda:r:a:layer:x",
		"arn:aws:lambda:r:a:function:", "a\x00", "ä", "fn:a/b"} {
		_, err := Parse(bad)
		require.ErrorIs(t, err, ErrReference, bad)
	}
}

func TestName(t *testing.T) {
	for prefix, name := range map[string]string{"/": "root", "/fn": "fn", "/a/b": "a_b", "/a Host: b": "a_Host__b"} {
		require.Equal(t, name, Name(prefix))
	}
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:lambda:us-east-1:000000000000:function:fn:prod")
	f.Add("fn:$LATEST")
	f.Fuzz(func(t *testing.T, given string) {
		r, err := Parse(given)
		if err != nil {
			require.ErrorIs(t, err, ErrReference)
			return
		}
		require.True(t, ValidName(r.Name))
		again, err := Parse(Format(r.Name, r.Qualifier))
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
