package admin_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/vespo-dev/vespo/services/internal/leaktest"
)

// TestMain fails if the tests leave a goroutine of the server, of a fetch or of the management behind.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	os.Exit(leaktest.Check(code))
}
