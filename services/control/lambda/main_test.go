package lambda_test

import (
	"os"
	"testing"

	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestMain fails if the tests leave a goroutine, a connection or a file behind.
func TestMain(m *testing.M) { os.Exit(servicetest.Main(m)) }
