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

// answer parses the output of a command: header lines, an empty line, then the body. It
// implements io.Writer for the guest's standard output. Malformed output ends the guest.
type answer struct {
	in        *engine.Instance // immutable
	response  abi.Hold
	head      []byte // output before the empty line
	line      int    // offset in head of the current, incomplete line
	body      bool   // the header has ended; what follows is body
	unflushed bool
	tail      abi.Tail
}

// keepHeadBytes is the largest buffer that an idle instance keeps.
const keepHeadBytes = 8 << 10

// begin starts a request. With a nil r it only resets the state.
func (a *answer) begin(r abi.Response) {
	if cap(a.head) > keepHeadBytes {
		a.head = nil
	}
	a.response.Begin(r)
	a.tail.Reset()
	a.head, a.line, a.body, a.unflushed = a.head[:0], 0, false, false
}

// Write processes a piece of standard output.
func (a *answer) Write(p []byte) (int, error) {
	rest := p
	a.tail.Add(p)
	if !a.body {
		// Until the header ends, buffer at most abi.MaxHeaderBytes.
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
	a.in.BeginSend()
	_, err := a.response.Write(p)
	a.in.EndSend()
	var unusable engine.Unusable
	switch {
	case errors.As(err, &unusable):
		panic(unusable)
	case err != nil:
		a.in.GiveUp(err)
	}
}

// flush sends the output so far. It is called before the guest waits.
func (a *answer) flush() {
	if a.unflushed {
		a.unflushed = false
		_ = a.response.Flush() // ignored: if the client has disconnected, its context ends the call
	}
}

// headerEnd searches the bytes from offset from for the empty line. The header is
// head[:end] and the body begins at next. Both are -1 if there is no empty line yet.
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
			h[name] = []string{value} // the last line wins
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

// parseStatus parses a three-digit status code. The reason phrase is ignored.
func parseStatus(value string) (int, error) {
	code, _, _ := strings.Cut(value, " ")
	n, err := strconv.ParseUint(code, 10, 16)
	if err != nil || len(code) != 3 || !abi.ValidStatus(int(n)) {
		return 0, fmt.Errorf("the command's status %.20q cannot be sent: a number from 200 to 599 can", value)
	}
	return int(n), nil
}

// finish completes the response to a request with this method, after the command has ended.
func (a *answer) finish(method string) engine.Outcome {
	if !a.body {
		if len(a.head) == 0 {
			return unusable("the command printed nothing")
		}
		if err := a.start(a.head); err != nil { // a header without the empty line
			return unusable(err.Error())
		}
	}
	return abi.Sent(a.response.Finish(method))
}

func unusable(reason string) engine.Outcome {
	return engine.Outcome{Kind: engine.BadAnswer, Err: engine.Unusable{Reason: reason}}
}
