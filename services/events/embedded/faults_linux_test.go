package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/services/events"
)

func TestMain(m *testing.M) {
	os.Exit(crashtest.Main(m.Run, map[string]crashtest.Child{"put": putting}))
}

// putting puts events, and prints the outcome of each. Operations run on one thread, whose calls strace counts.
func putting(dir string, say func(string, ...any)) error {
	runtime.LockOSThread()
	s, err := Open(Config{Path: filepath.Join(dir, "events.db")})
	if err != nil {
		say("open: %v", err)
		return nil
	}
	for n := range 2 {
		id := fmt.Sprint("event", n)
		err := s.Put(context.Background(), events.Event{ID: id, Function: "f", Content: []byte(id)})
		switch {
		case err == nil:
			say("stored %s", id)
		case errors.Is(err, events.ErrUncertain):
			say("uncertain %s", id)
		case errors.Is(err, events.ErrUnavailable):
			say("refused %s", id)
		default:
			return err
		}
	}
	return s.Close()
}

// outcomes runs putting with a failure of one of its syncs, and returns what it has said.
func outcomes(t *testing.T, dir string, failing int) (said map[string]string) {
	t.Helper()
	child := crashtest.Command(t, "put", dir)
	inject := fmt.Sprintf("inject=fdatasync:error=EIO:when=%d", failing)
	cmd := exec.Command("strace", append([]string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject}, child.Args...)...)
	cmd.Env = append(child.Env, "GORACE=atexit_sleep_ms=0") // it sleeps for a second otherwise
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	said = make(map[string]string)
	for scan := bufio.NewScanner(strings.NewReader(string(out))); scan.Scan(); {
		what, id, _ := strings.Cut(scan.Text(), " ")
		said[id] = what
	}
	return said
}

// TestFailedSyncs lets each sync of a file fail once. A later start finds the events that were stored, none that was refused, and
// some of those whose Put is uncertain.
func TestFailedSyncs(t *testing.T) {
	if err := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=none", "true").Run(); err != nil {
		t.Skipf("strace lets calls fail, and cannot run: %v", err)
	}
	count, found := make(map[string]int), 0
	for failing := 1; failing <= 8; failing++ {
		dir := t.TempDir()
		said := outcomes(t, dir, failing)
		s := open(t, filepath.Join(dir, "events.db"))
		for n := range 2 {
			id := fmt.Sprint("event", n)
			kept := s.known[id] != nil
			count[said[id]]++
			switch said[id] {
			case "stored":
				require.True(t, kept, "failure %d: %s is lost: %v", failing, id, said)
			case "uncertain":
				if kept {
					found++
				}
			default:
				require.False(t, kept, "failure %d: %s was not accepted: %v", failing, id, said)
			}
		}
		require.NoError(t, s.Close())
	}
	require.Positive(t, count["refused"], "%v", count)
	require.Positive(t, count["uncertain"], "%v", count)
	require.Positive(t, found)
}

// TestFullDisk fills the disk of a store. Events are refused; stored ones keep their leases and survive.
func TestFullDisk(t *testing.T) {
	dir := crashtest.SmallDisk(t)
	path := filepath.Join(dir, "events.db")
	s := open(t, path)
	for _, id := range []string{"ends", "waits"} {
		require.NoError(t, s.Put(t.Context(), events.Event{ID: id, Function: "f", Content: []byte(id)}))
	}
	taken, _, err := s.Take(t.Context(), 1, time.Hour)
	require.NoError(t, err)
	require.Len(t, taken, 1)
	lease := taken[0].LeaseID
	free := crashtest.FillDisk(t, dir)
	for n := range 3 {
		err := s.Put(t.Context(), events.Event{ID: fmt.Sprint("refused", n), Function: "f", Content: make([]byte, 400<<10)})
		require.ErrorIs(t, err, events.ErrUnavailable)
		require.NotErrorIs(t, err, events.ErrUncertain)
	}
	require.NoError(t, s.Renew(t.Context(), lease, time.Hour))
	require.Equal(t, 2, s.Stats().Events)
	require.Equal(t, int64(len("ends")+len("waits")), s.Stats().Bytes, "what was refused takes no share")
	free()
	require.NoError(t, s.Put(t.Context(), events.Event{ID: "later", Function: "f", Content: make([]byte, 400<<10)}))
	require.NoError(t, s.Done(t.Context(), lease))
	require.NoError(t, s.Close())
	s = open(t, path)
	require.Contains(t, s.known, "waits")
	require.Contains(t, s.known, "later")
	require.Len(t, s.known, 2)
	require.NoError(t, s.Close())
}
