// Package eventstream encodes messages of AWS's binary event stream, application/vnd.amazon.eventstream
// (smithy.io/2.0/aws/amazon-eventstream.html).
package eventstream

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// ContentType is the media type of a stream of messages.
const ContentType = "application/vnd.amazon.eventstream"

// Sizes of the fields around headers and payload, in bytes, and the type of string values.
const (
	preludeBytes = 12 // message length, headers length, checksum of both
	trailerBytes = 4  // checksum of the preceding bytes
	typeString   = 7
)

// MaxPayloadBytes is the longest payload that clients accept.
const MaxPayloadBytes = 16 << 20

// ErrTooLong is returned for a message that clients would reject.
var ErrTooLong = errors.New("the message is too long for an event stream")

// Header is a header of a message. Only string values are supported.
type Header struct{ Name, Value string }

// Append appends an encoded message to b.
func Append(b []byte, headers []Header, payload []byte) ([]byte, error) {
	headerBytes := 0
	for _, h := range headers {
		if len(h.Name) == 0 || len(h.Name) > 255 || len(h.Value) > 1<<15-1 {
			return nil, ErrTooLong
		}
		headerBytes += 1 + len(h.Name) + 1 + 2 + len(h.Value)
	}
	if len(payload) > MaxPayloadBytes || headerBytes > 128<<10 {
		return nil, ErrTooLong
	}
	begin := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(preludeBytes+headerBytes+len(payload)+trailerBytes))
	b = binary.BigEndian.AppendUint32(b, uint32(headerBytes))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[begin:]))
	for _, h := range headers {
		b = append(append(b, byte(len(h.Name))), h.Name...)
		b = binary.BigEndian.AppendUint16(append(b, typeString), uint16(len(h.Value)))
		b = append(b, h.Value...)
	}
	b = append(b, payload...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[begin:])), nil
}

// Event returns the headers of an event.
func Event(eventType, contentType string) []Header {
	return []Header{{":event-type", eventType}, {":content-type", contentType}, {":message-type", "event"}}
}
