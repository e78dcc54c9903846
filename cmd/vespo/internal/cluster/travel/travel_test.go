package travel

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// TestCodeTravels serves what another host has compiled, with one request for the module and one for the file.
func TestCodeTravels(t *testing.T) {
	o := newOther(t, "one", "start")
	f := newFresh(t, o)
	compiled, initialised := serve(t, f.engine, "start")
	require.False(t, compiled)
	require.False(t, initialised)
	require.Equal(t, 2, o.requests())
	s := f.Stats()
	require.Equal(t, Stats{Received: 1, ReceivedBytes: s.ReceivedBytes}, s)
	require.Equal(t, s.ReceivedBytes, o.exchange.Stats().SentBytes)

	compiled, initialised = serve(t, f.engine, "peek")
	require.True(t, compiled && initialised, "no host has it")
	require.EqualValues(t, 2, f.Stats().Missing, "the module and its snapshot")
	require.Empty(t, f.log)
}

func TestWarmFetchesInAdvance(t *testing.T) {
	o := newOther(t, "one", "start", "peek")
	f := newFresh(t, o)
	sums := [][32]byte{sha256.Sum256(moduleOf(t, "start")), {1}, sha256.Sum256(moduleOf(t, "peek"))}
	f.Warm(t.Context(), sums)
	require.EqualValues(t, 2, f.engine.Stats().Warmed)
	before := o.requests()
	f.Warm(t.Context(), append(sums[:1], sums[2]))
	require.Equal(t, before, o.requests(), "they are here")
}

// TestCodeOfUnlikeHostsIsNotAskedFor compares programs, and keys of hosts that send none.
func TestCodeOfUnlikeHostsIsNotAskedFor(t *testing.T) {
	unlike, keyless := newOther(t, "two", "start"), newOther(t, "one", "start")
	keyless.announce.Key = nil
	f := newFresh(t, unlike, keyless)
	compiled, _ := serve(t, f.engine, "start")
	require.True(t, compiled)
	require.Zero(t, unlike.requests()+keyless.requests())
}

// flip changes a bit of the part of a body that begins after some bytes.
func flip(body []byte, after int) []byte {
	body = bytes.Clone(body)
	body[after+(len(body)-after)/2] ^= 1
	return body
}

// headEnd returns where the signed head of a body ends.
func headEnd(body []byte) int { return 4 + int(binary.BigEndian.Uint32(body)) }

