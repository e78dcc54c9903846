package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// configured is a server with a configuration file in a separate directory.
type configured struct {
	*process
	t       *testing.T
	dir     string
	client  *remote.Client
	reloads int
}

// write replaces a file by renaming, as editors do, or overwrites it in place, as cp does.
func (c *configured) write(name, text string, rename bool) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if rename {
		require.NoError(c.t, os.WriteFile(path+".new", []byte(text), 0o644))
		require.NoError(c.t, os.Rename(path+".new", path))
		return
	}
	require.NoError(c.t, os.WriteFile(path, []byte(text), 0o644))
}

var reloaded = regexp.MustCompile(`msg="configuration (not )?applied`)

// hangup sends a SIGHUP and waits until the file was applied or refused.
func (c *configured) hangup() (applied bool) {
	c.t.Helper()
	before := len(reloaded.FindAllString(c.stderr.String(), -1))
	require.NoError(c.t, c.cmd.Process.Signal(syscall.SIGHUP))
	var last []string
	require.True(c.t, c.stderr.Await(c.t.Context(), func(text string) bool {
		all := reloaded.FindAllStringSubmatch(text, -1)
		if len(all) > before {
			last = all[len(all)-1]
		}
		return last != nil
	}), c.stderr)
	c.reloads++
	return last[1] == ""
}

// services returns the services that the management API lists, by prefix.
func (c *configured) services() map[string]remote.Service {
	c.t.Helper()
	a, err := c.client.Get(c.t.Context(), "/services/list", nil)
	require.NoError(c.t, err)
	var list struct{ Services []remote.Service }
	require.NoError(c.t, json.Unmarshal(a.Body, &list))
	all := make(map[string]remote.Service)
	for _, s := range list.Services {
		require.NotEqual(c.t, "failed", s.State)
		s.State, s.Warm, s.InFlight, s.LastUsed = "", 0, 0, s.Deployed // these change with requests, and with slots that others need
		s.Requests, s.Errors = 0, 0
		all[strings.TrimSuffix(s.Prefix+" "+s.Match, " ")] = s
	}
	return all
}

// declaration returns a configuration file that declares
// services. Arguments are pairs of a prefix and a module.
func declaration(pairs ...string) string {
	var b strings.Builder
	b.WriteString("[server]\nqueue-wait = \"30s\"\n")
	for i := 0; i < len(pairs); i += 2 {
		prefix, match, _ := strings.Cut(pairs[i], " ")
		fmt.Fprintf(&b, "[[service]]\nprefix = %q\nmodule = %q\n", prefix, pairs[i+1])
		if match != "" {
			fmt.Fprintf(&b, "match = %q\n", match)
		}
	}
	return b.String()
}

// unstartable returns a valid module whose initialisation traps.
func unstartable() string {
	section := func(id byte, content string) string { return string([]byte{id, byte(len(content))}) + content }
	export := func(name, what string) string { return string([]byte{byte(len(name))}) + name + what }
	return "\x00asm\x01\x00\x00\x00" +
		section(1, "\x03\x60\x00\x00\x60\x00\x01\x7e\x60\x02\x7f\x7f\x00") + // types: (), () i64, (i32 i32)
		section(3, "\x03\x00\x01\x02") +
		section(5, "\x01\x00\x01") + // a memory of one page
		section(7, "\x04"+export("memory", "\x02\x00")+export("_initialize", "\x00\x00")+
			export("handle_request", "\x00\x01")+export("handle_response", "\x00\x02")) +
		section(10, "\x03\x03\x00\x00\x0b\x04\x00\x42\x00\x0b\x02\x00\x0b") // unreachable; i64.const 0; nothing
}

func startConfigured(t *testing.T) *configured {
	t.Helper()
	c := &configured{t: t, dir: t.TempDir()}
	c.write("hello.wasm", string(guests.Wat(t, "hello")), true)
	c.write("echo.wasm", string(guests.Wat(t, "echo")), true)
	c.write("hot.wasm", string(guests.Wat(t, "echo")), true)
	c.write("vespo.toml", declaration("/a", "hot.wasm", "/b", "echo.wasm"), true)
	c.process, c.client = launch(t, t.TempDir(), "--config-file", filepath.Join(c.dir, "vespo.toml"))
	return c
}

// clients starts n clients that call until stop, which
// returns the number of calls. Each response must be a 200.
func (c *configured) clients(n int) (stop func() int64) {
	var stopped atomic.Bool
	var calls atomic.Int64
	var all sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: n}
	for i := range n {
		path := [...]string{"/a", "/b/x"}[i%2]
		all.Go(func() {
			for !stopped.Load() {
				r, err := http.NewRequest(http.MethodPost, c.client.Base()+path, strings.NewReader("said"))
				if err == nil {
					err = answered(transport, r)
				}
				if err != nil {
					c.t.Errorf("%s: %s", path, err)
					return
				}
				calls.Add(1)
			}
		})
	}
	return func() int64 {
		stopped.Store(true)
		all.Wait()
		transport.CloseIdleConnections()
		return calls.Load()
	}
}

