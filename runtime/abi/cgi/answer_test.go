package cgi

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// printed is the result of parsing a command's output.
type printed struct {
	status int
	header abi.Header
	body   string
	err    string // reason why it cannot be sent
}

// parse writes text in pieces of the given lengths and the rest in one piece, then finishes the answer.
func parse(text string, cuts []byte) (p printed) {
	r := &abitest.Response{}
	a := answer{in: new(engine.Instance)}
	a.begin(r)
	err := func() (err error) {
		defer func() {
			if fault := recover(); fault != nil {
				err = fault.(engine.Unusable)
			}
		}()
		for _, cut := range cuts {
			n := min(int(cut), len(text))
			_, _ = io.WriteString(&a, text[:n])
			text = text[n:]
		}
		_, _ = io.WriteString(&a, text)
		return a.finish("GET").Err
	}()
	if err != nil {
		return printed{err: err.Error()}
	}
	return printed{status: r.Status, header: r.Sent, body: r.Body.String()}
}

func TestAnswer(t *testing.T) {
	plain := abi.Header{"Content-Type": {"text/plain"}}
	for _, c := range []struct {
		name, text string
		want       printed
	}{
		{"header and body", "Content-Type: text/plain\n\nhello", printed{200, plain, "hello", ""}},
		{"carriage returns", "Content-Type: text/plain\r\n\r\nhello\r\n", printed{200, plain, "hello\r\n", ""}},
		{"mixed line ends", "Content-Type: text/plain\r\n\nhello", printed{200, plain, "hello", ""}},
		{"mixed the other way", "Content-Type: text/plain\n\r\nhello", printed{200, plain, "hello", ""}},
		{"more carriage returns", "Content-Type: text/plain\r\r\n\r\r\r\nhello", printed{200, plain, "hello", ""}},
		{"names in any case", "cOnTeNt-tYpE: text/plain\n\n", printed{200, plain, "", ""}},
		{"no space", "Content-Type:text/plain\n\n", printed{200, plain, "", ""}},
		{"much space", "Content-Type \t: \t text/plain\t \n\n", printed{200, plain, "", ""}},
		{"no empty line", "Content-Type: text/plain\n", printed{200, plain, "", ""}},
		{"not even a line end", "Content-Type: text/plain", printed{200, plain, "", ""}},
		{"empty lines in the body", "Content-Type: text/plain\n\n\n\nhello", printed{200, plain, "\n\nhello", ""}},
		{"body like a header", "Content-Type: text/plain\n\nStatus: 500\n\n", printed{200, plain, "Status: 500\n\n", ""}},
		{"status", "Status: 404 Not Found\n\nx", printed{404, abi.Header{}, "x", ""}},
		{"status without words", "Status: 404\n\n", printed{404, abi.Header{}, "", ""}},
		{"status among others", "Content-Type: text/plain\nStatus: 201 Created\nX: y\n\n", printed{201, abi.Header{"Content-Type": {"text/plain"}, "X": {"y"}}, "", ""}},
		{"the last status", "Status: 404\nStatus: 201\n\n", printed{201, abi.Header{}, "", ""}},
		{"location", "Location: https://example.com/\n\n", printed{302, abi.Header{"Location": {"https://example.com/"}}, "", ""}},
		{"location in the same service", "Location: /other\n\n", printed{302, abi.Header{"Location": {"/other"}}, "", ""}},
		{"location with a status", "Status: 201 Created\nLocation: /new\n\n", printed{201, abi.Header{"Location": {"/new"}}, "", ""}},
		{"duplicates", "Status: 200\nSet-Cookie: a=1\nSet-Cookie: b=2\nset-cookie: a=1\n\n",
			printed{200, abi.Header{"Set-Cookie": {"a=1", "b=2", "a=1"}}, "", ""}},
		{"colons in a value", "Status: 200\nX: a:b: c\n\n", printed{200, abi.Header{"X": {"a:b: c"}}, "", ""}},
		{"empty value", "Status: 200\nX:\n\n", printed{200, abi.Header{"X": {""}}, "", ""}},
		{"bytes above ASCII", "Status: 200\nX: ä\n\n\xff\x00", printed{200, abi.Header{"X": {"ä"}}, "\xff\x00", ""}},
		{"fields that are not the guest's", "Status: 200\nConnection: close\nTransfer-Encoding: chunked\nTrailer: X\n\n", printed{200, abi.Header{}, "", ""}},

		{"nothing", "", printed{err: "printed nothing"}},
		{"an empty line", "\n", printed{err: "none of Content-Type, Location and Status"}},
		{"an empty line first", "\r\nContent-Type: text/plain\n\n", printed{err: "none of Content-Type, Location and Status"}},
		{"no header", "hello\n", printed{err: "without a colon"}},
		{"HTML alone", "<html>\n\n</html>", printed{err: "without a colon"}},
		{"none of the three", "X: y\n\nhello", printed{err: "none of Content-Type, Location and Status"}},
		{"an answer in HTTP", "HTTP/1.1 200 OK\nContent-Type: text/plain\n\n", printed{err: "without a colon"}},
		{"folded line", "Content-Type: text/plain\n charset: x\n\n", printed{err: "not a token"}},
		{"space in a name", "Content-Type: text/plain\nA b: c\n\n", printed{err: "not a token"}},
		{"no name", "Content-Type: text/plain\n: c\n\n", printed{err: "not a token"}},
		{"NUL in a name", "Content-Type: text/plain\nA\x00: c\n\n", printed{err: "not a token"}},
		{"NUL in a value", "Content-Type: text/plain\nA: b\x00c\n\n", printed{err: "control characters in the header A"}},
		{"carriage return in a value", "Content-Type: text/plain\nA: b\rSet-Cookie: c\n\n", printed{err: "control characters"}},
		{"status in words", "Status: fine\n\n", printed{err: "cannot be sent"}},
		{"no status", "Status:\n\n", printed{err: "cannot be sent"}},
		{"informational status", "Status: 100 Continue\n\n", printed{err: "cannot be sent"}},
		{"status too large", "Status: 600\n\n", printed{err: "cannot be sent"}},
		{"status with a sign", "Status: +200\n\n", printed{err: "cannot be sent"}},
		{"status of four digits", "Status: 0200\n\n", printed{err: "cannot be sent"}},
		{"status glued to words", "Status: 200OK\n\n", printed{err: "cannot be sent"}},
		{"status of another alphabet", "Status: ２００\n\n", printed{err: "cannot be sent"}},
		{"header without end", strings.Repeat("X: y\n", abi.MaxHeaderBytes/5+1) + "\n", printed{err: "no end within"}},
		{"line without end", strings.Repeat("x", abi.MaxHeaderBytes+1), printed{err: "no end within"}},
		{"many fields", "Status: 200\n" + strings.Repeat("X:\n", abi.MaxHeaderBytes/abi.FieldOverheadBytes) + "\n", printed{err: "larger than the host holds"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, cuts := range [][]byte{nil, ones(len(c.text)), {3, 0, 2, 255}} {
				got := parse(c.text, cuts)
				if c.want.err != "" {
					require.Contains(t, got.err, c.want.err)
					got.err = c.want.err
				}
				require.Equal(t, c.want, got)
			}
		})
	}
}

