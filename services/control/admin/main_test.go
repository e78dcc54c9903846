package admin_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/vespo-dev/vespo/services/internal/leaktest"
)

// TestMain fails if the tests leak a goroutine of the server, of a fetch or of the handler.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	os.Exit(leaktest.Check(code))
}
