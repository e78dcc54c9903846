package admin_test

import (
	"os"
	"testing"

	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestMain fails if the tests leak a goroutine or a connection of the server, of a fetch or of the handler.
func TestMain(m *testing.M) { os.Exit(servicetest.Main(m)) }
