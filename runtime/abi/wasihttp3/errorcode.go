package wasihttp3

import (
	"errors"
	"fmt"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
)

// maxReasonBytes is the most of a guest's text in an error.
const maxReasonBytes = 1 << 10

// failure is an error-code. Its payload is dropped, except for the text of an internal error.
type failure struct {
	code httptypes.Code
	text string
}

func (f *failure) Error() string {
	if f.text == "" {
		return f.code.String()
	}
	return fmt.Sprintf("%s: %q", f.code.String(), f.text)
}

// put stores a result with this error, or without one and without a payload if f is nil. m is zeroed before.
func (f *failure) put(m []byte) {
	clear(m[:resultBytes])
	if f != nil {
		m[0], m[resultPayload] = 1, byte(f.code) // options in the payload are none
	}
}

// lifted returns an error-code that the guest passes: its case and, for internal-error, an optional text.
func lifted(s *canonical.State, code, some, at, length uint64) *failure {
	f := &failure{code: httptypes.Code(canonical.Case(code, httptypes.Count))}
	if f.code == httptypes.InternalError && canonical.Case(some, 2) == 1 {
		f.text, _ = s.Text(at, length, maxReasonBytes)
	}
	return f
}

// loaded returns the error of a result in memory, or nil.
func loaded(s *canonical.State, m []byte) *failure {
	if canonical.Case(uint64(m[0]), 2) == 0 {
		return nil
	}
	return lifted(s, uint64(m[8]), uint64(m[16]), uint64(canonical.Uint32(m, 20)), uint64(canonical.Uint32(m, 24)))
}

// outboundFailure returns the error-code for an error of an outbound call.
func outboundFailure(err error) *failure {
	var own *failure
	if errors.As(err, &own) {
		return own
	}
	return &failure{code: httptypes.Outbound(err, httptypes.ResponseTimeout)}
}
