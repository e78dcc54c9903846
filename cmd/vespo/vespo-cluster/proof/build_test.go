package proof

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

const stamp = "github.com/vespo-dev/vespo/cmd/vespo/internal/version.stamp"

// build builds the program as two versions. The wall clock of both can be shifted by the file that VESPO_PROOF_CLOCK names,
// on Linux with amd64: an overlay replaces the function by which the runtime reads the clock, and no file of the program.
func build(t *testing.T) (versions [2]string) {
	t.Helper()
	module, err := filepath.Abs("..")
	require.NoError(t, err)
	dir := t.TempDir()
	replace := make(map[string]string)
	if clocks() {
		for name, with := range map[string]string{"proofclock.go": "clock.go.txt", "proofclock_amd64.s": "clock_amd64.s.txt"} {
			replace[filepath.Join(module, name)] = filepath.Join(module, "proof", "testdata", "clock", with)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	for i := range versions {
		versions[i] = filepath.Join(dir, fmt.Sprintf("vespo-%d", i))
		args := []string{"build", "-trimpath", "-overlay", filepath.Join(dir, "overlay.json"), "-o", versions[i]}
		if raceEnabled {
			args = append(args, "-race")
		}
		args = append(args, "-ldflags", fmt.Sprintf("-s -w -checklinkname=0 -X '%s=%s proof'", stamp, version(i)), ".")
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = module, append(os.Environ(), "GOWORK=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	return versions
}

// version returns the name of a build.
func version(i int) string { return fmt.Sprintf("v1.%d.0", i) }

// clocks reports whether builds have a clock that can be shifted.
func clocks() bool { return runtime.GOOS == "linux" && runtime.GOARCH == "amd64" }
