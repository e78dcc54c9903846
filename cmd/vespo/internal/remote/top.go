package remote

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// TopCmd shows the statistics of all services until the user quits. Without a terminal, it shows them once.
type TopCmd struct {
	Interval time.Duration `placeholder:"DURATION" default:"2s" help:"Time between two looks (${default})."`
	Window   string        `enum:"10s,1m,10m,1h" placeholder:"10s|1m|10m|1h" default:"10s" help:"Time that the numbers are about (${default})."`
	Sort     string        `enum:"rate,errors,p99,cpu,memory,name" placeholder:"rate|errors|p99|cpu|memory|name" default:"rate" help:"Order of the services (${default})."`

	clientFlags
}

// Validate is called by kong.
func (c *TopCmd) Validate() error {
	if c.Interval < 100*time.Millisecond {
		return fmt.Errorf("--interval is %s: it must be at least 100ms", c.Interval)
	}
	return c.clientFlags.Validate()
}

// Run is called by kong.
func (c *TopCmd) Run(ctx context.Context, s stdio.Streams) error {
	in, inOK := s.In.(*os.File)
	out, outOK := s.Out.(*os.File)
	if c.Format == formatJSON || !inOK || !outOK || !stdio.IsTerminal(in) || !stdio.IsTerminal(out) {
		return (&StatsCmd{Window: c.Window, clientFlags: c.clientFlags}).Run(ctx, s)
	}
	client, err := c.client("")
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	first, err := fetchStats(ctx, client) // before the terminal changes
	if err != nil {
		return err
	}
	restore, err := takeTerminal(in, out)
	if err != nil {
		return err
	}
	defer restore()
	v := &topView{out: out, paint: stdio.PaintFor(out), window: c.Window, sort: c.Sort, base: client.base, all: first}
	return v.run(ctx, client, c.Interval, keysOf(in))
}

// Sequences that switch a terminal to its second screen without cursor and line wrapping, and back.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// takeTerminal makes the terminal ready for a view. The result undoes that.
func takeTerminal(in, out *os.File) (restore func(), err error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("prepare the terminal: %w", err)
	}
	_, err = out.WriteString(enterScreen)
	restore = func() {
		_, _ = out.WriteString(leaveScreen)
		_ = term.Restore(int(in.Fd()), before)
	}
	if err != nil {
		restore()
		return nil, err
	}
	return restore, nil
}

// keysOf returns a channel of the keys. It is closed when the terminal is gone. Its goroutine ends then, or with the
// process: a read of a terminal cannot be interrupted.
func keysOf(in *os.File) <-chan string {
	keys := make(chan string)
	go func() {
		defer close(keys)
		var typed [64]byte
		for {
			n, err := in.Read(typed[:])
			if err != nil || n == 0 {
				return
			}
			keys <- string(typed[:n])
		}
	}()
	return keys
}

// fetchStats asks for the statistics of all services.
func fetchStats(ctx context.Context, client *Client) (*statistics, error) {
	ctx, stop := client.briefly(ctx)
	defer stop()
	a, err := client.Get(ctx, "/services/stats", nil)
	if err != nil {
		return nil, err
	}
	all := &statistics{}
	return all, a.Decode(all)
}

// topView is what "vespo top" shows.
type topView struct {
	out    *os.File
	paint  stdio.Paint
	base   string // the server
	window string
	sort   string
	offset int         // services above the first one shown
	all    *statistics // the latest
	err    error       // of the latest request
}

// fetched is the result of a request.
type fetched struct {
	all *statistics
	err error
}

// run shows the view until ctx ends, the user quits or the terminal is gone.
func (v *topView) run(ctx context.Context, client *Client, interval time.Duration, keys <-chan string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resized, stop := notifyResize()
	defer stop()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	results, asking := make(chan fetched, 1), false
	for {
		if err := v.draw(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case typed, ok := <-keys:
			if !ok || v.press(typed) {
				return nil
			}
		case <-resized:
		case r := <-results:
			asking = false
			if v.err = r.err; r.err == nil {
				v.all = r.all
			}
		case <-tick.C:
			if !asking {
				asking = true
				go func() { // ends with ctx
					all, err := fetchStats(ctx, client)
					results <- fetched{all, err}
				}()
			}
		}
	}
}