// TestForgeriesAreRefused changes what a host sends in each of the ways that could make this host run other code. All are refused, counted
// and logged, the host is not asked again, and the guest is compiled here.
func TestForgeriesAreRefused(t *testing.T) {
	_, stranger, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	state := sha256.Sum256(moduleOf(t, "peek"))
	for name, test := range map[string]struct {
		change func(o *other, query map[string][]string, h http.Header, body []byte) []byte // of answers for modules; nil: none
		code   func(body []byte) []byte                                                     // of files of code; nil: none
		says   string
	}{
		"a flipped bit in the head": {
			change: func(_ *other, _ map[string][]string, _ http.Header, body []byte) []byte {
				return append(flip(body[:headEnd(body)], 4), body[headEnd(body):]...)
			},
			says: "the signature is not by the key",
		},
		"a flipped bit in the snapshot": {
			change: func(_ *other, _ map[string][]string, _ http.Header, body []byte) []byte {
				return flip(body, headEnd(body))
			},
			says: "the snapshot has another digest",
		},
		"a flipped bit in the machine code": {code: func(body []byte) []byte { return flip(body, 0) }, says: "the file has another digest"},
		"other machine code":                {code: func(body []byte) []byte { return make([]byte, len(body)) }, says: "the file has another digest"},
		"no signature": {
			change: func(_ *other, _ map[string][]string, h http.Header, body []byte) []byte {
				h.Del(signatureHeader)
				return body
			},
			says: "the signature is not by the key",
		},
		"signed by a stranger": {
			change: func(o *other, _ map[string][]string, h http.Header, _ []byte) []byte {
				return resign(t, o, h, stranger, nil)
			},
			says: "the signature is not by the key",
		},
		"the answer for another module": {
			change: func(o *other, _ map[string][]string, h http.Header, _ []byte) []byte {
				p, err := o.engine.Parcel(state)
				require.NoError(t, err)
				head := headOf(o.announce.Likeness, p)
				m, err := head.sign(o.exchange.cfg.Key, p.Snapshot)
				require.NoError(t, err)
				return write(t, h, m)
			},
			says: "it is the code of another module",
		},
		"the answer for another processor": {
			change: func(o *other, _ map[string][]string, h http.Header, _ []byte) []byte {
				return resign(t, o, h, o.exchange.cfg.Key, func(head *head) { head.Likeness = strings.Repeat("0", 64) })
			},
			says: "it is for another program or processor",
		},
		"a signature of something else": {
			change: func(o *other, _ map[string][]string, h http.Header, body []byte) []byte {
				text := body[4:headEnd(body)]
				m := message{head: text, signature: base64.StdEncoding.EncodeToString(ed25519.Sign(o.exchange.cfg.Key, text)), snapshot: body[headEnd(body):]}
				return write(t, h, &m)
			},
			says: "the signature is not by the key",
		},
		"a head without end": {
			change: func(_ *other, _ map[string][]string, _ http.Header, body []byte) []byte {
				return append([]byte{0xff, 0xff, 0xff, 0xff}, body...)
			},
			says: "its head has 4294967295 bytes",
		},
		"sizes that are too large": {
			change: func(o *other, _ map[string][]string, h http.Header, _ []byte) []byte {
				return resign(t, o, h, o.exchange.cfg.Key, func(head *head) { head.SizeBytes = maxCodeBytes + 1 })
			},
			says: "it has 536870913",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOther(t, "one", "start", "peek")
			o.change = func(query map[string][]string, h http.Header, body []byte) []byte {
				switch {
				case query["code"] != nil && test.code != nil:
					return test.code(body)
				case query["module"] != nil && test.change != nil:
					return test.change(o, query, h, body)
				}
				return body
			}
			f := newFresh(t, o)
			compiled, initialised := serve(t, f.engine, "start")
			require.True(t, compiled && initialised, "it is made here")
			require.EqualValues(t, 1, f.Stats().Refused)
			require.Contains(t, f.log.String(), test.says)
			require.Equal(t, 1, strings.Count(f.log.String(), "\n"), f.log)
			asked := o.requests()
			serve(t, f.engine, "peek")
			require.Equal(t, asked, o.requests(), "it is not asked again for some time")
		})
	}
}

// resign sends the answer for the guest "start", changed and signed by a key.
func resign(t *testing.T, o *other, h http.Header, key ed25519.PrivateKey, change func(*head)) []byte {
	p, err := o.engine.Parcel(sha256.Sum256(moduleOf(t, "start")))
	require.NoError(t, err)
	head := headOf(o.announce.Likeness, p)
	if change != nil {
		change(&head)
	}
	m, err := head.sign(key, p.Snapshot)
	require.NoError(t, err)
	return write(t, h, m)
}

func write(t *testing.T, h http.Header, m *message) []byte {
	h.Set(signatureHeader, m.signature)
	var body bytes.Buffer
	require.NoError(t, m.writeTo(&body))
	return body.Bytes()
}

