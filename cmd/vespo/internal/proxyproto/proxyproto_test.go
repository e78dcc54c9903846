package proxyproto

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// v2 returns a header of version 2.
func v2(versionCommand, family byte, rest string) string {
	b := append([]byte(signature), versionCommand, family)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(rest)))) + rest
}

const (
	ends4 = "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdd\xd5\x01\xbb" // 192.0.2.1:56789 to 198.51.100.2:443
	ends6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdd\xd5\x01\xbb"
)

var (
	tcp4 = Header{Source: netip.MustParseAddrPort("192.0.2.1:56789"), Destination: netip.MustParseAddrPort("198.51.100.2:443")}
	tcp6 = Header{Source: netip.MustParseAddrPort("[2001:db8::1]:56789"), Destination: netip.MustParseAddrPort("[2001:db8::2]:443")}
)

var valid = []struct {
	name, text string
	want       Header
}{
	{"v1 TCP4", "PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n", tcp4},
	{"v1 TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 56789 443\r\n", tcp6},
	{"v1 shortest TCP6", "PROXY TCP6 :: :: 0 0\r\n", Header{Source: netip.MustParseAddrPort("[::]:0"), Destination: netip.MustParseAddrPort("[::]:0")}},
	{"v1 shortest", "PROXY UNKNOWN\r\n", Header{}},
	{"v1 unknown with addresses", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", Header{}},
	{"v1 longest", "PROXY UNKNOWN " + strings.Repeat("f", maxLine-16) + "\r\n", Header{}},
	{"v2 TCP4", v2(0x21, 0x11, ends4), tcp4},
	{"v2 TCP6", v2(0x21, 0x21, ends6), tcp6},
	{"v2 with TLVs", v2(0x21, 0x11, ends4+"\x02\x00\x04host"), tcp4},
	{"v2 longest", v2(0x21, 0x21, ends6+strings.Repeat("x", maxLength-len(ends6))), tcp6},
	{"v2 LOCAL", v2(0x20, 0x00, ""), Header{Local: true}},
	{"v2 LOCAL with addresses", v2(0x20, 0x11, ends4), Header{Local: true}},
	{"v2 unspecified", v2(0x21, 0x00, "abc"), Header{}},
	{"v2 UNIX", v2(0x21, 0x31, strings.Repeat("/", 216)), Header{}},
	{"v2 UDP", v2(0x21, 0x12, ends4), Header{}},
	{"v2 mapped", v2(0x21, 0x21, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01"+
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x02\xdd\xd5\x01\xbb"), tcp4},
}

func TestRead(t *testing.T) {
	const rest = "GET / HTTP/1.1\r\n\r\n"
	for _, c := range valid {
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(c.text + rest), "byte by byte": iotest.OneByteReader(strings.NewReader(c.text + rest)),
		} {
			h, err := Read(r)
			require.NoError(t, err, c.name)
			require.Equal(t, c.want, h, "%s, %s", c.name, name)
			left, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, rest, string(left), "%s: the header ends where it ends", c.name)
		}
	}
}

var invalid = []struct{ name, text string }{
	{"nothing", ""},
	{"a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"lower case", "proxy TCP4 192.0.2.1 198.51.100.2 56789 443\r\n"},
	{"no CR", "PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\n"},
	{"LF and more", "PROXY UNKNOWN\nX\r\n"},
	{"short and LF", "PROXY a\nbcdef\r\n\r\n"},
	{"too long", "PROXY UNKNOWN " + strings.Repeat("f", maxLine) + "\r\n"},
	{"cut off", "PROXY TCP4 192.0.2.1 198.51"},
	{"no ports", "PROXY TCP4 192.0.2.1 198.51.100.2\r\n"},
	{"one more", "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n"},
	{"two spaces", "PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n"},
	{"other family", "PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n"},
	{"other family", "PROXY TCP4 ::1 ::1 1 2\r\n"},
	{"zone", "PROXY TCP6 fe80::1%x fe80::1 1 2\r\n"},
	{"large port", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n"},
	{"leading zero", "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n"},
	{"sign", "PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n"},
	{"UDP", "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n"},
	{"v2 version 1", v2(0x11, 0x11, ends4)},
	{"v2 other command", v2(0x22, 0x11, ends4)},
	{"v2 short addresses", v2(0x21, 0x11, ends4[1:])},
	{"v2 short addresses", v2(0x21, 0x21, ends4)},
	{"v2 too long", v2(0x21, 0x11, strings.Repeat("x", maxLength+1))},
	{"v2 cut off", v2(0x21, 0x11, ends4)[:20]},
	{"v2 cut off in TLVs", v2(0x21, 0x11, ends4+"\x02\x00\x04host")[:30]},
}

func TestReadRefuses(t *testing.T) {
	for _, c := range invalid {
		_, err := Read(strings.NewReader(c.text))
		require.ErrorIs(t, err, ErrHeader, c.name)
	}
	_, err := Read(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(valid[0].text))))
	require.ErrorIs(t, err, iotest.ErrTimeout, "an error of the connection stays one")
}

func FuzzRead(f *testing.F) {
	for _, c := range valid {
		f.Add([]byte(c.text + "x"))
	}
	for _, c := range invalid {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := bytes.NewReader(text)
		h, err := Read(r)
		read := len(text) - r.Len()
		require.LessOrEqual(t, read, fixedBytes+maxLength)
		if err != nil {
			require.ErrorIs(t, err, ErrHeader)
			require.Zero(t, h)
			return
		}
		require.Equal(t, h.Source.IsValid(), h.Destination.IsValid())
		require.False(t, h.Local && h.Source.IsValid())
		again, err := Read(bytes.NewReader(text[:read]))
		require.NoError(t, err, "the bytes read are the header")
		require.Equal(t, h, again)
		for cut := range read {
			_, err := Read(bytes.NewReader(text[:cut]))
			require.ErrorIs(t, err, ErrHeader)
		}
	})
}
