package travel

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// Path is that of the requests for compiled code.
const Path = "/services/compiled"

// signatureHeader has the signature of an answer's head.
const signatureHeader = "Vespo-Signature"

// Bounds of the sender.
const (
	maxSending = 16        // answers at a time; further ones get 503
	sendRate   = 128 << 20 // bytes a second, of all answers together
	chunkBytes = 256 << 10
)

// ServeHTTP sends code of this host: GET with likeness and one of module, snapshot and code. The caller has checked that another host
// of the catalogue asks.
func (x *Exchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	own, query := x.engine.Load(), r.URL.Query()
	if r.Method != http.MethodGet || own == nil || query.Get("likeness") != own.likeness {
		http.NotFound(w, r)
		return
	}
	select {
	case x.sends <- struct{}{}:
		defer func() { <-x.sends }()
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many hosts ask for compiled code", http.StatusServiceUnavailable)
		return
	}
	x.counts.sent.Add(1)
	if code, ok := parse(query, "code"); ok {
		x.sendCode(w, r, own, code)
		return
	}
	m, err := x.message(own, query)
	if m == nil || err != nil {
		if err != nil {
			x.cfg.Log.Warn("compiled code could not be sent to another host", "error", err)
		}
		http.NotFound(w, r)
		return
	}
	w.Header().Set(signatureHeader, m.signature)
	w.Header().Set("Content-Length", strconv.FormatInt(m.size(), 10))
	_ = m.writeTo(&paced{w, x}) // the other host notices
}

func parse(query url.Values, name string) (s sum, ok bool) {
	err := s.UnmarshalText([]byte(query.Get(name)))
	return s, err == nil
}

// message returns the answer to a question for a module or a snapshot; nil if it is not here.
func (x *Exchange) message(own *attached, query url.Values) (*message, error) {
	if module, ok := parse(query, "module"); ok {
		p, err := own.Parcel(module)
		if p == nil || err != nil {
			return nil, err
		}
		h := headOf(own.likeness, p)
		return h.sign(x.cfg.Key, p.Snapshot)
	}
	id, ok := parse(query, "snapshot")
	if !ok {
		return nil, nil
	}
	content := own.KeptSnapshot(engine.SnapshotID(id))
	if content == nil || len(content) > maxSnapshotBytes {
		return nil, nil
	}
	h := headOf(own.likeness, &engine.Parcel{SnapshotID: engine.SnapshotID(id), Snapshot: content})
	return h.sign(x.cfg.Key, content)
}

// sendCode sends the file of a code. Its digest was signed with the module.
func (x *Exchange) sendCode(w http.ResponseWriter, r *http.Request, own *attached, code sum) {
	file, err := own.OpenCode(code)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer file.Close() // opened for reading only
	if info, err := file.Stat(); err == nil {
		w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	}
	_, _ = io.CopyBuffer(&paced{w, x}, io.LimitReader(file, maxCodeBytes), make([]byte, chunkBytes)) // the other host notices
}

// paced writes at the rate of all answers.
type paced struct {
	to io.Writer
	x  *Exchange
}

func (p *paced) Write(b []byte) (written int, err error) {
	for len(b) > 0 && err == nil {
		chunk := b[:min(len(b), chunkBytes)]
		p.x.pacer.wait(len(chunk))
		var n int
		n, err = p.to.Write(chunk)
		written += n
		p.x.counts.sentBytes.Add(int64(n))
		b = b[n:]
	}
	return written, err
}

// pacer bounds the rate of all answers.
type pacer struct {
	mu   sync.Mutex
	next time.Time // guarded by mu: when all that was admitted is sent
}

// burst is how far a pacer admits in advance.
const burst = 50 * time.Millisecond

// wait waits until so many bytes may be sent.
func (p *pacer) wait(bytes int) {
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	pause := p.next.Sub(now) - burst
	p.next = p.next.Add(time.Duration(bytes) * time.Second / sendRate)
	p.mu.Unlock()
	if pause > 0 {
		<-time.After(pause)
	}
}

// ParseKey returns the key of a host from its announcement, or nil.
func ParseKey(text string) []byte {
	key, err := hex.DecodeString(text)
	if err != nil {
		return nil
	}
	return key
}
