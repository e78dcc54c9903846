package cache

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/internal/httpfield"
)

// A value of the engine begins with its format, its form, and a checksum of its key, its form and what follows:
//
//	answer: stamp, birth in microseconds (8 bytes), status (2 bytes), fields, body
//	rule:   names of the fields that select the answer
//
// Lists begin with their length, as a uvarint, and so do texts. The body is the rest. Integers are big-endian.
const (
	valueFormat = 1
	formAnswer  = 'a'
	formRule    = 'v'
	valueHead   = 2 + crc32.Size

	maxShared = 1 << 20 // bytes of a value
	maxFields = 1000    // values of fields of an answer
	maxNotice = 2 << 10 // bytes of a notice
	markBytes = 16
)

// stamp has the marks of an answer's service and target at the time when the service was asked. The answer is usable while they have these values.
type stamp [2 * markBytes]byte

// stampOf returns the stamp of two marks. A target without a change has none. It reports false if the service has none.
func stampOf(service, target []byte) (s stamp, ok bool) {
	if len(service) != markBytes || len(target) != 0 && len(target) != markBytes {
		return s, false
	}
	copy(s[:], service)
	copy(s[markBytes:], target)
	return s, true
}

// castagnoli returns the table of the checksum. The library makes it once.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func checksum(key string, form byte, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum(append([]byte(key), form), castagnoli()), castagnoli(), rest)
}

// sealed returns a value with its head filled in.
func sealed(key string, form byte, value []byte) []byte {
	value[0], value[1] = valueFormat, form
	binary.BigEndian.PutUint32(value[2:], checksum(key, form, value[valueHead:]))
	return value
}

// unseal returns the form of a value and what follows its head. It reports false for a value that is not one of the key.
func unseal(key string, value []byte) (form byte, rest []byte, ok bool) {
	if len(value) < valueHead || len(value) > maxShared || value[0] != valueFormat {
		return 0, nil, false
	}
	rest = value[valueHead:]
	return value[1], rest, binary.BigEndian.Uint32(value[2:]) == checksum(key, value[1], rest)
}

// encodeRule returns the value of a key whose answers are selected by fields.
func encodeRule(key string, vary []string) []byte {
	value := binary.AppendUvarint(make([]byte, valueHead), uint64(len(vary)))
	for _, name := range vary {
		value = appendText(value, name)
	}
	return sealed(key, formRule, value)
}

// encodeAnswer returns the value of an answer that was 0 s old at birth, by the clock of the engine. It reports false if it is too large.
func encodeAnswer(key string, e *entry, s stamp, birth time.Time) (value []byte, ok bool) {
	value = make([]byte, valueHead, valueHead+int(min(e.size, maxShared)))
	value = append(value, s[:]...)
	value = binary.BigEndian.AppendUint64(value, uint64(birth.UnixMicro()))
	value = binary.BigEndian.AppendUint16(value, uint16(e.status))
	value = binary.AppendUvarint(value, uint64(len(e.header)))
	fields := 0
	for _, name := range slices.Sorted(maps.Keys(e.header)) {
		value = appendText(value, name)
		value = binary.AppendUvarint(value, uint64(len(e.header[name])))
		for _, text := range e.header[name] {
			value = appendText(value, text)
			fields++
		}
	}
	if fields > maxFields || len(value)+len(e.body) > maxShared {
		return nil, false
	}
	return sealed(key, formAnswer, append(value, e.body...)), true
}

func appendText(to []byte, text string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(text))), text...)
}

// decodeRule returns the names of the fields that select an answer.
func decodeRule(rest []byte) (vary []string, ok bool) {
	r := reader{rest: rest}
	n := r.count(maxVary)
	for range n {
		vary = append(vary, r.text())
	}
	given, valid := varyOf(http.Header{"Vary": vary})
	return vary, !r.bad && n > 0 && len(r.rest) == 0 && valid && slices.Equal(given, vary)
}

// decodeAnswer returns an answer, its stamp and its birth. What the answer may be used for is decided anew by its header: no value
// of an engine has more rights than the answer of a service.
func decodeAnswer(rest []byte) (e *entry, s stamp, birth time.Time, ok bool) {
	r := reader{rest: rest}
	copy(s[:], r.take(len(s)))
	birth = time.UnixMicro(int64(r.integer(8)))
	e = &entry{status: int(r.integer(2)), header: make(http.Header)}
	left := maxFields
	for range r.count(maxFields) {
		name := r.text()
		n := r.count(left)
		r.bad = r.bad || n == 0 || e.header[name] != nil || !httpfield.ValidName(name)
		left -= n
		for range n {
			value := r.text()
			r.bad = r.bad || !httpfield.ValidValue(value)
			e.header[name] = append(e.header[name], value)
		}
	}
	e.body = r.rest[:len(r.rest):len(r.rest)]
	if r.bad || !e.judgeAgain() {
		return nil, s, birth, false
	}
	return e, s, birth, true
}

// judgeAgain sets what follows from the header, except for the age. It reports false if the answer must not be stored.
func (e *entry) judgeAgain() bool {
	if len(storedHeader(e.header, time.Time{})) != len(e.header) { // it has a Date, too
		return false
	}
	date, err := http.ParseTime(e.header.Get("Date"))
	length := e.header["Content-Length"]
	if err != nil || e.status == http.StatusNoContent && len(e.body) > 0 ||
		length != nil && !slices.Equal(length, []string{strconv.Itoa(len(e.body))}) {
		return false
	}
	life, reason := judge(e.status, e.header, false, date, date)
	e.lifetime = life
	e.vary, _ = varyOf(e.header)
	return reason == ""
}

// reader reads a value. After the first error, it returns zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.rest) {
		r.rest, r.bad = nil, true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

// integer reads an integer of n bytes.
func (r *reader) integer(n int) uint64 {
	var b [8]byte
	copy(b[8-n:], r.take(n))
	return binary.BigEndian.Uint64(b[:])
}

// count reads a number of at most limit.
func (r *reader) count(limit int) int {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > uint64(limit) {
		r.rest, r.bad = nil, true
		return 0
	}
	r.rest = r.rest[size:]
	return int(n)
}

func (r *reader) text() string { return string(r.take(r.count(len(r.rest)))) }

// notice is what other hosts learn of a removal.
type notice struct {
	host    [markBytes]byte // the one that removed
	service string
	key     Key // zero: all answers of the service
}

// encode returns the form in the log. A long target stands for all answers of its service.
func (n notice) encode() []byte {
	b := slices.Clone(n.host[:])
	for _, text := range []string{n.service, n.key.Authority, n.key.Target} {
		b = appendText(b, text)
	}
	if len(b) > maxNotice && n.key != (Key{}) {
		n.key = Key{}
		return n.encode()
	}
	return b
}

// decodeNotice reads a notice.
func decodeNotice(b []byte) (n notice, ok bool) {
	r := reader{rest: bytes.Clone(b)}
	copy(n.host[:], r.take(len(n.host)))
	n.service, n.key.Authority, n.key.Target = r.text(), r.text(), r.text()
	return n, !r.bad && len(r.rest) == 0
}
