package method_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/internal/method"
)

func TestIdempotent(t *testing.T) {
	for name, want := range map[string]bool{
		"GET": true, "HEAD": true, "OPTIONS": true, "TRACE": true, "PUT": true, "DELETE": true,
		"POST": false, "PATCH": false, "CONNECT": false, "PROPFIND": false, "get": false, "": false,
	} {
		require.Equal(t, want, method.Idempotent(name), name)
	}
}