// sortKeys are the keys that choose an order.
var sortKeys = map[string]string{"r": "rate", "e": "errors", "l": "p99", "c": "cpu", "m": "memory", "n": "name"}

// press handles typed text: one key that sends a sequence, or one or more plain keys. It reports whether the user
// quits.
func (v *topView) press(typed string) (quit bool) {
	if strings.HasPrefix(typed, "\x1b") {
		return v.pressOne(typed)
	}
	for _, key := range typed {
		if v.pressOne(string(key)) {
			return true
		}
	}
	return false
}

func (v *topView) pressOne(key string) (quit bool) {
	switch key {
	case "q", "Q", "\x03", "\x04", "\x1b":
		return true
	case "\x1b[A", "k":
		v.offset--
	case "\x1b[B", "j":
		v.offset++
	case "\x1b[5~":
		v.offset -= 10
	case "\x1b[6~", " ":
		v.offset += 10
	case "w":
		v.window = spans[(slices.Index(spans[:], v.window)+1)%len(spans)]
	default:
		v.sort = cmp.Or(sortKeys[key], v.sort)
	}
	return false
}

// order sorts services.
func (v *topView) order(all []serviceStats) {
	value := func(s *serviceStats) float64 {
		w := s.Windows[v.window]
		switch v.sort {
		case "rate":
			return w.Rate
		case "errors":
			return float64(w.Errors)
		case "p99":
			return float64(w.P99)
		case "cpu":
			return w.cpu()
		case "memory":
			return float64(w.PeakBytes)
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b serviceStats) int {
		return cmp.Or(cmp.Compare(value(&b), value(&a)), cmp.Compare(a.bound(), b.bound()))
	})
}

// draw shows the view in the current size of the terminal.
func (v *topView) draw() error {
	columns, rows, err := term.GetSize(int(v.out.Fd()))
	if err != nil {
		return err
	}
	if columns <= 0 || rows <= 0 { // a terminal that does not know its size
		columns, rows = 80, 24
	}
	var b strings.Builder
	b.WriteString("\x1b[H")
	lines := v.lines(columns, rows)
	for i, line := range lines {
		b.WriteString(line + "\x1b[K")
		if i < len(lines)-1 {
			b.WriteString("\r\n")
		}
	}
	b.WriteString("\x1b[J")
	_, err = v.out.WriteString(b.String())
	return err
}

// lines returns the lines of the view, at most as many as there are rows.
func (v *topView) lines(columns, rows int) []string {
	slots := v.all.Slots
	head := fmt.Sprintf("%s  last %s by %s  slots %d of %d, %d in flight, %d waiting  %s",
		v.all.Time.Local().Format(time.TimeOnly), v.window, v.sort, slots.Used, slots.Total, slots.InFlight, slots.Waiting, v.base)
	lines := []string{cutTo(stdio.Printable(head), columns)}
	if v.err != nil {
		lines[0] = v.paint.Red(cutTo(stdio.Printable(strings.ReplaceAll(v.err.Error(), "\n", " ")), columns))
	}
	v.order(v.all.Services)
	var table bytes.Buffer
	_ = writeStats(&screen{Writer: &table, paint: v.paint, columns: columns, now: time.Now()}, v.all.Services, v.window)
	body := strings.Split(strings.TrimSuffix(table.String(), "\n"), "\n")
	lines = append(lines, body[0])
	body = body[1:]
	room := max(rows-3, 0)
	v.offset = min(max(v.offset, 0), max(len(body)-room, 0))
	lines = append(lines, body[v.offset:min(len(body), v.offset+room)]...)
	lines = append(lines, v.paint.Faint(cutTo("sort: r rate, e errors, l p99, c CPU, m memory, n name; w window; arrows scroll; q quits", columns)))
	return lines[:min(len(lines), rows)]
}