// ones returns cuts that split a text into single bytes, up to 10,000 of them.
func ones(n int) []byte { return []byte(strings.Repeat("\x01", min(n, 10_000))) }

func TestHeaderAsLargeAsCanBe(t *testing.T) {
	line := "X-Long: " + strings.Repeat("v", 1000) + "\n"
	var text strings.Builder
	text.WriteString("Status: 200\n")
	for text.Len()+len(line)+1 < abi.MaxHeaderBytes*9/10 {
		text.WriteString(line)
	}
	fmt.Fprintf(&text, "\nbody")
	got := parse(text.String(), nil)
	require.Empty(t, got.err)
	require.Equal(t, "body", got.body)
	require.Equal(t, got, parse(text.String(), []byte(strings.Repeat("\xff", 2000))))
}

func TestBodiesArePassedOnAsTheyCome(t *testing.T) {
	r := &abitest.Response{}
	a := answer{in: new(engine.Instance)}
	a.begin(r)
	a.flush()
	require.Zero(t, r.Status, "there is nothing to send")
	for i, piece := range []string{"Content-Type: text/plain\n\n", "one", "two"} {
		_, err := io.WriteString(&a, piece)
		require.NoError(t, err)
		a.flush()
		a.flush()
		require.Len(t, r.Flushed, i+1, "the header goes out too, if the command waits then")
	}
	require.Equal(t, []int{0, 3, 6}, r.Flushed)
}

func TestBufferOfALargeHeaderIsNotKept(t *testing.T) {
	a := answer{in: new(engine.Instance)}
	a.begin(&abitest.Response{})
	_, err := io.WriteString(&a, "Status: 200\nX: "+strings.Repeat("x", 2*keepHeadBytes)+"\n\n")
	require.NoError(t, err)
	a.begin(nil)
	require.Zero(t, cap(a.head))
}

// FuzzAnswer splits output at arbitrary places: the result must not depend on the splits.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{"", "\n", "Status: 200\n\nbody", "Content-Type: a\r\n\r\r\r\nb", "A: b\n\r\r\n\n", "\r\r\n", "Location: /\n", "Status: 1\n\n", "a\n\n"} {
		for _, cuts := range []string{"", "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01", "\x05\x02\x00\x01"} {
			f.Add(text, []byte(cuts))
		}
	}
	f.Fuzz(func(t *testing.T, text string, cuts []byte) {
		want := parse(text, nil)
		require.Equal(t, want, parse(text, cuts))
		require.NotEqual(t, want.status == 0, want.err == "", "it is an answer or it is none")
		for name, values := range want.header {
			canonical, ok := abi.CanonicalName(name)
			require.True(t, ok && canonical == name)
			for _, v := range values {
				require.True(t, abi.ValidValue(v))
			}
		}
	})
}
