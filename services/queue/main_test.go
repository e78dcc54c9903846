package queue_test

import (
	"os"
	"testing"

	"github.com/vespo-dev/vespo/services/internal/leaktest"
)

// TestMain fails if the tests leave a goroutine of a server, of a line or of a worker behind.
func TestMain(m *testing.M) {
	os.Exit(leaktest.Check(m.Run()))
}
