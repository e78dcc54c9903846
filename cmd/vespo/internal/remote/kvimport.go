package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/services/kv/kvlines"
)

// pieceBytes is the size of one request of an import, to the end of a line. A piece without an answer may be stored or not, so
// it is also the precision of a report about an incomplete import.
const pieceBytes = 1 << 20

// KVImportCmd imports lines.
type KVImportCmd struct {
	storeArg
	File string `arg:"" optional:"" default:"-" help:"File of JSON lines; - is the standard input (${default})."`

	clientFlags
}

// Run is called by kong.
func (c *KVImportCmd) Run(ctx context.Context, s stdio.Streams) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := c.client("")
	if err != nil {
		return err
	}
	from, closeFile, err := input(c.File, s)
	if err != nil {
		return err
	}
	defer closeFile()
	i := &importing{client: client, store: c.storeArg}
	typed := c.File == "-" && stdio.IsTerminal(s.In)
	if typed {
		fmt.Fprintln(s.Err, "reading JSON lines from the terminal, to Ctrl-D; name a FILE to read it")
	}
	if s.Interactive() && !typed {
		line := startLine(s.Err, func() string { return "imported " + counted(int(i.shown.Load()), "key") })
		err = i.all(ctx, from)
		line.close()
	} else {
		err = i.all(ctx, from)
	}
	if err != nil {
		return err
	}
	return i.show(&c.clientFlags, s)
}

// importing is an import in progress.
type importing struct {
	client *Client
	store  storeArg

	done  kvlines.Imported
	lines int          // of the pieces that are stored
	shown atomic.Int64 // keys of done
}

// all sends all pieces. A reader that waits for input is left behind if ctx ends.
func (i *importing) all(ctx context.Context, from io.Reader) error {
	type read struct {
		piece []byte
		err   error
	}
	pieces, in := make(chan read), bufio.NewReaderSize(from, 64<<10)
	go func() { // ends with the input, or with the process
		defer close(pieces)
		for {
			piece, err := nextPiece(in)
			select {
			case pieces <- read{piece, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for sent := false; ; sent = true {
		select {
		case <-ctx.Done():
			return i.explain(context.Cause(ctx), 0)
		case r := <-pieces:
			if r.err != nil && r.err != io.EOF {
				return i.explain(fmt.Errorf("read the lines: %w", r.err), 0)
			}
			if len(r.piece) > 0 || !sent {
				if err := i.send(ctx, r.piece); err != nil {
					return err
				}
			}
			if r.err == io.EOF {
				return nil
			}
		}
	}
}

// nextPiece reads up to the end of the line that reaches pieceBytes. Its last piece comes with io.EOF.
func nextPiece(in *bufio.Reader) (piece []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		piece = append(piece, part...)
		switch {
		case err == nil && len(piece) >= pieceBytes:
			return piece, nil
		case err == bufio.ErrBufferFull && len(piece) <= pieceBytes+kvlines.MaxLineBytes: // the server refuses a longer line
		case err == bufio.ErrBufferFull:
			return piece, nil
		case err != nil:
			return piece, err
		}
	}
}

// send sends a piece.
func (i *importing) send(ctx context.Context, piece []byte) error {
	lines := bytes.Count(piece, []byte("\n"))
	if n := len(piece); n > 0 && piece[n-1] != '\n' {
		lines++
	}
	a, err := i.client.Call(ctx, http.MethodPost, "/services/kv/import", i.store.query(), Upload{
		Body:        bytes.NewReader(piece),
		SizeBytes:   int64(len(piece)),
		ContentType: linesType,
	})
	var part kvChanged
	if err == nil {
		err = a.Decode(&part)
	}
	if ctx.Err() != nil && err != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return i.explain(err, lines)
	}
	i.done.Keys, i.done.Expired, i.lines = i.done.Keys+part.Keys, i.done.Expired+part.Expired, i.lines+lines
	i.shown.Store(int64(i.done.Keys))
	return nil
}

// refusedLine matches the detail of the refusal of a line: its number in the piece, the reason, and how many keys were written.
var refusedLine = regexp.MustCompile(`^line ([0-9]+): (.*); ([0-9]+) keys of the lines before were written$`)

// again says that an import can be repeated.
const again = "run the import again: keys that are there already are overwritten"

// explain returns an error with how far the import came. sent are the lines of the piece in progress.
func (i *importing) explain(err error, sent int) error {
	var refused *Refusal
	if errors.As(err, &refused) {
		if m := refusedLine.FindStringSubmatch(refused.Detail); m != nil {
			line, _ := strconv.Atoi(m[1])
			keys, _ := strconv.Atoi(m[3])
			refused.Detail = fmt.Sprintf("line %d: %s", i.lines+line, m[2])
			stored := i.done.Keys + keys
			return fmt.Errorf("%w\n%s of the lines before %s stored; correct the line, and %s", err, counted(stored, "key"), areOf(stored), again)
		}
		if refused.Status < http.StatusInternalServerError && refused.Status != http.StatusRequestTimeout {
			sent = 0 // such as a token that was revoked
		}
	}
	if errors.Is(err, errUnreached) {
		sent = 0
	}
	switch {
	case i.lines+sent > 0:
	case refused != nil || errors.Is(err, errUnreached):
		return err
	default:
		return fmt.Errorf("%w; nothing is stored", err)
	}
	var text []string
	if i.lines > 0 {
		text = append(text, fmt.Sprintf("%s of lines 1 to %d %s stored", counted(i.done.Keys, "key"), i.lines, areOf(i.done.Keys)))
	}
	if sent > 0 {
		text = append(text, fmt.Sprintf("lines %d to %d may be stored, or a part of them", i.lines+1, i.lines+sent))
	}
	return fmt.Errorf("the import is incomplete: %w\n%s; %s", err, strings.Join(text, "; "), again)
}

// areOf returns the verb for a number of things.
func areOf(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// show writes the sums of all pieces, in the form of the server's answer to one.
func (i *importing) show(f *clientFlags, s stdio.Streams) error {
	body, err := json.Marshal(struct {
		Store string `json:"store"`
		State string `json:"state"`
		kvlines.Imported
	}{i.store.Store, "imported", i.done})
	if err != nil {
		return err
	}
	return show(f, s, &Answer{Body: append(body, '\n')}, func(to *screen, done *kvChanged) error {
		text := fmt.Sprintf("imported %s into %s", counted(done.Keys, "key"), stdio.Printable(done.Store))
		if done.Expired > 0 {
			text += fmt.Sprintf(", left out %d that have expired", done.Expired)
		}
		_, err := fmt.Fprintln(to, text)
		return err
	})
}
