package function

import (
	"os"
	"testing"

	"github.com/vespo-dev/vespo/services/internal/leaktest"
)

// TestMain is the worker of functions where the tests are started as one. Else it fails if the tests leave a goroutine of a server, of a worker or of an endpoint behind.
func TestMain(m *testing.M) {
	if addr := os.Getenv("AWS_LAMBDA_RUNTIME_API"); addr != "" { // started as the program of a function
		os.Exit(workerMain(addr))
	}
	os.Exit(leaktest.Check(m.Run()))
}
