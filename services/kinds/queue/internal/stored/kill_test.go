//go:build unix

package stored

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
)

func TestMain(m *testing.M) {
	os.Exit(crashtest.Main(m.Run, map[string]crashtest.Child{"requests": requestsForever}))
}

// requestsForever puts requests and finishes every second one, and acknowledges each change.
func requestsForever(dir string, acknowledge func(string, ...any)) error {
	s, err := Open(filepath.Join(dir, "requests.db"), time.Now(), quiet())
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		id := fmt.Sprintf("%d-%d", os.Getpid(), n)
		now := time.Now()
		if err := s.Put("/jobs", request(id, now), []byte("body of "+id)); err != nil {
			return err
		}
		acknowledge("put %s.", id)
		if n%2 == 0 {
			continue
		}
		if err := s.Finish("/jobs", id, Result{State: Answered, Ended: now, Status: 200, Body: []byte("answer to " + id)}); err != nil {
			return err
		}
		acknowledge("end %s.", id)
	}
}

// TestKill kills a process that stores requests, and checks that all acknowledged changes are found.
func TestKill(t *testing.T) {
	rounds := 15
	if testing.Short() {
		rounds = 4
	}
	dir := t.TempDir()
	stored, ended := map[string]bool{}, map[string]bool{}
	for range rounds {
		for _, line := range crashtest.Kill(t, "requests", dir, 40) {
			var what, id string
			if n, _ := fmt.Sscanf(line, "%s %s", &what, &id); n != 2 || id[len(id)-1] != '.' {
				continue // the last line may be torn
			}
			map[string]map[string]bool{"put": stored, "end": ended}[what][id[:len(id)-1]] = true
		}
		checkRequests(t, filepath.Join(dir, "requests.db"), stored, ended)
	}
	require.NotEmpty(t, ended)
}

func checkRequests(t *testing.T, path string, stored, ended map[string]bool) {
	s := reopen(t, path, time.Now())
	defer func() { require.NoError(t, s.Close()) }()
	require.Zero(t, s.DamagedAt("/jobs"))
	for id := range stored {
		result, err := s.Result("/jobs", id, time.Now())
		require.NoError(t, err)
		switch {
		case result.State == Answered:
			require.Equal(t, "answer to "+id, string(result.Body))
		default:
			require.Equal(t, Pending, result.State)
			require.False(t, ended[id], "an acknowledged answer is lost")
			body, err := s.Body("/jobs", id)
			require.NoError(t, err)
			require.Equal(t, "body of "+id, string(body))
		}
	}
}
