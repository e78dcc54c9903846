package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/bench/internal/report"
)

// pinSelf binds all threads of this process to processors.
func pinSelf(processors string) error {
	out, err := exec.Command("taskset", "-a", "-p", "-c", processors, strconv.Itoa(os.Getpid())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("bind the client to processors %s: %w: %s", processors, err, out)
	}
	return nil
}

// placement is a number of processors for the server, and the client's.
type placement struct {
	server, client string
	apart          bool
	processors     int
}

// placements returns one, two, four ... processors for the server. The client has others, as long as there are enough.
func placements(processors int) (all []placement) {
	for n := 1; n <= processors; n *= 2 {
		p := placement{server: numbers(0, n), client: numbers(n, processors), apart: n < processors, processors: n}
		if !p.apart {
			p.client = numbers(0, processors)
		}
		all = append(all, p)
		if n > 1 && processors-n < n { // the client would be the limit
			break
		}
	}
	return all
}

// numbers returns the numbers from low to below high, separated by commas.
func numbers(low, high int) string {
	var all []string
	for i := low; i < high; i++ {
		all = append(all, strconv.Itoa(i))
	}
	return strings.Join(all, ",")
}

// scaled are the servers whose scaling is measured.
var scaled = []string{rivalVespo, rivalNative, rivalFast, rivalNginx, rivalNode}

// scaling measures hello on servers that are bound to one processor and to more.
func (b *bench) scaling(ctx context.Context, s *sheet) error {
	everywhere := placements(runtime.NumCPU())
	defer func() { _ = pinSelf(numbers(0, runtime.NumCPU())) }() // the next measurement names its own error
	hello := helloTask()
	hello.rivals = scaled
	var all []rival
	for _, r := range b.chosen(hello) {
		for _, p := range everywhere {
			all = append(all, r.placed(p))
		}
	}
	c := b.race(ctx, hello, all)
	measured := map[string]report.Entry{}
	for _, e := range c.Entries {
		measured[e.Name] = e
	}
	t := &report.Table{
		Title:  "Hello on more processors",
		Header: []string{"server", "processors", "requests/s", "of net/http on as many", "cpu/request"},
		Notes: []string{"Requests per second and processor time are multiples of the same server's on one processor. Servers are bound to their processors; " +
			"the client has the others, or shares all of them in the last row of each server if there are no others."},
	}
	for _, r := range rivals {
		one, ok := measured[r.placed(everywhere[0]).name]
		if !ok {
			continue
		}
		for _, p := range everywhere {
			e, ok := measured[r.placed(p).name]
			if !ok {
				continue
			}
			native := measured[rival{name: rivalNative}.placed(p).name]
			t.Add(r.name, fmt.Sprint(p.processors), report.Times(e.PerSecond.Over(one.PerSecond)),
				report.Times(e.PerSecond.Over(native.PerSecond)), report.Times(e.CPU.Over(one.CPU)))
		}
	}
	for _, a := range c.Absent {
		t.Notes = append(t.Notes, fmt.Sprintf("Absent: %s: %s.", a.Name, a.Reason))
	}
	s.add(t)
	if len(c.Entries) == 0 {
		return errors.New("no server could be measured")
	}
	return nil
}

// placed returns the rival bound to processors.
func (r rival) placed(p placement) rival {
	start := r.start
	r.name = fmt.Sprintf("%s on %d", r.name, p.processors)
	r.client = p.client
	r.start = func(b *bench, ctx context.Context, t *task) (*server, error) {
		bound := *b
		bound.pin, bound.modules = p.server, map[string]string{}
		return start(&bound, ctx, t)
	}
	return r
}
