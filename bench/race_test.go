package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/report"
	"github.com/vespo-dev/vespo/bench/internal/work"
)

// handled returns a rival that serves a handler here. Its process does nothing.
func handled(t *testing.T, name string, h http.HandlerFunc) rival {
	start := func(*bench, context.Context, *task) (*server, error) {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		cmd := exec.Command("sleep", "600")
		out, err := cmd.StderrPipe()
		require.NoError(t, err)
		idle, _, err := launch(cmd, out, "")
		if err != nil {
			return nil, err
		}
		idle.addr, idle.killed = strings.TrimPrefix(s.URL, "http://"), true
		return idle, nil
	}
	return rival{name: name, state: stateShared, start: start}
}

// TestRace has rivals that are absent, answer wrongly, fail, and hang before and after the first answers.
func TestRace(t *testing.T) {
	hello := helloTask()
	good := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, hello.answer) }
	hang := make(chan struct{})
	defer close(hang) // before the servers are closed
	first := true
	missing := func(*bench, context.Context, *task) (*server, error) {
		return nil, errors.New("it is\nnot <installed>")
	}
	late := func(w http.ResponseWriter, r *http.Request) {
		if first {
			first = false
			good(w, r)
			return
		}
		<-hang
	}
	all := []rival{
		handled(t, "good", good),
		{name: "absent", start: missing},
		handled(t, "wrong", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "other") }),
		handled(t, "fails", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadGateway) }),
		handled(t, "hangs", func(http.ResponseWriter, *http.Request) { <-hang }),
		handled(t, "hangs later", late),
	}
	b := &bench{config: &config{rounds: 2, round: 5 * time.Millisecond, connections: 1, patience: time.Second}}
	c := b.race(t.Context(), hello, all)
	require.Len(t, c.Entries, 1)
	require.Equal(t, "good", c.Entries[0].Name)
	require.Len(t, c.Entries[0].PerSecond, 2)
	var reasons []string
	for _, a := range c.Absent {
		reasons = append(reasons, a.Name+": "+a.Reason)
	}
	require.Len(t, reasons, 5, reasons)
	for i, want := range []string{"absent: not  installed", `wrong: answered "other"`, "fails: answered 502", "hangs: ", "hangs later: "} {
		require.Contains(t, reasons[i], want)
	}
	require.Contains(t, reasons[3], "timeout")
	require.Contains(t, reasons[4], "timeout")
}

// A rival that fails after some rounds is absent, and the others go on.
func TestRaceGoesOn(t *testing.T) {
	hello := helloTask()
	requests := 0
	breaks := func(w http.ResponseWriter, _ *http.Request) {
		if requests++; requests > 10 {
			panic(http.ErrAbortHandler)
		}
		time.Sleep(time.Millisecond)
		_, _ = io.WriteString(w, hello.answer)
	}
	good := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, hello.answer) }
	all := []rival{handled(t, rivalNative, good), handled(t, rivalNode, breaks)}
	b := &bench{config: &config{rounds: 30, round: time.Millisecond, connections: 1, patience: time.Minute}}
	c := b.race(t.Context(), hello, all)
	require.Len(t, c.Entries, 1)
	require.Len(t, c.Entries[0].PerSecond, 30)
	require.Len(t, c.Absent, 1)
	require.Equal(t, rivalNode, c.Absent[0].Name)
}

// When the time is over, the rounds so far count.
func TestRaceEnds(t *testing.T) {
	hello := helloTask()
	ctx, cancel := context.WithCancel(t.Context())
	requests := 0
	all := []rival{handled(t, rivalNative, func(w http.ResponseWriter, _ *http.Request) {
		if requests++; requests == 2000 { // after many rounds, also on a busy machine
			cancel()
		}
		_, _ = io.WriteString(w, hello.answer)
	})}
	b := &bench{config: &config{rounds: 1 << 12, round: time.Millisecond, connections: 1, patience: time.Minute}}
	c := b.race(ctx, hello, all)
	require.Len(t, c.Entries, 1)
	require.Empty(t, c.Absent)
	c = b.race(ctx, hello, all)
	require.Empty(t, c.Entries)
	require.Len(t, c.Absent, 1)
}

// A tool that is out of time ends, though a child of it has its output open.
func TestToolsThatHang(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.Error(t, (&bench{}).tool(ctx, t.TempDir(), "sh", "-c", "sleep 20 & wait"))
}

func TestServersThatDoNotStart(t *testing.T) {
	b := &bench{config: &config{}}
	_, err := b.startOn(t.Context(), "false", "127.0.0.1:1", exec.Command("sh", "-c", "echo no such module >&2; exit 1"))
	require.ErrorContains(t, err, "no such module")
	cmd := exec.Command("sh", "-c", "sleep 600 & wait")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	_, err = startWithin(t.Context(), cmd, out, "listening on ", 20*time.Millisecond)
	require.ErrorContains(t, err, "did not start within 20ms") // the child that has the pipe is killed, too
}

// A section that fails or hangs is named on the page, with the tables that it has made.
func TestSections(t *testing.T) {
	b := &bench{config: &config{}}
	p := &report.Page{Sections: map[string]*report.Section{}}
	b.measureSection(t.Context(), section{"fails", func(_ *bench, _ context.Context, s *sheet) error {
		s.add(&report.Table{Title: "first"})
		return errors.New("the second failed")
	}}, p, time.Minute)
	b.measureSection(t.Context(), section{"hangs", func(_ *bench, ctx context.Context, _ *sheet) error {
		<-ctx.Done()
		return nil
	}}, p, time.Millisecond)
	require.Equal(t, "the second failed", p.Sections["fails"].Failed)
	require.Len(t, p.Sections["fails"].Tables, 1)
	require.Contains(t, p.Sections["hangs"].Failed, "deadline exceeded")
}

