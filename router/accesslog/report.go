package accesslog

import (
	"strconv"
	"strings"
)

// Fields of a report that are not those of a log line.
const (
	FieldWorkUnit      = "work_unit"
	FieldResidentBytes = "resident_bytes"
)

// Limits of a report.
const (
	maxReportErrBytes = 256
	maxFieldInteger   = 999_999_999_999_999 // RFC 9651, section 3.3.1
)

// AppendReport appends what a request has cost and why it ended, as a dictionary of RFC 9651. Keys and units are those of
// log lines. Members that are empty or 0 are omitted, except the costs that every request has. unit is the version of the
// unit of work.
func AppendReport(line []byte, rec *Record, unit int) []byte {
	d := dictionary{line: line, start: len(line)}
	d.text(FieldOutcome, string(rec.Outcome))
	d.integer(FieldStatus, int64(rec.Status))
	d.text(FieldErr, printable(rec.Reason(), maxReportErrBytes))
	d.text(FieldStart, string(rec.Start))
	if rec.Work > 0 {
		d.integer(FieldWork, rec.Work)
		d.integer(FieldWorkUnit, int64(unit))
	}
	for _, f := range [...]struct {
		name  string
		value int64
	}{
		{FieldGuestTime, rec.GuestTime.Microseconds()},
		{FieldSnapshotBytes, rec.SnapshotBytes},
		{FieldDirtyBytes, rec.DirtyBytes},
		{FieldPeakBytes, rec.PeakBytes},
		{FieldResidentBytes, rec.ResidentBytes},
		{FieldKVOperations, int64(rec.KVOperations)},
		{FieldBodyWait, rec.BodyWait.Microseconds()},
	} {
		if f.value != 0 {
			d.integer(f.name, f.value)
		}
	}
	d.integer(FieldQueueWait, rec.QueueWait.Microseconds())
	d.integer(FieldBytesIn, rec.BytesIn)
	d.integer(FieldBytesOut, rec.BytesOut)
	d.integer(FieldTTFB, rec.TTFB.Microseconds())
	d.integer(FieldTTLB, rec.TTLB.Microseconds())
	d.text(FieldService, rec.Service)
	if rec.Number > 0 {
		d.integer(FieldNumber, int64(min(rec.Number, maxFieldInteger)))
	}
	d.text(FieldRequestID, rec.RequestID)
	return d.line
}

// dictionary writes a dictionary of RFC 9651.
type dictionary struct {
	line  []byte
	start int // of the dictionary in line
}

func (d *dictionary) key(name string) {
	if len(d.line) > d.start {
		d.line = append(d.line, ", "...)
	}
	d.line = append(append(d.line, name...), '=')
}

// integer adds an Integer. Larger values become the largest one.
func (d *dictionary) integer(name string, value int64) {
	d.key(name)
	d.line = strconv.AppendInt(d.line, max(-maxFieldInteger, min(value, maxFieldInteger)), 10)
}

// text adds a String, or a Display String if the value is not ASCII. An empty value adds nothing.
func (d *dictionary) text(name, value string) {
	if value == "" {
		return
	}
	d.key(name)
	if isPlain(value) {
		d.line = append(d.line, '"')
		for _, c := range []byte(value) {
			if c == '"' || c == '\\' {
				d.line = append(d.line, '\\')
			}
			d.line = append(d.line, c)
		}
		d.line = append(d.line, '"')
		return
	}
	const digits = "0123456789abcdef"
	d.line = append(d.line, `%"`...)
	for _, c := range []byte(strings.ToValidUTF8(value, "\uFFFD")) {
		if c < 0x20 || c >= 0x7f || c == '%' || c == '"' {
			d.line = append(d.line, '%', digits[c>>4], digits[c&15])
			continue
		}
		d.line = append(d.line, c)
	}
	d.line = append(d.line, '"')
}
