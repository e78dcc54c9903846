package remote

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// LogsCmd shows the logs of services.
type LogsCmd struct {
	Prefix string `arg:"" optional:"" help:"Path prefix of one service; default: all services."`
	Follow bool   `short:"f" help:"Go on with new entries until interrupted."`
	ID     string `name:"id" placeholder:"ID" help:"Show only what belongs to the request with this id."`
	Level  string `enum:"debug,info,warn,error" placeholder:"debug|info|warn|error" default:"debug" help:"Least level (${default})."`
	Since  string `placeholder:"TIME" help:"Show no earlier entries: 10m or 7d ago, 2026-01-31, or 2026-01-31T12:00:00Z."`
	Failed bool   `help:"Show only requests that have failed."`
	Limit  int    `short:"n" placeholder:"N" default:"1000" help:"Show at most the last N entries, up to 10000, before new ones (${default})."`

	matchFlag
	clientFlags
}

// retryDelay is the time between two attempts to go on following.
const retryDelay = time.Second

// maxEventBytes bounds a line of a stream of events.
const maxEventBytes = 1 << 20

// Run is called by kong.
func (c *LogsCmd) Run(ctx context.Context, s stdio.Streams) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	about, query := "", url.Values{}
	if c.Prefix != "" || c.Match != "" {
		about, query = boundTo(c.Prefix, c.Match), c.query(c.Prefix)
	}
	client, err := c.client(about)
	if err != nil {
		return err
	}
	set := func(name, value string, given bool) {
		if given {
			query.Set(name, value)
		}
	}
	set("id", c.ID, c.ID != "")
	set("level", c.Level, c.Level != "")
	set("since", c.Since, c.Since != "")
	set("failed", "true", c.Failed)
	set("follow", "true", c.Follow)
	set("limit", strconv.Itoa(c.Limit), true)
	show := &logWriter{to: newScreen(s.Out), err: s.Err, json: c.Format == formatJSON, all: about == ""}
	return c.read(ctx, client, query, show)
}

// read shows one stream, and if it follows, further ones that go on where the one before has ended.
func (c *LogsCmd) read(ctx context.Context, client *Client, query url.Values, show *logWriter) error {
	for told := false; ; {
		last := show.last
		ended, err := show.stream(ctx, client, query)
		var refused *Refusal
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil && ended && !c.Follow:
			if !show.any && c.Limit > 0 {
				fmt.Fprintln(show.err, c.nothing())
			}
			return nil
		case !c.Follow || !show.opened || errors.As(err, &refused) && refused.Status < http.StatusInternalServerError || errors.Is(err, errOutput):
			if err == nil {
				err = fmt.Errorf("%s ended the stream", client.base)
			}
			return err
		}
		if told = told && last == show.last; !told {
			fmt.Fprintf(show.err, "%s: the stream has ended; trying again\n", client.base)
			told = true
		}
		retry := time.NewTimer(retryDelay)
		select {
		case <-retry.C:
		case <-ctx.Done():
			retry.Stop()
			return nil
		}
	}
}

// nothing says that there are no entries.
func (c *LogsCmd) nothing() string {
	where := "the log"
	if c.Prefix != "" || c.Match != "" {
		where = "the log of " + boundTo(c.Prefix, c.Match)
	}
	if c.ID != "" || c.Level != "debug" || c.Since != "" || c.Failed {
		return where + " has no entries that match --id, --level, --since and --failed"
	}
	return where + " is empty: there were no requests yet, or their entries had to make room"
}

// logEntry is an entry of a log. The documentation of logs has the fields.
type logEntry struct {
	Time      time.Time `json:"time"`
	Level     string    `json:"level"`
	Source    string    `json:"source"`
	Service   string    `json:"service"`
	RequestID string    `json:"request_id"`
	Failed    bool      `json:"failed"`
	Text      string    `json:"text"`
	Record    *struct {
		Method  string `json:"method"`
		URI     string `json:"uri"`
		Status  int    `json:"status"`
		Outcome string `json:"outcome"`
		TTLB    int64  `json:"ttlb_us"`
		Err     string `json:"err"`
	} `json:"record"`
	Cause string `json:"cause"`
}

// errOutput is matched by errors of the output, as of a pipe whose reader is gone.
var errOutput = errors.New("write the entries")

