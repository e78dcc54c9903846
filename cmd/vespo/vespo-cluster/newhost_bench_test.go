package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// BenchmarkNewHost measures the time from the start of a new host until it says that it listens, and until each service has
// answered a request, without and with --peer-code. The services have a module with code of its own each, or one module for
// all. Run it with -benchtime 1x: each iteration is a new host, side by side.
func BenchmarkNewHost(b *testing.B) {
	for _, services := range []struct {
		n   int
		own bool // each has a module with code of its own
	}{{1000, true}, {10_000, false}} {
		kind := "shared"
		if services.own {
			kind = "own"
		}
		b.Run(fmt.Sprintf("%d/%s", services.n, kind), func(b *testing.B) {
			server := etcdtest.Start(b)
			first := newHost(b, server.URL("bench"))
			first.args = append(first.args, "--peer-code", "--config-file", configOf(b, services.n, services.own))
			first.args = remove(first.args, "--no-config-file")
			first.startWithin(10 * time.Minute)
			requestAll(b, first, services.n)
			for _, code := range []bool{false, true} {
				b.Run(fmt.Sprintf("peer-code=%t", code), func(b *testing.B) {
					var listening, served time.Duration
					for range b.N {
						h := newHost(b, server.URL("bench"))
						if code {
							h.args = append(h.args, "--peer-code")
						}
						began := time.Now()
						h.startWithin(10 * time.Minute)
						listening += time.Since(began)
						requestAll(b, h, services.n)
						served += time.Since(began)
						h.kill()
					}
					b.ReportMetric(listening.Seconds()/float64(b.N), "s/listening")
					b.ReportMetric(served.Seconds()/float64(b.N), "s/served")
					b.ReportMetric(0, "ns/op")
				})
			}
		})
	}
}

func remove(args []string, arg string) (rest []string) {
	for _, a := range args {
		if a != arg {
			rest = append(rest, a)
		}
	}
	return rest
}

// configOf writes a configuration file with services /s0, /s1, and so on.
func configOf(b *testing.B, n int, own bool) string {
	dir := b.TempDir()
	module := guest(b, "hello")
	var text strings.Builder
	for i := range n {
		name := "module.wasm"
		if own {
			name = fmt.Sprintf("module%d.wasm", i)
		}
		if own || i == 0 {
			content := module
			if own {
				content = withCode(module, i)
			}
			require.NoError(b, os.WriteFile(filepath.Join(dir, name), content, 0o600))
		}
		fmt.Fprintf(&text, "[[service]]\nprefix = \"s%d\"\nmodule = %q\n", i, name)
	}
	path := filepath.Join(dir, "vespo.toml")
	require.NoError(b, os.WriteFile(path, []byte(text.String()), 0o600))
	return path
}

// requestAll sends a request to each service, eight at a time.
func requestAll(b *testing.B, h *host, n int) {
	var next, failed atomic.Int64
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if h.body(fmt.Sprintf("/s%d", i)) != "hello from vespo" {
					failed.Add(1)
				}
			}
		})
	}
	clients.Wait()
	require.Zero(b, failed.Load(), "%s", h.log)
}

// Sections of a module.
const (
	typeSection     = 1
	functionSection = 3
	codeSection     = 10
)

// withCode returns a module with 100 functions more, which no other seed has.
func withCode(module []byte, seed int) []byte {
	const more = 100
	out := append([]byte(nil), module[:8]...)
	types := 0
	for rest := module[8:]; len(rest) > 0; {
		id := rest[0]
		size, n := binary.Uvarint(rest[1:])
		content := rest[1+n:][:size]
		rest = rest[1+n+int(size):]
		count, m := binary.Uvarint(content)
		var added []byte
		switch id {
		case typeSection:
			types = int(count)
			content = append(binary.AppendUvarint(nil, count+1), append(append([]byte(nil), content[m:]...), 0x60, 0, 0)...)
		case functionSection:
			for range more {
				added = binary.AppendUvarint(added, uint64(types))
			}
		case codeSection:
			for i := range more {
				body := bodyOf(seed*more + i)
				added = append(binary.AppendUvarint(added, uint64(len(body))), body...)
			}
		}
		if added != nil {
			content = append(append(binary.AppendUvarint(nil, count+more), content[m:]...), added...)
		}
		out = append(binary.AppendUvarint(append(out, id), uint64(len(content))), content...)
	}
	return out
}

// bodyOf returns a function that computes something of its own.
func bodyOf(seed int) []byte {
	body := []byte{1, 1, 0x7f} // a local of type i32
	for i := range 40 {
		body = append(body, 0x20, 0, 0x41) // local.get 0, i32.const
		body = append(body, byte(seed>>(7*(i%4)))&0x7f|0x80, byte(i)&0x3f)
		body = append(body, 0x6c, 0x41, byte(i%64), 0x6a, 0x21, 0) // i32.mul, i32.const, i32.add, local.set 0
	}
	return append(body, 0x0b)
}
