package server

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
)

const limitsPath = "../../../../docs/limits.md"

// bounds are the flags that bound something, in the order of docs/limits.md. An empty title continues the part before.
var bounds = []struct{ part, flag, bounds, acts string }{
	{"One request to a guest", "memory", "linear memory of a request; also the most that a service can ask for", "`memory.grow` fails in the guest; if the guest then fails, the answer is 500 `out-of-memory`"},
	{"", "timeout", "time of a request, from its slot on; `add --timeout` sets it for one service", "the guest is stopped: 504 `deadline`, or a cut connection if the answer has begun"},
	{"", "max-body", "body of a request; and of an answer that a guest buffers", "413 `body-too-large`; 502 for an answer"},
	{"", "log-rate", "output of one service that reaches the log, in a second", "further lines are dropped and counted"},
	{"All requests", "slots", "requests that run in guests at a time", "others wait in the queue of their service"},
	{"", "per-service", "slots that one service may hold; `add --concurrency` sets it for one service", "others of that service wait"},
	{"", "queue", "requests of one service that wait for a slot", "503 `no-capacity` with `Retry-After`"},
	{"", "queue-wait", "time that a request waits for a slot", "503 `no-capacity` with `Retry-After`"},
	{"", "per-client", "share of slots, places in queues and connections that one client may hold", "503 `no-capacity`; further connections are closed"},
	{"", "header-memory", "memory of open requests, mostly their headers", "503 `no-capacity`"},
	{"Kept answers", "cache-memory", "memory for answers of services with `--cache`; of one answer a sixteenth", "the least recently used answers go; larger ones are not kept"},
	{"Connections", "max-connections", "open connections", "a new one replaces the one that is idle longest, or waits"},
	{"", "keep-alive", "time without a request", "the connection is closed"},
	{"", "tunnels", "WebSockets and other upgraded connections", "503 `no-capacity`"},
	{"", "tunnel-idle", "time without traffic on one of them", "it is closed"},
	{"Deploys", "max-module", "size of a module", "413 `body-too-large`"},
	{"", "compile-memory", "memory for compiling one module", "422 `module-invalid`"},
	{"", "compile-time", "processor time for compiling one module", "422 `module-invalid`"},
	{"", "code-memory", "memory for compiled code and snapshots", "services that were not used for longest release theirs, and their next request waits until it is back. Of mapped code the resident part counts"},
	{"", "code-cache", "disk space for compiled code, and a quarter of it for snapshots", "the least recently used files are deleted; those of loaded services take disk space until these are evicted. Mapped files are at most the larger of `--code-cache` and `--code-memory`, all together: beyond it, services are evicted"},
	{"", "retire-after", "time that a replaced version goes on with its requests", "they are stopped"},
	{"", "idle", "time without a request after which a service releases its slots, and after 6 times that its compiled code", "the next request waits until it is back"},
	{"Key-value stores", "kv-size", "size of one store: keys, values, metadata, and 64 bytes for each key", "writes that need more room fail"},
	{"", "kv-total", "size of all stores", "writes that need more room fail"},
	{"Kept logs", "log-size", "disk space of the log of one service", "the oldest entries go"},
	{"", "log-total", "disk space of all logs", "the oldest entries go"},
}

// notBounds are the numbers, sizes and times among the flags that bound nothing.
var notBounds = []string{"shutdown-delay"}

// TestLimitsAreThoseOfTheFlags requires that docs/limits.md is current, and that it has every flag that is a limit.
func TestLimitsAreThoseOfTheFlags(t *testing.T) {
	found := limitFlags()
	for _, b := range bounds {
		require.Contains(t, found, b.flag)
	}
	for name := range found {
		listed := slices.Contains(notBounds, name)
		for _, b := range bounds {
			listed = listed || b.flag == name
		}
		require.True(t, listed, "the flag --%s may be a limit: add it to bounds or notBounds", name)
	}
	want := limits(found)
	if *update {
		require.NoError(t, os.WriteFile(limitsPath, []byte(want), 0o644))
	}
	text, err := os.ReadFile(limitsPath)
	require.NoError(t, err)
	require.Equal(t, want, string(text), "run: go test ./cmd/vespo/internal/server -run Limits -update")
}

