package admin

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/kv"
)

// TestKVProblems checks that clients see sentences, and no names of errors.
func TestKVProblems(t *testing.T) {
	for want, err := range map[string]error{
		"the store has not answered in time":              fmt.Errorf("read: %w", context.DeadlineExceeded),
		"the engine cannot be used: see the server's log": kv.Reject(kv.ErrUnavailable, "the engine cannot be used: see the server's log"),
		"the engine did not answer":                       kv.Reject(kv.ErrUncertain, "the engine did not answer"),
	} {
		var p *problem.Problem
		require.ErrorAs(t, kvProblem(err), &p)
		require.Equal(t, want, p.Detail)
	}
}
