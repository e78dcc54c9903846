//go:build !tinygo

package guest

import "runtime"

// stackLimitBytes is the maximum size of a stack trace in a log message.
const stackLimitBytes = 16 << 10

func stack() string {
	buf := make([]byte, stackLimitBytes)
	return string(buf[:runtime.Stack(buf, false)])
}
