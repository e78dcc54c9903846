package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// Times after which a test gives up. Machines may be slow, and a first build compiles Go's library.
const (
	testTimeout = 5 * time.Minute
	seeTimeout  = 2 * time.Minute
)

// tab is a tab of a headless Chromium.
type tab struct {
	t         *testing.T
	ctx       context.Context
	listening sync.WaitGroup // to events

	mu       sync.Mutex
	problems []string // guarded by mu; of scripts and policies
}

// openTab starts a Chromium, which ends with the test. The test is skipped if there is none.
func openTab(t *testing.T) *tab {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("NOT TRIED: chromium is missing: apt-get install chromium")
	}
	b := &tab{t: t}
	t.Cleanup(b.listening.Wait) // after the cancellation below
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	b.ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b.run(chromedp.EmulateViewport(1000, 640))
	b.listening.Go(func() {
		for event, err := range chromedp.Events(b.ctx, log.EntryAdded) {
			if err == nil && event.Entry.Source != log.EntrySourceNetwork { // answers with a status of failure
				b.problem(event.Entry.Text)
			}
		}
	})
	b.listening.Go(func() {
		for event, err := range chromedp.Events(b.ctx, runtime.ExceptionThrown) {
			if err == nil {
				b.problem(event.ExceptionDetails.Text)
			}
		}
	})
	b.run(call(log.Enable, cdp.Empty{}), call(runtime.Enable, cdp.Empty{}))
	return b
}

// call returns an action that sends a command of the protocol.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

func (b *tab) problem(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, text)
}

// clean asserts that no script failed and no policy was violated.
func (b *tab) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.problems)
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, actions...))
}

// sees waits until the tab shows an element with the text, without any navigation by the test.
func (b *tab) sees(element, text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, seeTimeout)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.WaitVisible(fmt.Sprintf("//%s[contains(., %q)]", element, text)))
	require.NoError(b.t, err, "%s %q; the tab shows:\n%s", element, text, b.text())
}

// text returns the text that the tab shows.
func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Text("//body")) // empty if there is none
	return text
}

// prefer shows the page in a color scheme. It takes effect at once: a person who prefers reduced motion sees no
// transition from one color to another, whose colors in between have too little contrast.
func (b *tab) prefer(scheme string) {
	b.t.Helper()
	b.run(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme},
			{Name: "prefers-reduced-motion", Value: "reduce"},
		},
	}))
}

// photograph saves a picture of the whole page in light and dark, as artifacts of the test.
func (b *tab) photograph(name string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		b.prefer(scheme)
		picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		require.NoError(b.t, err)
		require.NotEmpty(b.t, picture)
		require.NoError(b.t, os.WriteFile(filepath.Join(b.t.ArtifactDir(), name+"-"+scheme+".png"), picture, 0o644))
	}
}

// gate is a file that a slow toolchain waits for.
type gate string

// slowGo returns an environment in which the go command waits for the gate.
func slowGo(t *testing.T) (gate, []string) {
	t.Helper()
	dir := t.TempDir()
	real, err := exec.LookPath("go")
	require.NoError(t, err)
	g := gate(filepath.Join(dir, "open"))
	script := fmt.Sprintf("#!/bin/sh\nwhile [ ! -e '%s' ]; do sleep 0.05; done\nexec '%s' \"$@\"\n", g, real)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), []byte(script), 0o755))
	env := []string{"PATH=" + dir + string(filepath.ListSeparator) + os.Getenv("PATH"), "GOWORK=off"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PATH=") && !strings.HasPrefix(v, "GOWORK=") {
			env = append(env, v)
		}
	}
	return g, env
}

func (g gate) open(t *testing.T) {
	t.Helper()
	require.NoError(t, os.WriteFile(string(g), nil, 0o644))
}

func (g gate) close(t *testing.T) {
	t.Helper()
	require.NoError(t, os.Remove(string(g)))
}
