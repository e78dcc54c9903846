// Package proxyproto reads the header of the PROXY protocol, versions 1 and
// 2 (haproxy.org, "The PROXY protocol"). A TCP proxy sends it first on a
// connection to tell the server the addresses of the client's connection.
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Limits of a header, in bytes.
const (
	maxLine   = 107     // of version 1, with its line break
	maxLength = 4 << 10 // of version 2, after its first 16 bytes
	shortest  = 15      // "PROXY UNKNOWN" and a line break
)

// signature is the beginning of a header of version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// ErrHeader is matched by errors about an invalid header.
var ErrHeader = errors.New("the connection does not begin with a valid PROXY header")

// Header is a decoded header.
type Header struct {
	// Local reports whether the proxy opened the connection for itself, as for a health check.
	Local bool
	// Source and Destination are the addresses of the client's
	// connection to the proxy. Both are zero if unknown.
	Source, Destination netip.AddrPort
}

// Read reads a header and not a byte more. Its errors match ErrHeader or come from r.
func Read(r io.Reader) (Header, error) {
	begin := make([]byte, shortest, maxLine)
	if _, err := io.ReadFull(r, begin); err != nil {
		return Header{}, cut(err)
	}
	if string(begin[:len(signature)]) == signature {
		return readBinary(r, begin)
	}
	return readLine(r, begin)
}

// cut returns the error for a header whose read failed with err.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ended early", ErrHeader)
	}
	return err
}

// readLine reads a header of version 1. Its length is unknown until its end, so it is read byte by byte.
func readLine(r io.Reader, line []byte) (Header, error) {
	if !bytes.HasPrefix(line, []byte("PROXY ")) {
		return Header{}, fmt.Errorf("%w: it begins with %.15q", ErrHeader, line)
	}
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == maxLine || bytes.IndexByte(line, '\n') >= 0 {
			return Header{}, fmt.Errorf("%w: its line does not end in CRLF within %d bytes", ErrHeader, maxLine)
		}
		line = line[:len(line)+1]
		if _, err := io.ReadFull(r, line[len(line)-1:]); err != nil {
			return Header{}, cut(err)
		}
	}
	if bytes.IndexByte(line, '\n') != len(line)-1 { // the first bytes contained a line break
		return Header{}, fmt.Errorf("%w: its line has a line break", ErrHeader)
	}
	return parseLine(string(line[:len(line)-2]))
}

// parseLine parses the line of version 1.
func parseLine(line string) (Header, error) {
	fields := strings.Split(line, " ")
	if fields[1] == "UNKNOWN" {
		return Header{}, nil
	}
	if len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6" {
		return Header{}, fmt.Errorf("%w: %.107q is not PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT", ErrHeader, line)
	}
	source, sourceErr := parseEnd(fields[2], fields[4], fields[1] == "TCP4")
	destination, destinationErr := parseEnd(fields[3], fields[5], fields[1] == "TCP4")
	if err := errors.Join(sourceErr, destinationErr); err != nil {
		return Header{}, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	return Header{Source: source, Destination: destination}, nil
}

// parseEnd parses an address and a port.
func parseEnd(address, port string, v4 bool) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Is4() != v4 || addr.Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("%.45q is not an address of its family", address)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(number, 10) != port {
		return netip.AddrPort{}, fmt.Errorf("%.10q is not a port", port)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}

// Fields of the fixed part of version 2.
const (
	version       = 2
	commandLocal  = 0
	commandProxy  = 1
	familyTCP4    = 0x11
	familyTCP6    = 0x21
	fixedBytes    = 16
	tcp4AddrBytes = 4
	tcp6AddrBytes = 16
)

// readBinary reads the rest of a header of version 2. Everything after the addresses is skipped.
func readBinary(r io.Reader, fixed []byte) (Header, error) {
	fixed = fixed[:fixedBytes]
	if _, err := io.ReadFull(r, fixed[shortest:]); err != nil {
		return Header{}, cut(err)
	}
	command, family := fixed[12]&15, fixed[13]
	length := int(binary.BigEndian.Uint16(fixed[14:]))
	switch {
	case fixed[12]>>4 != version || command > commandProxy:
		return Header{}, fmt.Errorf("%w: version and command are 0x%02x", ErrHeader, fixed[12])
	case length > maxLength:
		return Header{}, fmt.Errorf("%w: it is %d bytes long, it must be at most %d", ErrHeader, length, maxLength)
	}
	addrBytes := 0
	switch {
	case command != commandProxy: // addresses of a LOCAL header are ignored
	case family == familyTCP4:
		addrBytes = tcp4AddrBytes
	case family == familyTCP6:
		addrBytes = tcp6AddrBytes
	}
	var ends []byte
	if addrBytes > 0 {
		ends = make([]byte, 2*addrBytes+4)
	}
	if len(ends) > length {
		return Header{}, fmt.Errorf("%w: its addresses are cut off", ErrHeader)
	}
	if _, err := io.ReadFull(r, ends); err != nil {
		return Header{}, cut(err)
	}
	if _, err := io.CopyN(io.Discard, r, int64(length-len(ends))); err != nil {
		return Header{}, cut(err)
	}
	h := Header{Local: command == commandLocal}
	if ends != nil {
		source, _ := netip.AddrFromSlice(ends[:addrBytes])
		destination, _ := netip.AddrFromSlice(ends[addrBytes : 2*addrBytes])
		h.Source = netip.AddrPortFrom(source.Unmap(), binary.BigEndian.Uint16(ends[2*addrBytes:]))
		h.Destination = netip.AddrPortFrom(destination.Unmap(), binary.BigEndian.Uint16(ends[2*addrBytes+2:]))
	}
	return h, nil
}
