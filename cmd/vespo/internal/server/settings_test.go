package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/control/configfile"
)

// fileWith writes a configuration file and returns its path.
func fileWith(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vespo.toml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// TestSettingsOfAFile checks the order of precedence: flags, file, environment, defaults.
func TestSettingsOfAFile(t *testing.T) {
	clearEnvironment(t)
	t.Setenv("VESPO_ADMIN_TOKEN", "of the environment")
	t.Setenv("SERVER_THREAD_COUNT", "2")
	t.Setenv("PORT", "1")
	path := fileWith(t, `[server]
listen = ":2"
data = "d"
root = "/r"
admin-token = "a-token-of-the-file"
max-body = 65536
timeout = "2s"
demo = true
log-format = "common"
queue = 7
`)
	cfg, err := parse(t, "--config-file", path, "--timeout=3s", "--queue=0")
	require.NoError(t, err)
	require.Equal(t, ":2", cfg.Listen)
	require.Equal(t, filepath.Join(filepath.Dir(path), "d"), cfg.Data)
	require.Equal(t, "/r", cfg.Root)
	require.Equal(t, "a-token-of-the-file", cfg.AdminToken)
	require.EqualValues(t, 65536, cfg.MaxBody)
	require.Equal(t, "3s", cfg.Timeout.String(), "a flag goes before the file")
	require.Zero(t, cfg.Queue, "even one with the value zero")
	require.True(t, cfg.Demo)
	require.Equal(t, "common", cfg.AccessLog)
	require.Equal(t, 2, cfg.Slots, "what the file does not say, the environment does")

	file, err := named(path).ReadSettings()
	require.NoError(t, err)
	alone, err := configOf(file, Openers{})
	require.NoError(t, err)
	require.Equal(t, "2s", alone.Timeout.String())
	require.Equal(t, 7, alone.Queue)
}

// TestSettingsAreCheckedTogether checks that settings which are valid alone but
// not together are reported with their lines, and that a flag can correct them.
func TestSettingsAreCheckedTogether(t *testing.T) {
	clearEnvironment(t)
	path := fileWith(t, "[server]\nper-service = 100\nqueue = -1\n")
	_, err := parse(t, "--config-file", path, "--queue=1")
	require.ErrorContains(t, err, "--per-service is 100")
	cfg, err := parse(t, "--config-file", path, "--queue=1", "--slots=200")
	require.NoError(t, err)
	require.Equal(t, 100, cfg.PerService)

	file, err := named(path).ReadSettings()
	require.NoError(t, err)
	_, err = configOf(file, Openers{})
	var violations configfile.Violations
	require.True(t, errors.As(err, &violations))
	require.Len(t, violations, 2)
	require.Equal(t, []int{2, 3}, []int{violations[0].Line, violations[1].Line})
}

// TestEmptyValues checks that an empty path is not the current directory, and that an empty list of certificates is no
// server without TLS.
func TestEmptyValues(t *testing.T) {
	clearEnvironment(t)
	for _, args := range [][]string{
		{"--root", ""}, {"--root="}, {"--data", ""}, {"--tls-cert", "", "--tls-key", ""}, {"--admin-token="}, {"--log-format", ""}, {"--config-file", ""},
	} {
		_, err := parse(t, args...)
		require.ErrorContains(t, err, "is empty: give a value, or leave the flag out", args)
	}
	_, err := parse(t, "--root=", "--data", "", "--slots=3")
	require.ErrorContains(t, err, "--root is empty")
	require.ErrorContains(t, err, "--data is empty", "all are reported")

	for _, setting := range []string{`root = ""`, `data = "${NONE:-}"`, `acme-ca = ""`, `tls-cert = [""]`, `tls-key = ["a", ""]`} {
		path := fileWith(t, "[server]\n"+setting+"\n")
		_, err := parse(t, "--config-file", path)
		require.ErrorContains(t, err, "toml:2: "+strings.Fields(setting)[0]+" is empty: give a path, or leave the setting out")
		file, err := named(path).ReadSettings()
		require.NoError(t, err)
		_, err = configOf(file, Openers{})
		require.ErrorContains(t, err, "is empty", "vespo check reports it, too")
	}
	cfg, err := parse(t, "--config-file", fileWith(t, "[server]\nadmin-token = \"${NONE:-}\"\n"))
	require.NoError(t, err)
	require.Empty(t, cfg.AdminToken)
}

func TestListenersHaveTheirOwnAddresses(t *testing.T) {
	clearEnvironment(t)
	for flag, other := range map[string]string{"--admin-listen": "--listen", "--worker-listen": "--listen", "--lambda-listen": "--listen"} {
		_, err := parse(t, "--listen=127.0.0.1:8081", flag+"=127.0.0.1:8081")
		require.ErrorContains(t, err, flag+" is 127.0.0.1:8081, the address of "+other+": give each listener its own")
	}
	_, err := parse(t, "--admin-listen=127.0.0.1:4242")
	require.ErrorContains(t, err, "--worker-listen is 127.0.0.1:4242, the address of --admin-listen")
	_, err = parse(t, "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--worker-listen=127.0.0.1:0")
	require.NoError(t, err)
}

func TestWhatCanBeNoSetting(t *testing.T) {
	clearEnvironment(t)
	_, err := parse(t, "--config-file", fileWith(t, "[server]\nconfig-file = \"other\"\nfile-rules = true\nhelp = true\nslots = \"x\"\nlog-level = \"loud\"\n"))
	for _, text := range []string{`toml:2: unknown setting "config-file"`, `toml:3: unknown setting "file-rules"`, `toml:4: unknown setting "help"`, "toml:5: ", "toml:6: "} {
		require.ErrorContains(t, err, text)
	}
	_, err = parse(t, "--config-file", fileWith(t, "[server]\nmax_lag = \"1m\"\n"))
	require.ErrorContains(t, err, `toml:2: unknown setting "max_lag", did you mean "max-lag"?`)
	_, err = parse(t, "--config-file", filepath.Join(t.TempDir(), "none"))
	require.ErrorContains(t, err, "no such file")
}
