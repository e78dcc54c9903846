package accesslog

import (
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"syscall"

	"github.com/vespo-dev/vespo/internal/problem"
)

// Reason returns the cause of the failure for the client and the owner of the service: the text of Err. If that can name
// addresses or files of the host, it is the answer of the client, or the outcome. It is empty without an error.
func (rec *Record) Reason() string {
	switch {
	case rec.Err == nil:
		return ""
	case rec.Outcome != OutcomeHostError && !namesHost(rec.Err):
		return rec.Err.Error()
	}
	told := *problem.From(rec.Err)
	if told.Kind() == problem.Internal && rec.Outcome != OutcomeHostError {
		return string(rec.Outcome)
	}
	told.Cause = nil
	return told.Error()
}

// namesHost reports whether the text of an error can have addresses or files of the host.
func namesHost(err error) bool {
	var (
		op      *net.OpError
		dns     *net.DNSError
		address *net.AddrError
		target  *url.Error
		path    *fs.PathError
		link    *os.LinkError
		call    *os.SyscallError
		number  syscall.Errno
	)
	return errors.As(err, &op) || errors.As(err, &dns) || errors.As(err, &address) || errors.As(err, &target) ||
		errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &call) || errors.As(err, &number)
}