// TestTasks makes the requests of all tasks natively.
func TestTasks(t *testing.T) {
	for _, tasks := range [][]task{{muxTask()}, echoTasks(), jsonTasks(), htmlTasks(), markdownTasks(), resizeTasks(), sieveTasks(), neaTasks()} {
		for _, one := range tasks {
			made, err := newTask(one)
			require.NoError(t, err, one.title)
			require.NotEmpty(t, made.answer, one.title)
			require.Contains(t, made.rivals, rivalVespo)
			for _, name := range made.rivals {
				require.Contains(t, rivalNames(), name)
			}
			_, dir := (&bench{root: ".."}).guestPackage(made.service)
			require.DirExists(t, filepath.Join(dir, "guests", made.service))
		}
	}
	_, err := newTask(task{service: "other"})
	require.ErrorContains(t, err, "other")
	_, err = newTask(task{service: work.JSON, request: load.Request{Path: "/", Body: "no JSON"}})
	require.ErrorContains(t, err, "400")
}

// TestReport writes a page. Peers that are not installed are absent.
func TestReport(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts servers")
	}
	file := filepath.Join(t.TempDir(), "page.md")
	args := []string{"-report", file, "-tables", "hello", "-peers", "Vespo,net/http,fasthttp,nginx,Node.js", "-round", "20ms", "-rounds", "1", "-connections", "2"}
	require.NoError(t, run(t.Context(), args, io.Discard))
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, part := range []string{"go run ./bench -report docs/page.md -tables hello", "| Vespo ", "| net/http ", "| fasthttp ", "nginx", "Node.js", "1 is net/http", "Not measured in this run."} {
		require.Contains(t, string(page), part)
	}
	require.FileExists(t, strings.TrimSuffix(file, ".md")+"/throughput.svg")
	// An interrupted run writes no page, as it has no results, and ends.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, run(ctx, args, io.Discard))
}

func TestPages(t *testing.T) {
	c, err := parse([]string{"-report", "page.md"})
	require.NoError(t, err)
	require.Len(t, c.tables, len(sections))
	for _, args := range [][]string{{"-report", "page.md", "-tables", "throughput"}, {"-tables", "hello"}, {"-peers", "other"}, {"-patience", "0s"}} {
		_, err := parse(args)
		require.Error(t, err, args)
	}
}

func TestPlacements(t *testing.T) {
	require.Equal(t, []placement{{"0", "0", false, 1}}, placements(1))
	require.Equal(t, []placement{{"0", "1", true, 1}, {"0,1", "0,1", false, 2}}, placements(2))
	require.Equal(t, []placement{{"0", "1,2,3", true, 1}, {"0,1", "2,3", true, 2}, {"0,1,2,3", "0,1,2,3", false, 4}}, placements(4))
	require.Len(t, placements(64), 7)
	p := rival{name: rivalVespo}.placed(placements(2)[0])
	require.Equal(t, "Vespo on 1", p.name)
	require.Equal(t, "1", p.client)
	require.Equal(t, 2, (&bench{pin: "0,1"}).serverProcessors())
	require.Equal(t, []string{"taskset", "-c", "0,1", "server", "-x"}, (&bench{pin: "0,1"}).command("server", "-x").Args)
}

// Requests prefer the first services, reach many, and are the same in each run.
func TestZipf(t *testing.T) {
	m := newMix(crowd)
	counts := make([]int, crowd)
	pick, again := m.picks(2)[1], m.picks(2)[1]
	for range 10_000 {
		i := pick()
		require.Equal(t, i, again())
		counts[i]++
	}
	require.Greater(t, counts[0], counts[9])
	require.Greater(t, counts[0], 1000)
	served := 0
	for _, n := range counts {
		if n > 0 {
			served++
		}
	}
	require.Greater(t, served, crowd/2)
	require.Equal(t, "/s999", m.requests[crowd-1].Path)
}

func TestReasons(t *testing.T) {
	require.Equal(t, "a   b", reason(errors.New("first line\na | b.\n")))
	require.LessOrEqual(t, len(reason(errors.New(strings.Repeat("é", 1000)))), reasonLength+3)
}

// TestWasmtime runs the guest written by hand in wasmtime, whose module has to be here: it is large.
func TestWasmtime(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a server")
	}
	b := &bench{config: &config{patience: time.Minute, connections: 1, round: time.Millisecond}, root: "..", dir: t.TempDir(), modules: map[string]string{}}
	root, err := filepath.Abs(b.root)
	require.NoError(t, err)
	b.root = root
	t.Setenv("GOPROXY", "off")
	r := rivals[slices.IndexFunc(rivals, func(r rival) bool { return r.name == rivalWasmtime })]
	runner, err := b.enter(t.Context(), helloTask(), r, 1)
	if err != nil && strings.Contains(err.Error(), "GOPROXY=off") {
		t.Skip("NOT TRIED: wasmtime's Go binding is not in the module cache")
	}
	require.NoError(t, err)
	require.NoError(t, runner.turn(time.Millisecond))
	require.NoError(t, runner.server.stop())
	require.Positive(t, runner.entry.PerSecond.Median())
}
