//go:build unix

package filestore

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

// If the environment variable childDir is set, the test binary runs as the child to be killed. childMode
// selects its behaviour.
const (
	childDir  = "FILESTORE_TEST_CHILD_DIR"
	childMode = "FILESTORE_TEST_CHILD_MODE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir, os.Getenv(childMode)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child commits forever and prints one line after each commit: generation, prefix, digest or "-" for a
// removal. In mode "open" it only opens the directory.
func child(dir, mode string) error {
	store, err := Open(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	reg, problems, err := registry.Open(ctx, store)
	if err != nil || len(problems) > 0 {
		return fmt.Errorf("open: %v, problems %v", err, problems)
	}
	if mode == "open" {
		return nil
	}
	for {
		line, err := childCommit(ctx, reg)
		if err != nil {
			return err
		}
		fmt.Println(line) // os.Stdout is not buffered
	}
}

func childCommit(ctx context.Context, reg *registry.Registry) (line string, err error) {
	base := reg.State()
	prefix := registry.Prefix(fmt.Sprintf("/s%d", rand.IntN(4)))
	if _, there := base.Services[prefix]; there && rand.IntN(5) == 0 {
		next, err := base.Remove(prefix)
		if err != nil {
			return "", err
		}
		if err := reg.Commit(ctx, base, next); err != nil {
			return "", err
		}
		_, err = reg.CollectGarbage(ctx)
		return fmt.Sprintf("%d %s -", next.Generation, prefix), err
	}
	blob := make([]byte, rand.IntN(64<<10))
	copy(blob, fmt.Sprint(rand.Uint64()))
	digest, release, err := reg.PutBlob(ctx, blob)
	if err != nil {
		return "", err
	}
	defer release()
	next, _ := base.Put(prefix, registry.Version{Digest: digest, SizeBytes: int64(len(blob)), Kind: "wasm"})
	if err := reg.Commit(ctx, base, next); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %s %s", next.Generation, prefix, digest), nil
}

func childCommand(t *testing.T, dir, mode string) *exec.Cmd {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childDir+"="+dir, childMode+"="+mode)
	return cmd
}

// TestKill kills a committing process at random moments, and checks that all acknowledged commits are found.
func TestKill(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	dir := t.TempDir()
	model := make(map[registry.Prefix]registry.Digest) // as acknowledged
	var generation registry.Generation
	for range rounds {
		acknowledged := killedChild(t, dir)
		for _, a := range acknowledged {
			generation = a.generation
			model[a.prefix] = a.digest
			if a.digest == "-" {
				delete(model, a.prefix)
			}
		}
		reg, problems, done := opened(t, dir)
		require.Empty(t, problems)
		checkAgainst(t, reg, generation, model)
		generation = reg.State().Generation
		done()
	}
	require.NotEmpty(t, model)
}

type acknowledgement struct {
	generation registry.Generation
	prefix     registry.Prefix
	digest     registry.Digest
}

// killedChild runs a child and kills it with SIGKILL, a random time after a random number of
// acknowledgements. It returns the acknowledgements.
func killedChild(t *testing.T, dir string) (all []acknowledgement) {
	cmd := childCommand(t, dir, "commit")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	kill := 1 + rand.IntN(30)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var a acknowledgement
		if n, _ := fmt.Sscan(lines.Text(), &a.generation, &a.prefix, &a.digest); n != 3 {
			continue // the last line may be torn
		}
		all = append(all, a)
		if len(all) == kill {
			time.AfterFunc(time.Duration(rand.IntN(10_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		}
	}
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, -1, exit.ExitCode(), "killed, and not failed: %v", exit)
	return all
}

// checkAgainst compares reg with model. It allows one additional commit that was not acknowledged, and adds
// it to model.
func checkAgainst(
	t *testing.T, reg *registry.Registry, generation registry.Generation, model map[registry.Prefix]registry.Digest,
) {
	state := reg.State()
	require.GreaterOrEqual(t, state.Generation, generation)
	require.LessOrEqual(t, state.Generation, generation+1)
	found := make(map[registry.Prefix]registry.Digest)
	differences := 0
	for prefix, service := range state.Services {
		found[prefix] = service.Current.Digest
		if model[prefix] != service.Current.Digest {
			differences++
		}
	}
	for prefix := range model {
		if _, there := found[prefix]; !there {
			differences++
		}
	}
	require.LessOrEqual(t, differences, int(state.Generation-generation))
	for digest := range state.Digests() {
		_, err := reg.Blob(context.Background(), digest)
		require.NoError(t, err)
	}
	clear(model)
	for prefix, digest := range found {
		model[prefix] = digest
	}
}

func TestSecondProcessOnDirectoryRefuses(t *testing.T) {
	dir := t.TempDir()
	_, _, done := opened(t, dir)
	out, err := childCommand(t, dir, "open").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), ErrLocked.Error())
	require.Contains(t, string(out), dir)
	done()
	out, err = childCommand(t, dir, "open").CombinedOutput()
	require.NoError(t, err, "%s", out)
}