// TestSnapshotOfAnotherServiceIsRefused replays the answer to another question.
func TestSnapshotOfAnotherServiceIsRefused(t *testing.T) {
	o := newOther(t, "one", "start")
	p, err := o.engine.Parcel(sha256.Sum256(moduleOf(t, "start")))
	require.NoError(t, err)
	f := newFresh(t, o)
	require.Equal(t, p.Snapshot, f.Snapshot(t.Context(), p.SnapshotID))
	o.change = func(_ map[string][]string, h http.Header, _ []byte) []byte {
		head := headOf(o.announce.Likeness, &engine.Parcel{SnapshotID: p.SnapshotID, Snapshot: p.Snapshot})
		m, err := head.sign(o.exchange.cfg.Key, p.Snapshot)
		require.NoError(t, err)
		return write(t, h, m)
	}
	require.Nil(t, f.Snapshot(t.Context(), engine.SnapshotID{7}), "there is none, with status 404")
	require.Zero(t, f.Stats().Refused)
	o.change = nil
	o.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		head := headOf(o.announce.Likeness, &engine.Parcel{SnapshotID: p.SnapshotID, Snapshot: p.Snapshot})
		m, _ := head.sign(o.exchange.cfg.Key, p.Snapshot)
		w.Header().Set(signatureHeader, m.signature)
		_ = m.writeTo(w)
	})
	require.Nil(t, f.Snapshot(t.Context(), engine.SnapshotID{8}))
	require.EqualValues(t, 1, f.Stats().Refused)
}

// TestBrokenTransfersAreFailures go to the next host, and are not taken for forgeries.
func TestBrokenTransfersAreFailures(t *testing.T) {
	for name, change := range map[string]func(w http.ResponseWriter, r *http.Request, o *other){
		"cut":    func(http.ResponseWriter, *http.Request, *other) { panic(http.ErrAbortHandler) },
		"silent": func(_ http.ResponseWriter, r *http.Request, _ *other) { <-r.Context().Done() },
		"torn": func(w http.ResponseWriter, r *http.Request, o *other) {
			rec := httptest.NewRecorder()
			o.exchange.ServeHTTP(rec, r)
			w.Header().Set(signatureHeader, rec.Header().Get(signatureHeader))
			w.Header().Set("Content-Length", strconv.Itoa(rec.Body.Len()))
			_, _ = io.CopyN(w, rec.Body, int64(rec.Body.Len()-10))
		},
		"an error": func(w http.ResponseWriter, _ *http.Request, _ *other) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		t.Run(name, func(t *testing.T) {
			broken, sound := newOther(t, "one", "start"), newOther(t, "one", "start")
			broken.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { change(w, r, broken) })
			patience := time.Minute
			if name == "silent" {
				patience = 3 * time.Second
			}
			f := newHasty(t, patience, time.Minute, broken, sound)
			compiled, _ := serve(t, f.engine, "start")
			require.False(t, compiled)
			s := f.Stats()
			require.Equal(t, []uint64{1, 0, 1}, []uint64{s.Failed, s.Refused, s.Received})
		})
	}
}

// TestSlowHostIsLeft compiles a module whose code another host sends slower than that.
func TestSlowHostIsLeft(t *testing.T) {
	for _, kind := range []string{"module", "code"} {
		t.Run(kind, func(t *testing.T) {
			slow := newOther(t, "one", "start")
			slow.halts = kind
			f := newHasty(t, time.Minute, 50*time.Millisecond, slow)
			compiled, _ := serve(t, f.engine, "start")
			require.True(t, compiled, "it waits for the host")
			require.EqualValues(t, 1, f.Stats().Failed)
			asked := slow.requests()
			compiled, _ = serve(t, f.engine, "peek")
			require.True(t, compiled)
			require.Equal(t, asked, slow.requests(), "it is not asked again for some time")
		})
	}
}

func TestSenderIsBounded(t *testing.T) {
	o := newOther(t, "one", "start")
	for range maxSending {
		o.exchange.sends <- struct{}{}
	}
	f := newFresh(t, o)
	compiled, _ := serve(t, f.engine, "start")
	require.True(t, compiled)
	require.Zero(t, f.Stats().Failed, "a host without time is none")
	for _, query := range []string{"", "?likeness=x&module=y", "?likeness=" + o.announce.Likeness} {
		<-o.exchange.sends
		resp, err := http.Get(o.URL + Path + query)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusNotFound, resp.StatusCode)
	}
}
