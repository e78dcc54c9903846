package server

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

func TestGroupedProblems(t *testing.T) {
	require.Empty(t, grouped(nil))
	failed := errors.New("failed")
	require.Equal(t, []string{
		"5 times, such as a, b, c: is foreign",
		"x: is bad: failed",
		"y: is bad: failed",
		"u, v: is odd",
		"z: is bad",
	}, grouped([]registry.Problem{
		{Subject: "a", Detail: "is foreign"},
		{Subject: "x", Detail: "is bad", Err: failed},
		{Subject: "b", Detail: "is foreign"},
		{Subject: "y", Detail: "is bad", Err: failed},
		{Subject: "u", Detail: "is odd"},
		{Subject: "c", Detail: "is foreign"},
		{Subject: "d", Detail: "is foreign"},
		{Subject: "z", Detail: "is bad"},
		{Subject: "v", Detail: "is odd"},
		{Subject: "e", Detail: "is foreign"},
	}))
}
