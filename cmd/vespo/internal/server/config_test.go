package server

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// parse returns the configuration of "vespo serve" with these flags.
func parse(t testing.TB, flags ...string) (*Config, error) {
	t.Helper()
	var c ServeCmd
	parser, err := kong.New(&c, Vars())
	require.NoError(t, err)
	_, err = parser.Parse(flags)
	return &c.Config, err
}

// clearEnvironment unsets the variables that the environment of the test may have.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{"VESPO_ADMIN_TOKEN", "PORT", "SERVER_THREAD_COUNT"} {
		t.Setenv(name, "") // so that the variable is restored
		require.NoError(t, os.Unsetenv(name))
	}
}

// TestEnvironment checks PORT and SERVER_THREAD_COUNT, which
// FlexiLib reads too. Flags take precedence over them.
func TestEnvironment(t *testing.T) {
	clearEnvironment(t)
	t.Setenv("PORT", "8069")
	t.Setenv("SERVER_THREAD_COUNT", "3")
	cfg, err := parse(t)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8069", cfg.Listen, "a port opens no further address")
	require.Equal(t, 3, cfg.Slots)
	cfg, err = parse(t, "--listen=:1", "--slots=5")
	require.NoError(t, err)
	require.Equal(t, ":1", cfg.Listen)
	require.Equal(t, 5, cfg.Slots)
	for _, bad := range []string{"none", "-1", "65536", "1:2", "tcp://10.0.0.1:80"} {
		t.Setenv("PORT", bad)
		_, err = parse(t)
		require.ErrorContains(t, err, "PORT", bad)
	}
	t.Setenv("PORT", "")
	t.Setenv("SERVER_THREAD_COUNT", "many")
	_, err = parse(t)
	require.ErrorContains(t, err, "SERVER_THREAD_COUNT")
}

func TestLogFormatIsAnotherNameOfAccessLog(t *testing.T) {
	clearEnvironment(t)
	cfg, err := parse(t, "--log-format=common")
	require.NoError(t, err)
	require.Equal(t, "common", cfg.AccessLog)
}

func TestDefaults(t *testing.T) {
	clearEnvironment(t)
	cfg, err := parse(t)
	require.NoError(t, err)
	want, err := os.ReadFile("testdata/golden/defaults.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), cfg.String())
}

func TestConfigReadsBack(t *testing.T) {
	given := []string{
		"--listen=:0", "--data=/d", "--memory=192KiB", "--slots=3", "--timeout=1m30s", "--max-body=1000B", "--max-module=1GiB",
		"--compile-memory=2GiB", "--compile-time=30s", "--code-cache=10GiB",
		"--per-service=2", "--queue=0", "--queue-wait=0s", "--root=/r", "--idle=0s", "--max-connections=1", "--trusted-proxy=10.0.0.0/8,private_ranges",
		"--proxy-protocol", "--allow-private-sources", "--access-log=json",
		"--log-level=error", "--demo",
		"--tls-cert=/a,/b", "--tls-key=/c,/d", "--tls-on=public,admin,workers", "--http-redirect=:80", "--hsts=1h0m0s", "--admin-client-ca=/e",
		"--worker-client-ca=/f",
	}
	cfg, err := parse(t, given...)
	require.NoError(t, err)
	var flags []string
	for line := range strings.Lines(cfg.String()) {
		if !strings.HasPrefix(line, "--admin-token") && !strings.HasPrefix(line, "--worker-token") { // which are not shown
			flags = append(flags, strings.TrimSuffix(line, "\n"))
		}
	}
	again, err := parse(t, flags...)
	require.NoError(t, err)
	require.Equal(t, cfg, again)
}

func TestStringHidesToken(t *testing.T) {
	cfg, err := parse(t, "--admin-token=hidden")
	require.NoError(t, err)
	require.NotContains(t, cfg.String(), "hidden")
	require.Contains(t, cfg.String(), "--admin-token=set\n")
}

func TestValidate(t *testing.T) {
	valid := func() *Config {
		cfg, err := parse(t)
		require.NoError(t, err)
		return cfg
	}
	for name, change := range map[string]func(*Config){
		"--listen is":         func(c *Config) { c.Listen = "127.0.0.1" },
		"127.0.0.1:x":         func(c *Config) { c.Listen = "127.0.0.1:x" },
		"--memory is":         func(c *Config) { c.Memory = 65537 },
		"--memory is 0":       func(c *Config) { c.Memory = 0 },
		"less than 4GiB":      func(c *Config) { c.Memory = 4 << 30 },
		"--slots is":          func(c *Config) { c.Slots = maxSlots + 1 },
		"--slots x --memory":  func(c *Config) { c.Slots, c.Memory = 8193, 2<<30 },
		"--timeout is":        func(c *Config) { c.Timeout = -1 },
		"at most 1h0m0s":      func(c *Config) { c.Timeout = time.Hour + 1 },
		"--max-body is":       func(c *Config) { c.MaxBody = -1 },
		"--max-module is":     func(c *Config) { c.MaxModule = 0 },
		"--compile-memory is": func(c *Config) { c.CompileMemory = 1 << 20 },
		"--compile-time is":   func(c *Config) { c.CompileTime = time.Millisecond },
		"--code-cache is":     func(c *Config) { c.CodeCache = 0 },
		"--per-service is":    func(c *Config) { c.PerService = c.Slots + 1 },
		"--queue is":          func(c *Config) { c.Queue = -1 },
		"--queue-wait is":     func(c *Config) { c.QueueWait = 2 * time.Hour },
		"--idle is":           func(c *Config) { c.Idle = -1 },
		"--max-connections":   func(c *Config) { c.MaxConnections = 0 },
		"--trusted-proxy":     func(c *Config) { c.TrustedProxy = []string{"10.0.0.1/8"} },
		"write 10.0.0.0/8":    func(c *Config) { c.TrustedProxy = []string{"10.0.0.1/8"} },
		"needs --trusted":     func(c *Config) { c.ProxyProtocol = true },
		"--admin-token has":   func(c *Config) { c.AdminToken = "a\nb" },
		"no header can carry": func(c *Config) { c.AdminToken = "é" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := valid()
			require.NoError(t, cfg.Validate())
			change(cfg)
			err := cfg.Validate()
			require.ErrorContains(t, err, name)
			require.Len(t, strings.Split(err.Error(), "\n"), 1)
		})
	}
	bad := valid()
	bad.Slots, bad.Queue, bad.Listen = 0, -1, ""
	require.Len(t, strings.Split(bad.Validate().Error(), "\n"), 3)
}
