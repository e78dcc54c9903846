package cgi

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// answer takes what a command prints: header lines, an empty line, then the body. It implements io.Writer for the guest's
// standard output. A malformed answer ends the guest.
type answer struct {
	in        *engine.Instance // immutable
	response  abi.Hold
	head      []byte // what was printed before the empty line
	line      int    // where in head the line begins that has no end yet
	body      bool   // the empty line has come
	unflushed bool
}

// keepHeadBytes is how large a buffer may stay with an idle instance.
const keepHeadBytes = 8 << 10

// begin starts a request; none if r is nil.
func (a *answer) begin(r abi.Response) {
	if cap(a.head) > keepHeadBytes {
		a.head = nil
	}
	a.response.Begin(r)
	a.head, a.line, a.body, a.unflushed = a.head[:0], 0, false, false
}

// Write takes a piece of standard output.
func (a *answer) Write(p []byte) (int, error) {
	rest := p
	if !a.body {
		// Only what may still belong to the header is kept while its end has not been seen.
		before := len(a.head)
		kept := p[:min(len(p), abi.MaxHeaderBytes-before)]
		a.head, rest = append(a.head, kept...), p[len(kept):]
		end, next := a.headerEnd(before)
		switch {
		case end < 0 && len(rest) > 0:
			panic(engine.Unusable{Reason: fmt.Sprintf("the command's header has no end within %d bytes", abi.MaxHeaderBytes)})
		case end < 0:
			return len(p), nil
		}
		if err := a.start(a.head[:end]); err != nil {
			panic(engine.Unusable{Reason: err.Error()})
		}
		a.body, a.unflushed = true, true
		a.write(a.head[next:])
	}
	a.write(rest)
	return len(p), nil
}

// write sends body bytes.
func (a *answer) write(p []byte) {
	if len(p) == 0 {
		return
	}
	a.unflushed = true
	_, err := a.response.Write(p)
	var unusable engine.Unusable
	switch {
	case errors.As(err, &unusable):
		panic(unusable)
	case err != nil:
		a.in.GiveUp(err)
	}
}

// flush sends what the guest has printed so far: it is about to wait.
func (a *answer) flush() {
	if a.unflushed {
		a.unflushed = false
		_ = a.response.Flush() // a client that has gone ends the call by its context
	}
}

// headerEnd finds the empty line in what has come since from: the header is head[:end], the body begins at next. It is -1 if there
// is none yet.
func (a *answer) headerEnd(from int) (end, next int) {
	for {
		i := bytes.IndexByte(a.head[from:], '\n')
		if i < 0 {
			return -1, -1
		}
		from += i + 1
		if line := a.head[a.line : from-1]; len(bytes.TrimLeft(line, "\r")) == 0 {
			return a.line, from
		}
		a.line = from
	}
}

// start parses the header lines and sends the header.
func (a *answer) start(head []byte) error {
	status, size, needed := 0, 0, false
	h := a.response.Header()
	for line := range bytes.Lines(head) {
		text := strings.Trim(string(line), "\r\n")
		if text == "" {
			continue
		}
		name, value, err := field(text)
		if err != nil {
			return err
		}
		if size += len(name) + len(value) + abi.FieldOverheadBytes; size > abi.MaxHeaderBytes {
			return errors.New("the command's header is larger than the host holds")
		}
		switch {
		case name == "Status":
			if status, err = parseStatus(value); err != nil {
				return err
			}
		case abi.HopByHop(name):
		case httpfield.Single(name):
			h[name] = []string{value} // the last line counts
		default:
			h[name] = append(h[name], value)
		}
		needed = needed || name == "Status" || name == "Location" || name == "Content-Type"
	}
	if !needed {
		return errors.New("the command's header has none of Content-Type, Location and Status")
	}
	if status == 0 {
		status = 200
		if len(h["Location"]) > 0 {
			status = 302
		}
	}
	a.response.WriteHeader(status)
	return nil
}

func field(line string) (name, value string, err error) {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return "", "", errors.New("the command printed a header line without a colon")
	}
	if name, ok = abi.CanonicalName(strings.TrimRight(name, " \t")); !ok {
		return "", "", errors.New("the command printed a header name that is not a token")
	}
	if value = strings.Trim(value, " \t"); !abi.ValidValue(value) {
		return "", "", fmt.Errorf("the command printed control characters in the header %s", name)
	}
	return name, value, nil
}

// parseStatus reads three digits, and words that do not matter.
func parseStatus(value string) (int, error) {
	code, _, _ := strings.Cut(value, " ")
	n, err := strconv.ParseUint(code, 10, 16)
	if err != nil || len(code) != 3 || !abi.ValidStatus(int(n)) {
		return 0, fmt.Errorf("the command's status %.20q cannot be sent: a number from 200 to 599 can", value)
	}
	return int(n), nil
}

// finish completes the answer of a command that has ended, to a request with this method.
func (a *answer) finish(method string) engine.Outcome {
	if !a.body {
		if len(a.head) == 0 {
			return unusable("the command printed nothing")
		}
		if err := a.start(a.head); err != nil { // a header alone, without the empty line
			return unusable(err.Error())
		}
	}
	return abi.Sent(a.response.Finish(method))
}

func unusable(reason string) engine.Outcome {
	return engine.Outcome{Kind: engine.BadAnswer, Err: engine.Unusable{Reason: reason}}
}
