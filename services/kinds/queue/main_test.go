package queue_test

import (
	"os"
	"testing"

	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestMain fails if the tests leak a goroutine of a server, a line or a worker.
func TestMain(m *testing.M) {
	os.Exit(servicetest.Main(m))
}
