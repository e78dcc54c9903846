package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/report"
)

// versionTime limits the wait for a program that prints its version.
const versionTime = 10 * time.Second

// machineFacts describes the machine and its load before the run.
func machineFacts() []report.Fact {
	return []report.Fact{
		{Name: "date", Value: time.Now().UTC().Format(time.DateOnly)},
		{Name: "processors", Value: fmt.Sprintf("%d, %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name"))},
		{Name: "memory", Value: report.MiB(kilobytes(field("/proc/meminfo", "MemTotal")))},
		{Name: "kernel", Value: runtime.GOOS + " " + firstWord("/proc/sys/kernel/osrelease")},
		{Name: "load average before", Value: strings.Join(loadAverage(), ", ")},
	}
}

// loadAverage returns the load of the last 1, 5 and 15 minutes.
func loadAverage() []string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	return fields[:min(3, len(fields))]
}

// versions returns the versions of all programs and modules.
func (b *bench) versions(ctx context.Context) []report.Fact {
	printed := func(dir, name string, args ...string) string {
		ctx, cancel := context.WithTimeout(ctx, versionTime)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return "absent: " + reason(err)
		}
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return line
	}
	all := []report.Fact{
		{Name: "Vespo", Value: "commit " + printed(b.root, "git", "rev-parse", "--short", "HEAD")},
		{Name: "Go", Value: runtime.Version()},
		{Name: "nginx", Value: printed(b.root, "nginx", "-v")},
		{Name: "Node.js", Value: printed(b.root, "node", "--version")},
		{Name: "workerd", Value: workerdVersion},
		{Name: "wasmtime", Value: "Go binding " + printed(filepath.Join(b.root, "bench", "wasmtime"), "sed", "-n", `s/.*wasmtime-go.* //p`, "go.mod")},
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			switch d.Path {
			case "github.com/valyala/fasthttp", "github.com/tetratelabs/wazero", "github.com/yuin/goldmark":
				all = append(all, report.Fact{Name: d.Path[strings.LastIndexByte(d.Path, '/')+1:], Value: d.Version})
			}
		}
	}
	return all
}
