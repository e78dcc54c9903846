package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/peer"
	"github.com/vespo-dev/vespo/bench/internal/work"
	"github.com/vespo-dev/vespo/bench/internal/work/markdown"
	"github.com/vespo-dev/vespo/bench/internal/work/nea"
	"github.com/vespo-dev/vespo/bench/internal/work/picture"
	"github.com/vespo-dev/vespo/bench/internal/work/shop"
)

// task is a workload for several rivals.
type task struct {
	name        string // short, for charts
	title       string
	service     string
	request     load.Request
	mix         *mix // several requests; nil: one, with one answer
	answer      string
	rivals      []string
	connections int        // 0: as the flag says
	options     url.Values // of the service in Vespo
	note        string
}

// dial opens connections for the requests of the task.
func (t *task) dial(addr string, connections int) (*load.Client, error) {
	if t.mix != nil {
		return load.DialMix(addr, t.mix.requests, t.mix.picks(connections))
	}
	return load.DialRequest(addr, &t.request, connections)
}

// newTask returns a task whose answer is that of its handler in Go.
func newTask(t task) (*task, error) {
	h, ok := work.Handler(t.service)
	if !ok {
		return nil, fmt.Errorf("there is no handler %q", t.service)
	}
	method := http.MethodGet
	if t.request.Body != "" {
		method = http.MethodPost
		t.request.Method = method
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, t.request.Path, strings.NewReader(t.request.Body)))
	if w.Code != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d %s", t.title, w.Code, w.Body)
	}
	t.answer = w.Body.String()
	t.request.Answer = len(t.answer)
	return &t, nil
}

// helloTask is the smallest request. Its guest is written by hand.
func helloTask() *task {
	return &task{
		name:    "hello",
		title:   "Hello",
		service: peer.Hello,
		request: load.Request{Path: "/hello"},
		answer:  "hello from vespo\n",
		rivals:  []string{rivalVespo, rivalNative, rivalFast, rivalNginx, rivalNode, rivalWorkerd, rivalFresh, rivalWasmtime, rivalShared},
	}
}

// sdkTask is hello in standard Go, whose runtime starts before the first request.
func sdkTask() *task {
	return &task{
		name:    "hello, Go SDK",
		title:   "Hello, standard Go with the SDK",
		service: peer.SDKHello,
		request: load.Request{Path: "/sdkhello"},
		answer:  "hello from /sdkhello\n",
		rivals:  []string{rivalVespo, rivalNative, rivalFresh, rivalWasmtime, rivalShared},
		note:    "A fresh instance of wazero or wasmtime runs the initialisation of Go's runtime for each request. Vespo has that in a snapshot.",
	}
}

// muxTask is hello by a handler of net/http and its mux.
func muxTask() task {
	return task{
		name:    "hello, net/http",
		title:   "Hello, standard Go with net/http and its mux",
		service: work.Mux,
		request: load.Request{Path: "/mux/hello/world"},
		rivals:  []string{rivalVespo, rivalWarm, rivalNative, rivalFresh, rivalShared},
	}
}

// script are the rivals of handlers that exist in Go and in JavaScript.
var script = []string{rivalVespo, rivalWarm, rivalNative, rivalNode, rivalWorkerd, rivalShared}

// echoTasks are bodies of several sizes, which come back.
func echoTasks() []task {
	var all []task
	for _, kilobytes := range []int{1, 16, 256} {
		all = append(all, task{
			name:    fmt.Sprintf("echo %d KiB", kilobytes),
			title:   fmt.Sprintf("Echo of %d KiB", kilobytes),
			service: work.Echo,
			request: load.Request{Path: "/echo", Type: "application/octet-stream", Body: strings.Repeat("0123456789abcdef", kilobytes<<10/16)},
			rivals:  []string{rivalVespo, rivalNative, rivalFast, rivalNode, rivalWorkerd, rivalShared},
		})
	}
	return all
}

func jsonTasks() []task {
	return []task{{
		name:    "JSON",
		title:   "JSON: an order of 20 lines, added up",
		service: work.JSON,
		request: load.Request{Path: "/json", Type: "application/json", Body: shop.Body()},
		rivals:  []string{rivalVespo, rivalWarm, rivalNative, rivalFast, rivalNode, rivalWorkerd, rivalShared},
	}}
}

func htmlTasks() []task {
	return []task{{
		name:    "HTML template",
		title:   "HTML template: a table of 25 rows",
		service: work.HTML,
		request: load.Request{Path: "/html"},
		rivals:  script,
		note:    "Go renders with html/template, JavaScript joins strings that it has escaped.",
	}}
}

func markdownTasks() []task {
	return []task{{
		name:    "markdown",
		title:   "Markdown: a document of 4 KiB, rendered by goldmark",
		service: work.Markdown,
		request: load.Request{Path: "/markdown", Type: "text/markdown", Body: markdown.Body()},
		rivals:  []string{rivalVespo, rivalNative, rivalShared},
		note:    "The runtimes for JavaScript have no library for it of their own.",
	}}
}

func resizeTasks() []task {
	return []task{{
		name:    "image resize",
		title:   "Image resize: a JPEG of 400 by 400 pixels to 100 by 100",
		service: work.Resize,
		request: load.Request{Path: "/resize", Type: "image/jpeg", Body: picture.Body()},
		rivals:  []string{rivalVespo, rivalNative, rivalShared},
		note:    "The runtimes for JavaScript have no library for it of their own.",
	}}
}

func sieveTasks() []task {
	return []task{{
		name:    "prime sieve",
		title:   "Prime sieve: the primes below 200,000",
		service: work.Sieve,
		request: load.Request{Path: "/sieve"},
		rivals:  []string{rivalVespo, rivalNative, rivalNode, rivalWorkerd, rivalShared},
	}}
}

// siege is the number of connections of nea's own benchmark: siege -c 4 -b.
const siege = 4

func neaTasks() []task {
	return []task{{
		name:        "nea: static file",
		title:       "nea: static file of 3 KiB",
		service:     work.Static,
		request:     load.Request{Path: "/static"},
		rivals:      []string{rivalVespo, rivalWarm, rivalNative, rivalNginx, rivalNode, rivalWorkerd, rivalShared},
		connections: siege,
	}, {
		name:        "nea: CSV to SVG",
		title:       "nea: 200 points in CSV to a path in SVG",
		service:     work.CSV,
		request:     load.Request{Path: "/csv", Type: "text/csv", Body: nea.Points()},
		rivals:      script,
		connections: siege,
	}, {
		name:        "nea: allocations",
		title:       "nea: allocations of 50 KiB",
		service:     work.Alloc,
		request:     load.Request{Path: "/alloc/50"},
		rivals:      script,
		connections: siege,
	}}
}