var wordStart = regexp.MustCompile(`(KV|[a-z])([A-Z])`)

// limitFlags returns the defaults of the flags that are numbers, sizes, times and shares, by their names.
func limitFlags() map[string]string {
	found := map[string]string{}
	config := reflect.TypeFor[Config]()
	for i := range config.NumField() {
		f := config.Field(i)
		switch f.Type {
		case reflect.TypeFor[flags.Size](), reflect.TypeFor[time.Duration](), reflect.TypeFor[int](), reflect.TypeFor[percent]():
			found[strings.ToLower(wordStart.ReplaceAllString(f.Name, "$1-$2"))] = f.Tag.Get("default")
		}
	}
	return found
}

// derived are the values that a default of 0 stands for.
var derived = map[string]string{"code-memory": "1/4 of the machine's memory", "per-service": "3/4 of `--slots`", "tunnels": "1/4 of `--max-connections`"}

// limits returns docs/limits.md.
func limits(defaults map[string]string) string {
	var b strings.Builder
	b.WriteString(`# Limits

Every bound of a server: its default, its flag, and what happens when it acts. This page is generated from the flags of
` + "`vespo serve`" + `; [operations.md](operations.md#start) describes them.
`)
	for _, limit := range bounds {
		if limit.part != "" {
			fmt.Fprintf(&b, "\n## %s\n\n| what | default | flag | beyond it |\n|---|---|---|---|\n", limit.part)
		}
		value := derived[limit.flag]
		if value == "" {
			value = strings.ReplaceAll(defaults[limit.flag], "iB", " iB")
			value = regexp.MustCompile(`([KMG]) iB`).ReplaceAllString(value, " ${1}iB")
		}
		fmt.Fprintf(&b, "| %s | %s | `--%s` | %s |\n", limit.bounds, value, limit.flag, limit.acts)
	}
	b.WriteString(`
## Bounds without a flag

| what | where |
|---|---|
| call stack, header of an answer, log lines, open files, outbound calls, settings, mounts of a guest; cost of compiling it | [contract](guests/contract.md#limits) |
| memory beside the guests: snapshots, compiled code, call stacks, buffers, queues, functions | [memory](operations.md#memory) |
| memory for instances that have lost their slot to another service: 1/8 of ` + "`--code-memory`" + `, at most 64 MiB | [memory](operations.md#memory) |
| time for headers, bodies, uploads, initialisation, workers | [timeouts](operations.md#timeouts) |
| schedules of a service: 32; of a server: 4096. Their runs at a time: a quarter of the slots, from 2 to 32, of which 4 of one service; time of a run: 15 min, and its answer: 8 MiB | [schedules](schedules.md#rules) |
| versions of a service that still serve: 16 | [replacing a service](operations.md#replacing-a-service) |
| middleware in front of a service: 8 modules | [middleware](middleware.md) |
| keys, values, pages, operations and stores of key-value stores | [key-value stores](key-value.md#limits) |
| requests in the kept log of a service: 100 a second, and 100 failed ones; clients that read or follow logs: 16 | [logs](logs.md#what-is-kept) |
| what services cost, by hour: 400 days, 1 GiB, and 100,000 rows of an answer | [usage](usage.md#sums-of-services) |
| requests and answers of queues, of functions | [queues](queue.md), [functions](functions.md#requests-and-answers) |
| accepted events of functions: 10,000 and 256 MiB, of which one function has at most three quarters | [events](functions.md#events) |
| records of the log that wait for a slow reader: 8 MiB | [when the output is blocked](operations.md#when-the-output-is-blocked) |
| rate of requests to a service: none unless it has a ` + "`--rate`" + `; clients whose rate is counted: 65,536 of a service, 1,048,576 of all, of some 100 bytes each | [rate limits](rate-limits.md) |
| length of a path: 8 KiB; fields of a header: 256 | [problems](operations.md#problems) |
| services of a server | no bound. Unused ones release their memory (` + "`--idle`" + `) |
`)
	return b.String()
}
