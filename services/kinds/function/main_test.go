package function

import (
	"os"
	"testing"

	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestMain runs workerMain if the test binary was started as the program of a function. Otherwise
// it runs the tests, and fails if they leak a goroutine of a server, a worker or an endpoint.
func TestMain(m *testing.M) {
	if addr := os.Getenv("AWS_LAMBDA_RUNTIME_API"); addr != "" { // started as the program of a function
		os.Exit(workerMain(addr))
	}
	os.Exit(servicetest.Main(m))
}
