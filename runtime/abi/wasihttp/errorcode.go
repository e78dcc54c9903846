package wasihttp

import (
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
)

// errorCode is an error-code for the guest.
type errorCode struct {
	kind  httptypes.Code
	text  string  // of httptypes.InternalError
	bytes *uint64 // of the body sizes
}

// The layout of error-code, and of the results that contain it: a result<_, error-code> has it at codeAt.
const (
	codeBytes      = 32
	codeAlign      = 8
	codeAt         = 8
	codeResultSize = codeAt + codeBytes
)

// putCode writes an error-code.
func (c *call) putCode(m []byte, e *errorCode) {
	m = m[:codeBytes]
	clear(m)
	m[0] = byte(e.kind)
	switch {
	case e.kind == httptypes.InternalError && e.text != "":
		c.state.PutString(m, 12, e.text)
		m[8] = 1
	case e.bytes != nil:
		m[8] = 1
		canonical.PutUint64(m, 16, *e.bytes)
	}
}

// putDone writes a result<_, error-code>.
func (c *call) putDone(m []byte, e *errorCode) {
	if m[0] = 0; e != nil {
		c.putCode(m[codeAt:], e)
		m[0] = 1
	}
}

// outboundCode returns the error-code for an error of a request of the guest. Details of the host are not passed to the guest.
func outboundCode(err error) *errorCode {
	e := &errorCode{kind: httptypes.Outbound(err, httptypes.ConnectionTimeout)}
	if e.kind == httptypes.InternalError {
		e.text = "the host cannot make the request"
	}
	return e
}
