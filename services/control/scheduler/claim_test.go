package scheduler

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Of several hosts, one may run a schedule for a time. If it is not known which one, none does.
func TestRunsAreClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy("/hello", "* * * * *")
		var asked []string
		claim := func(_ context.Context, schedule string, at time.Time) (bool, error) {
			asked = append(asked, schedule+" "+at.UTC().Format("15:04"))
			if at.Minute() == 3 {
				return false, errors.New("no store")
			}
			return at.Minute()%2 == 0, nil
		}
		s, end := w.begin(Config{Claim: claim})
		pass(4*time.Minute + time.Second)
		require.Equal(t, []string{"00:02:00 /hello POST /hello/", "00:04:00 /hello POST /hello/"}, w.requests())
		require.Equal(t, []string{"/hello * * * * * 00:01", "/hello * * * * * 00:02", "/hello * * * * * 00:03", "/hello * * * * * 00:04"}, asked)
		status := s.Status(hello())
		require.Equal(t, Counts{Runs: 2, Missed: 1}, status[0].Counts)
		require.Equal(t, 4, status[0].Last.Time.Minute())
		end()
	})
}