// logWriter shows entries.
type logWriter struct {
	to   *screen
	err  io.Writer
	json bool
	all  bool   // of several services
	any  bool   // there was an entry
	last string // id of the last event

	opened bool // there was a stream
}

// stream shows the entries of one response. It reports whether the server has ended it on purpose.
func (w *logWriter) stream(ctx context.Context, client *Client, query url.Values) (ended bool, err error) {
	body, err := client.events(ctx, "/services/logs", query, w.last)
	if err != nil {
		return false, err
	}
	defer body.Close()
	w.opened = true
	in := bufio.NewScanner(body)
	in.Buffer(make([]byte, 64<<10), maxEventBytes)
	event, id := "", ""
	for in.Scan() {
		field, value, _ := strings.Cut(in.Text(), ": ")
		switch field {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			if err := w.data(event, value); err != nil {
				return false, err
			}
			ended = ended || event == "end"
		case "":
			if id != "" {
				w.last = id
			}
			event, id = "", ""
		}
	}
	if err := in.Err(); err != nil {
		return false, client.explain(err)
	}
	return ended, nil
}

// data shows the data of an event.
func (w *logWriter) data(event, data string) error {
	switch event {
	case "":
		w.any = true
		return w.entry(data)
	case "more":
		fmt.Fprintln(w.err, "there are earlier entries: --limit shows more, --since and --id choose")
	}
	return nil
}

// entry shows an entry.
func (w *logWriter) entry(data string) error {
	var b bytes.Buffer
	if w.json {
		if w.to.columns > 0 {
			data = stdio.Printable(data)
		}
		b.WriteString(data + "\n")
	} else {
		var e logEntry
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return (&Answer{Body: []byte(data)}).Decode(&e)
		}
		w.text(&b, &e)
	}
	if _, err := w.to.Write(b.Bytes()); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

// text writes an entry for people: the local time, level, service, text and request id.
func (w *logWriter) text(b *bytes.Buffer, e *logEntry) {
	paint := w.to.paint
	form := "15:04:05.000"
	if at := e.Time.Local(); at.Format(time.DateOnly) != w.to.now.Local().Format(time.DateOnly) {
		form = "2006-01-02 15:04:05.000"
	}
	b.WriteString(paint.Faint(e.Time.Local().Format(form)) + " ")
	level := fmt.Sprintf("%-5s", stdio.Printable(e.Level))
	switch {
	case strings.HasPrefix(e.Level, "ERROR"):
		level = paint.Red(level)
	case strings.HasPrefix(e.Level, "WARN"):
		level = paint.Yellow(level)
	}
	b.WriteString(level + " ")
	if w.all {
		b.WriteString(paint.Bold(stdio.Printable(e.Service)) + " ")
	}
	text, below, _ := strings.Cut(strings.TrimRight(e.Text, "\n"), "\n")
	if e.Record != nil {
		text = e.request()
	}
	text = stdio.Printable(text, '\t')
	if e.Failed {
		text = paint.Red(text)
	}
	b.WriteString(text)
	if e.RequestID != "" {
		b.WriteString(" " + paint.Faint("id="+stdio.Printable(e.RequestID)))
	}
	b.WriteByte('\n')
	for line := range strings.Lines(below) {
		b.WriteString("    " + stdio.Printable(strings.TrimRight(line, "\n"), '\t') + "\n")
	}
}

// request describes a request in one line.
func (e *logEntry) request() string {
	r := e.Record
	status := "-"
	if r.Status != 0 {
		status = strconv.Itoa(r.Status)
	}
	text := fmt.Sprintf("%s %s %s %s", r.Method, r.URI, status, accesslog.Time(time.Duration(r.TTLB)*time.Microsecond))
	if r.Outcome != "ok" {
		text += " " + r.Outcome
	}
	if reason := cmp.Or(e.Cause, r.Err); reason != "" {
		text += ": " + withoutRepeats(r.Outcome, reason)
	}
	return text
}

// withoutRepeats returns a reason without the outcome in front, which problems and guests' messages repeat as their title.
func withoutRepeats(outcome, reason string) string {
	for {
		title, rest, found := strings.Cut(reason, ": ")
		if !found || !strings.EqualFold(title, outcome) {
			return reason
		}
		reason = rest
	}
}
