package proof

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

// mountDisk mounts a file system of 256 MiB, and returns an empty text if that is not possible here.
func mountDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256m", "vespo-proof", dir).CombinedOutput(); err != nil {
		t.Logf("no disk to fill: mount: %s", strings.TrimSpace(string(out)))
		return ""
	}
	t.Cleanup(func() {
		out, err := exec.Command("umount", dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	return dir
}

func (l *lab) lacksDisk() string {
	if l.disk == "" {
		return "mounting a small disk needs root on Linux"
	}
	return ""
}

// fillDisk fills the disk of the last host, which has a small one, and lets clients deploy there.
func (l *lab) fillDisk() {
	h := l.hosts[len(l.hosts)-1]
	name := filepath.Join(l.disk, "filler")
	file, err := os.Create(name)
	require.NoError(l.t, err)
	part := make([]byte, 1<<20)
	for size := len(part); size > 0; {
		if _, err = file.Write(part[:size]); err != nil {
			size /= 2
		}
	}
	require.ErrorIs(l.t, err, syscall.ENOSPC)
	require.NoError(l.t, file.Close())
	for range 3 {
		l.clients.deploy(h, serviceName(l.random.IntN(services)), true)
		l.clients.deploy(h, serviceName(l.random.IntN(services)), false)
	}
	l.moment()
	require.NoError(l.t, os.Remove(name))
}

// flipBit flips a bit in a module that a host serves, and starts the host again: it has to get the module from another.
func (l *lab) flipBit() {
	h := l.anyHost()
	d := l.deployModule(h)
	h.down(h.kill)
	name := filepath.Join(h.data, "blobs", "sha256", d.Hex())
	if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
		name = filepath.Join(h.data, "blobs", strings.ReplaceAll(string(d), ":", "/"))
	}
	blob, err := os.ReadFile(name)
	if err == nil { // else a later deploy has replaced it, and it was collected
		bit := l.random.IntN(8 * len(blob))
		blob[bit/8] ^= 1 << (bit % 8)
		require.NoError(l.t, os.WriteFile(name, blob, 0o600))
		l.flipped++
	}
	h.start()
}

// deployModule deploys a module on a host, and returns its digest.
func (l *lab) deployModule(h *host) registry.Digest {
	service := serviceName(l.random.IntN(services))
	var digest registry.Digest
	h.eventually("a module is deployed", func() bool {
		l.clients.deploy(h, service, true)
		var about struct {
			Digest registry.Digest `json:"module_digest"`
			Kind   string
		}
		text := h.get("/services/inspect?prefix=" + service)
		if json.Unmarshal([]byte(text), &about) != nil || about.Kind != "wasm" {
			return false
		}
		digest = about.Digest
		return true
	})
	return digest
}

// upgrade replaces each host by the other version of the program, one after the other.
func (l *lab) upgrade() {
	to := 1 - l.hosts[0].version
	for _, h := range l.hosts {
		h.draining.Store(true)
		h.down(h.terminate)
		h.version = to
		h.start()
		h.draining.Store(false)
	}
	h := l.anyHost()
	h.eventually("all hosts have the new version", func() bool {
		return strings.Count(h.get("/services/hosts"), fmt.Sprintf(`"version":%q`, version(to))) == len(l.hosts)
	})
}

func lacksClock(*lab) string {
	if !clocks() {
		return "the wall clock of a process can be shifted on Linux with amd64 alone"
	}
	return ""
}

// stepClock moves the wall clock of a host, and back.
func (l *lab) stepClock() {
	h := l.anyHost()
	steps := []time.Duration{-400 * 24 * time.Hour, -3 * time.Hour, -10 * time.Second, 10 * time.Second, 3 * time.Hour, 400 * 24 * time.Hour}
	for _, step := range []time.Duration{steps[l.random.IntN(len(steps))], 0} {
		h.setClock(step)
		h.eventually("the clock is moved", func() bool {
			off := time.Until(h.now()) - step
			return off.Abs() < 5*time.Second
		})
		l.moment()
	}
}