// answered requires a complete 200 response from either version.
func answered(transport *http.Transport, r *http.Request) error {
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if text := string(body); err != nil || resp.StatusCode != http.StatusOK || text != "said" && text != "hello from vespo\n" {
		return fmt.Errorf("%s %q %w", resp.Status, body, err)
	}
	return nil
}

// TestReloadStorm swaps modules, adds and removes services, writes torn, invalid, empty and missing files,
// and sends SIGHUPs, while clients call. Every response is a 200, and refused files change nothing.
func TestReloadStorm(t *testing.T) {
	c := startConfigured(t)
	modules := []string{string(guests.Wat(t, "hello")), string(guests.Wat(t, "echo"))}
	stop := c.clients(8)
	for round := range 10 {
		rename := round%2 == 0
		c.write("hot.wasm", modules[round%2], rename)
		require.True(t, c.hangup(), c.stderr)
		c.write("vespo.toml", declaration("/a", "hot.wasm", "/b", "echo.wasm", "/c", "hello.wasm", "/a Host: iam", "echo.wasm"), rename)
		require.True(t, c.hangup(), c.stderr)
		before := c.services()
		require.Len(t, before, 4)

		whole := declaration("/a", "hello.wasm", "/b", "hot.wasm", "/d", "torn.wasm")
		for what, spoil := range map[string]func(){
			"a module that does not compile": func() {
				c.write("torn.wasm", modules[0][:len(modules[0])/2], rename)
				c.write("vespo.toml", whole, rename)
			},
			"a third service that cannot be started": func() {
				c.write("torn.wasm", unstartable(), rename)
				c.write("vespo.toml", whole, rename)
			},
			"a torn file":    func() { c.write("vespo.toml", whole[:len(whole)-12], rename) },
			"an empty file":  func() { c.write("vespo.toml", "", rename) },
			"a prefix twice": func() { c.write("vespo.toml", declaration("/a", "hello.wasm", "/a/", "echo.wasm"), rename) },
			"no file":        func() { require.NoError(t, os.Remove(filepath.Join(c.dir, "vespo.toml"))) },
		} {
			spoil()
			require.False(t, c.hangup(), what)
			require.Equal(t, before, c.services(), what)
		}
		c.write("vespo.toml", declaration("/a", "hot.wasm", "/b", "echo.wasm"), rename)
		require.True(t, c.hangup(), c.stderr)
		require.Len(t, c.services(), 2)
	}
	calls := stop()
	t.Logf("%d calls, %d reloads", calls, c.reloads)
	require.Positive(t, calls)
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGTERM))
	<-c.exited
	require.Zero(t, c.cmd.ProcessState.ExitCode(), c.stderr)
}

// TestHalfAFileRemovesNothing checks that a file that ends between two services
// may be incomplete: no service is removed before the file has settled.
func TestHalfAFileRemovesNothing(t *testing.T) {
	c := startConfigured(t)
	stop := c.clients(2)
	whole := declaration("/a", "hot.wasm", "/b", "echo.wasm")
	c.write("vespo.toml", declaration("/a", "hot.wasm"), false)
	require.True(t, c.await(regexp.MustCompile("services are missing from the configuration")))
	c.write("vespo.toml", whole, false)
	require.True(t, c.await(regexp.MustCompile(`configuration applied" .* removed=0\n`)), c.stderr)
	require.Positive(t, stop())
	require.Len(t, c.services(), 2)

	c.write("vespo.toml", declaration("/a", "hot.wasm"), false)
	require.True(t, c.await(regexp.MustCompile(`configuration applied" .* removed=1\n`)), c.stderr)
	require.Len(t, c.services(), 1)
}

// TestConfigMapIsFollowed checks that a change of a ConfigMap's symbolic links is applied without a signal.
func TestConfigMapIsFollowed(t *testing.T) {
	c := startConfigured(t)
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGTERM))
	<-c.exited
	version := func(name string, pairs ...string) {
		require.NoError(t, os.Mkdir(filepath.Join(c.dir, name), 0o755))
		c.write(filepath.Join(name, "vespo.toml"), declaration(pairs...), false)
		require.NoError(t, os.Symlink(name, filepath.Join(c.dir, "..tmp")))
		require.NoError(t, os.Rename(filepath.Join(c.dir, "..tmp"), filepath.Join(c.dir, "..data")))
	}
	version("..1", "/a", "hello.wasm")
	require.NoError(t, os.Remove(filepath.Join(c.dir, "vespo.toml")))
	require.NoError(t, os.Symlink("..data/vespo.toml", filepath.Join(c.dir, "vespo.toml")))
	c.process, c.client = launch(t, t.TempDir(), "--config-file", filepath.Join(c.dir, "vespo.toml"))
	for i, name := range []string{"..2", "..3"} {
		version(name, "/a", "hello.wasm", fmt.Sprintf("/new%d", i), "echo.wasm")
		require.True(t, c.stderr.Await(t.Context(), func(text string) bool {
			return strings.Count(text, `msg="configuration applied"`) > i
		}), c.stderr)
		require.Contains(t, c.services(), fmt.Sprintf("/new%d", i))
		require.Len(t, c.services(), 2)
	}
}
