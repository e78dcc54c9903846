package docs

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the directory of the repository.
const root = "../../../.."

// markdown returns the Markdown files of the repository, as slash-separated paths from its root.
func markdown(t *testing.T) (names []string) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "target"):
			return fs.SkipDir
		case !d.IsDir() && filepath.Ext(name) == ".md":
			names = append(names, name)
		}
		return nil
	}))
	require.Greater(t, len(names), 30)
	return names
}

// copyRepository copies the files that belong to the repository to a directory.
func copyRepository(t *testing.T, to string) {
	t.Helper()
	list := exec.Command("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		t.Skip("this is not a checkout, or git is not installed: ", err)
	}
	for _, name := range strings.Split(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		from := filepath.Join(root, filepath.FromSlash(name))
		info, err := os.Stat(from)
		if os.IsNotExist(err) {
			continue // removed, but not in the index yet
		}
		require.NoError(t, err)
		content, err := os.ReadFile(from)
		require.NoError(t, err)
		target := filepath.Join(to, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(target), 0o755))
		require.NoError(t, os.WriteFile(target, content, info.Mode().Perm()))
	}
}

// buildVespo builds the command into a directory.
func buildVespo(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-o", dir+string(filepath.Separator), "./cmd/vespo")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// environment returns the environment of a session: a home of its own, the caches of this machine, and bin first on the PATH.
// By -trimpath a copy of the repository has the same compiled code as the repository.
func environment(t *testing.T, bin, home string) []string {
	t.Helper()
	// Curl draws its progress only where its output is not a terminal, as here.
	require.NoError(t, os.WriteFile(filepath.Join(home, ".curlrc"), []byte("no-progress-meter\n"), 0o600))
	project, err := filepath.Abs(root)
	require.NoError(t, err)
	env := []string{
		"HOME=" + home,
		"TMPDIR=" + home,
		"PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"PROJECT=" + project,
		"GOFLAGS=-trimpath",
		"GOTOOLCHAIN=local",
		"LANG=C.UTF-8",
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY"} {
		value, err := exec.Command("go", "env", name).Output()
		require.NoError(t, err)
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	user, err := os.UserHomeDir()
	require.NoError(t, err)
	for name, dir := range map[string]string{"CARGO_HOME": ".cargo", "RUSTUP_HOME": ".rustup"} {
		value := os.Getenv(name)
		if value == "" {
			value = filepath.Join(user, dir)
		}
		env = append(env, name+"="+value)
	}
	return env
}
