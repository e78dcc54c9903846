// Command fault shows the effects of a failing handler. The client gets status 500 without details; the message and the
// stack go to the service's log.
//
//	.../panic   panics by an index out of range
//	.../late    panics after part of the body is sent: the connection is closed
//	.../abort   panics with guest.ErrAbort: like /panic, without a log message
//	.../exit    calls os.Exit
//	.../memory  allocates memory in an endless loop
package main

import (
	"os"
	"strings"
	"time"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

func init() { guest.Handle(fail) }

func fail(w *guest.Response, r *guest.Request) {
	path := r.Path()
	switch path[strings.LastIndexByte(path, '/')+1:] {
	case "panic":
		w.WriteString("this is never sent\n")
		w.WriteString(strings.Split(path, "/")[len(path)])
	case "late":
		w.WriteString("part\n")
		w.Flush()
		time.Sleep(50 * time.Millisecond) // the host sends buffered data while the guest waits
		panic("too late for a 500")
	case "abort":
		panic(guest.ErrAbort)
	case "exit":
		os.Exit(3)
	case "memory":
		allocate()
	default:
		w.Text(404, "try /panic, /late, /abort, /exit or /memory\n")
	}
}

func allocate() {
	var kept [][]byte
	for {
		kept = append(kept, make([]byte, 1<<20))
		kept[len(kept)-1][0] = 1
	}
}

func main() {}
