package static

import (
	"os"
	"testing"

	"github.com/vespo-dev/vespo/services/internal/leaktest"
)

// TestMain fails if the tests leave a goroutine of a server or of a transport behind.
func TestMain(m *testing.M) {
	os.Exit(leaktest.Check(m.Run()))
}
