package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
)

// The sources of entries.
const (
	SourceGuest   = "guest"   // a line that a guest or function has printed
	SourceRequest = "request" // a request that has ended
	SourceHost    = "host"    // an event of the server that concerns the service
)

// maxTextBytes is the most bytes of a text. Longer ones are cut.
const maxTextBytes = 16 << 10

// usualRecordBytes is the capacity for a record, which grows for longer ones.
const usualRecordBytes = 512

// maxLineBytes is the most bytes of a line of a segment. Longer ones are no entries.
const maxLineBytes = 256 << 10

// Entry is one entry of a log. Its JSON form is that of the files and of the management API.
type Entry struct {
	N         uint64          `json:"n"`
	Time      time.Time       `json:"time"`
	Level     slog.Level      `json:"level"`
	Source    string          `json:"source"`
	Service   string          `json:"service"`
	RequestID string          `json:"request_id,omitempty"`
	Failed    bool            `json:"failed,omitempty"` // of a request: see accesslog.Record
	Text      string          `json:"text,omitempty"`   // of a guest or the host
	Record    json.RawMessage `json:"record,omitempty"` // of a request: the access record in JSON, with its Reason as the error
	Cause     string          `json:"cause,omitempty"`  // of a request: the error in the server's log, if that is another text
}

// ForOwner returns the line of an entry for the owner of its service, who may not see addresses and files of the host.
func ForOwner(line []byte) []byte {
	if !bytes.Contains(line, []byte(`"cause":`)) {
		return line
	}
	e, ok := parse(line)
	if !ok || e.Cause == "" {
		return line
	}
	e.Cause = ""
	return bytes.TrimSuffix(e.appendTo(nil), []byte("\n"))
}

// appendTo appends the line of an entry, with its end. The line is that of encoding/json, without its reflection.
func (e *Entry) appendTo(line []byte) []byte {
	line = strconv.AppendUint(append(line, `{"n":`...), e.N, 10)
	line = e.Time.AppendFormat(append(line, `,"time":"`...), time.RFC3339Nano)
	line = append(append(line, `","level":"`...), e.Level.String()...)
	line = accesslog.AppendJSONString(append(line, `","source":`...), e.Source)
	line = accesslog.AppendJSONString(append(line, `,"service":`...), e.Service)
	line = appendOptional(line, `,"request_id":`, e.RequestID)
	if e.Failed {
		line = append(line, `,"failed":true`...)
	}
	line = appendOptional(line, `,"text":`, e.Text)
	if len(e.Record) > 0 {
		line = append(append(line, `,"record":`...), e.Record...)
	}
	line = appendOptional(line, `,"cause":`, e.Cause)
	return append(line, "}\n"...)
}

func appendOptional(line []byte, name, value string) []byte {
	if value == "" {
		return line
	}
	return accesslog.AppendJSONString(append(line, name...), value)
}

// parse returns the entry of a line without its end. It reports whether the line is one.
func parse(line []byte) (e Entry, ok bool) {
	if len(line) == 0 || line[0] != '{' || json.Unmarshal(line, &e) != nil {
		return Entry{}, false
	}
	return e, e.N > 0 && e.Source != "" && e.Service != ""
}

// cut returns a text of at most maxTextBytes, and a mark if it was longer, in memory of its own.
func cut(text string) string {
	if len(text) > maxTextBytes {
		return text[:maxTextBytes] + "..."
	}
	return strings.Clone(text)
}

// item is an entry that has no number yet.
type item struct {
	Entry
	lost    int // of a notice: entries that it is about
	skipped int // of a notice: requests that it is about
}

// entry returns the entry of an item.
func (i *item) entry(n uint64) Entry {
	e := i.Entry
	e.N = n
	return e
}

// requestEntry returns the entry of a request. It has texts of its own: those of the record can be parts of the whole request, and its error can
// have much that the entry does not say.
func requestEntry(service string, rec *accesslog.Record) Entry {
	e := Entry{
		Time:      rec.Ended(),
		Level:     rec.Level(),
		Source:    SourceRequest,
		Service:   service,
		RequestID: strings.Clone(rec.RequestID),
		Failed:    rec.Failed,
	}
	own := *rec
	if rec.Err != nil {
		reason := rec.Reason()
		if cause := rec.Err.Error(); cause != reason {
			e.Cause = cut(cause)
		}
		own.Err = errors.New(reason)
	}
	e.Record = accesslog.AppendJSON(make([]byte, 0, usualRecordBytes), &own)
	return e
}

// Filter chooses entries. The zero Filter chooses all.
type Filter struct {
	Service   func(name string) bool // nil: all
	RequestID string                 // empty: any
	Level     slog.Level             // the least one; zero: Info
	Since     time.Time              // not before; zero: any
	Failed    bool                   // failed requests alone
	After     uint64                 // entries with a greater number
	Until     uint64                 // entries with no greater number; 0: no bound
}

// matches reports whether the filter chooses an entry.
func (f *Filter) matches(e *Entry) bool {
	return e.N > f.After &&
		(f.Until == 0 || e.N <= f.Until) &&
		e.Level >= f.Level &&
		(f.RequestID == "" || e.RequestID == f.RequestID) &&
		(!f.Failed || e.Failed) &&
		!e.Time.Before(f.Since) &&
		(f.Service == nil || f.Service(e.Service))
}

// mayMatch reports whether a line can be that of a matching entry. It is quick.
func (f *Filter) mayMatch(line []byte) bool {
	return (f.RequestID == "" || bytes.Contains(line, []byte(f.RequestID))) &&
		(!f.Failed || bytes.Contains(line, []byte(`"failed":true`)))
}
