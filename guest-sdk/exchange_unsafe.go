package guest

import (
	"unsafe"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// exchange is a request and its response. It has no pointers. The buffer of the response is at the end.
type exchange struct {
	request  Request
	response Response
}

// current is reused for all requests, because a guest serves one request at a time.
var current = (*exchange)(abi.Place(unsafe.Sizeof(exchange{})))
