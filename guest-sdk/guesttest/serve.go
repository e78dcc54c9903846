//go:build !wasip1

package guesttest

import (
	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

func serve(h guest.Handler, r *Request) *Answer {
	host := newHost(r)
	var handler any
	if h != nil {
		handler = h
	}
	ok := abi.Serve(host, handler)
	answer := &Answer{
		Status:  int(host.status),
		Header:  host.headers[abi.KindResponse].toMap(),
		Trailer: host.headers[abi.KindResponseTrailers].toMap(),
		Body:    host.body.String(),
		Writes:  host.writes,
		Ended:   !ok,
		Passed:  host.passed,
		Log:     host.log,
	}
	if !ok && host.writes == 0 {
		answer.Status, answer.Header, answer.Trailer = 500, nil, nil
	}
	return answer
}
