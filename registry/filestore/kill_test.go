//go:build unix

package filestore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

func TestMain(m *testing.M) {
	os.Exit(crashtest.Main(m.Run, map[string]crashtest.Child{"commit": commitForever, "open": openOnce}))
}

// openOnce only opens the directory.
func openOnce(dir string, _ func(string, ...any)) error {
	_, err := openedChild(dir)
	return err
}

// commitForever acknowledges each commit: generation, prefix, digest or "-" for a removal.
func commitForever(dir string, acknowledge func(string, ...any)) error {
	reg, err := openedChild(dir)
	if err != nil {
		return err
	}
	for {
		line, err := childCommit(context.Background(), reg)
		if err != nil {
			return err
		}
		acknowledge("%s", line)
	}
}

func openedChild(dir string) (*registry.Registry, error) {
	store, err := Open(dir)
	if err != nil {
		return nil, err
	}
	reg, problems, err := registry.Open(context.Background(), store, store.Blobs())
	if err != nil || len(problems) > 0 {
		return nil, fmt.Errorf("open: %w, problems %v", err, problems)
	}
	return reg, nil
}

func childCommit(ctx context.Context, reg *registry.Registry) (line string, err error) {
	base := reg.State()
	key := routekey.MustParse(fmt.Sprintf("/s%d", rand.IntN(4)))
	if _, there := base.Services[key]; there && rand.IntN(5) == 0 {
		next, err := base.Remove(key)
		if err != nil {
			return "", err
		}
		if err := reg.Commit(ctx, base, next); err != nil {
			return "", err
		}
		_, err = reg.CollectGarbage(ctx)
		return fmt.Sprintf("%d %s -", next.Generation, key), err
	}
	blob := make([]byte, rand.IntN(64<<10))
	copy(blob, fmt.Sprint(rand.Uint64()))
	digest, release, err := reg.PutBlob(ctx, blob)
	if err != nil {
		return "", err
	}
	defer release()
	next, _ := base.Put(key, registry.Version{Kind: "wasm", Blobs: []registry.Blob{{Field: "module", Digest: digest, SizeBytes: int64(len(blob))}}})
	if err := reg.Commit(ctx, base, next); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %s %s", next.Generation, key, digest), nil
}

// TestKill kills a committing process at random moments, and checks that all acknowledged commits are found.
func TestKill(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	dir := t.TempDir()
	model := make(map[routekey.Key]registry.Digest) // as acknowledged
	var generation registry.Generation
	for range rounds {
		acknowledged := killedChild(t, dir)
		for _, a := range acknowledged {
			generation = a.generation
			model[a.key] = a.digest
			if a.digest == "-" {
				delete(model, a.key)
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
	key        routekey.Key
	digest     registry.Digest
}

// killedChild runs a child and kills it. It returns the acknowledgements.
func killedChild(t *testing.T, dir string) (all []acknowledgement) {
	for _, line := range crashtest.Kill(t, "commit", dir, 30) {
		var a acknowledgement
		var key string
		if n, _ := fmt.Sscan(line, &a.generation, &key, &a.digest); n == 3 { // the last line may be torn
			a.key = routekey.Stored(key)
			all = append(all, a)
		}
	}
	return all
}

// checkAgainst compares reg with model. It allows one additional commit that was not acknowledged, and adds
// it to model.
func checkAgainst(
	t *testing.T, reg *registry.Registry, generation registry.Generation, model map[routekey.Key]registry.Digest,
) {
	state := reg.State()
	require.GreaterOrEqual(t, state.Generation, generation)
	require.LessOrEqual(t, state.Generation, generation+1)
	found := make(map[routekey.Key]registry.Digest)
	differences := 0
	for key, service := range state.Services {
		found[key] = service.Current.Blobs[0].Digest
		if model[key] != service.Current.Blobs[0].Digest {
			differences++
		}
	}
	for key := range model {
		if _, there := found[key]; !there {
			differences++
		}
	}
	require.LessOrEqual(t, differences, int(state.Generation-generation))
	for digest := range state.Digests() {
		_, err := reg.Blob(context.Background(), digest)
		require.NoError(t, err)
	}
	clear(model)
	for key, digest := range found {
		model[key] = digest
	}
}

func TestSecondProcessOnDirectoryRefuses(t *testing.T) {
	dir := t.TempDir()
	_, _, done := opened(t, dir)
	out, err := crashtest.Command(t, "open", dir).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), ErrLocked.Error())
	require.Contains(t, string(out), dir)
	done()
	out, err = crashtest.Command(t, "open", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
