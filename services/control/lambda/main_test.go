package lambda_test

import (
	"os"
	"testing"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/services/control/lambda"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestMain fails if the tests leave a goroutine, a connection or a file behind. TestKill runs the binary as a child.
func TestMain(m *testing.M) {
	tests := func() int { return servicetest.Main(m) }
	os.Exit(crashtest.Main(tests, map[string]crashtest.Child{"publish": lambda.PublishForever}))
}
