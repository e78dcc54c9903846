// Command fault shows what becomes of a handler that fails: the client gets a plain 500, the service's log gets the message and
// the stack.
//
//	.../panic   a failed index
//	.../late    a panic after a part of the answer is sent: the connection is cut off
//	.../abort   guest.ErrAbort: as /panic, but nothing is logged
//	.../exit    os.Exit
//	.../memory  allocates without end
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
		time.Sleep(50 * time.Millisecond) // the host sends what it has when the guest waits
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
