package follow_test

import (
	"os"
	"testing"

	"github.com/vespo-dev/vespo/services/servicetest"
)

func TestMain(m *testing.M) { os.Exit(servicetest.Main(m)) }
