package eventstream

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKnown checks the empty message that the format's specification shows as an example.
func TestKnown(t *testing.T) {
	b, err := Append(nil, nil, nil)
	require.NoError(t, err)
	require.Equal(t, "000000100000000005c248eb7d98c8ff", hex.EncodeToString(b))
}

// decode decodes a message independently of Append.
func decode(t *testing.T, b []byte) (headers []Header, payload []byte) {
	t.Helper()
	total, headerBytes := int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint32(b[4:]))
	require.Equal(t, len(b), total)
	require.Equal(t, crc32.ChecksumIEEE(b[:8]), binary.BigEndian.Uint32(b[8:]))
	require.Equal(t, crc32.ChecksumIEEE(b[:total-4]), binary.BigEndian.Uint32(b[total-4:]))
	for rest := b[12 : 12+headerBytes]; len(rest) > 0; {
		n := int(rest[0])
		name := string(rest[1 : 1+n])
		require.EqualValues(t, 7, rest[1+n])
		length := int(binary.BigEndian.Uint16(rest[2+n:]))
		headers = append(headers, Header{name, string(rest[4+n : 4+n+length])})
		rest = rest[4+n+length:]
	}
	return headers, b[12+headerBytes : total-4]
}

func TestRefuses(t *testing.T) {
	for _, headers := range [][]Header{{{"", "a"}}, {{strings.Repeat("n", 256), "a"}}, {{"n", strings.Repeat("v", 1<<15)}}} {
		_, err := Append(nil, headers, nil)
		require.ErrorIs(t, err, ErrTooLong)
	}
	_, err := Append(nil, nil, make([]byte, MaxPayloadBytes+1))
	require.ErrorIs(t, err, ErrTooLong)
}

func FuzzAppend(f *testing.F) {
	f.Add(":event-type", "PayloadChunk", []byte("payload"))
	f.Add("a", "", []byte{})
	f.Fuzz(func(t *testing.T, name, value string, payload []byte) {
		b, err := Append([]byte("before"), []Header{{name, value}, {":message-type", "event"}}, payload)
		if err != nil {
			require.ErrorIs(t, err, ErrTooLong)
			return
		}
		require.Equal(t, "before", string(b[:6]))
		headers, got := decode(t, b[6:])
		require.Equal(t, []Header{{name, value}, {":message-type", "event"}}, headers)
		require.Equal(t, string(payload), string(got))
	})
}
