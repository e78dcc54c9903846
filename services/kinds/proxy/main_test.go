package proxy

import (
	"os"
	"testing"

	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestMain fails if the tests leave a goroutine of a server, of a transport or of the proxy behind.
func TestMain(m *testing.M) {
	os.Exit(servicetest.Main(m))
}
