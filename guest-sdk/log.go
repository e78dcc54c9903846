package guest

import (
	"io"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// Level is the weight of a log message.
type Level int32

const (
	LevelDebug Level = iota - 1
	LevelInfo
	LevelWarn
	LevelError
)

// Log writes a message to the service's log.
func Log(level Level, message string) { abi.Log(int32(level), message) }

// LogEnabled tells if messages of a level are kept: ask before making one that is costly to make.
func LogEnabled(level Level) bool { return abi.LogEnabled(int32(level)) }

// LogWriter returns a writer that logs each piece written as one message: for log.New, or slog.NewJSONHandler.
func LogWriter(level Level) io.Writer { return logWriter(level) }

type logWriter Level

func (l logWriter) Write(p []byte) (int, error) {
	if message := p; LogEnabled(Level(l)) {
		if n := len(message); n > 0 && message[n-1] == '\n' {
			message = message[:n-1]
		}
		Log(Level(l), string(message))
	}
	return len(p), nil
}

// Config returns what the host was given as this guest's configuration: any bytes; empty if nothing was given. It may be
// called while the program starts.
func Config() []byte {
	buf := make([]byte, 512)
	n := int(abi.Config(buf))
	if n > len(buf) {
		buf = make([]byte, n)
		n = min(n, int(abi.Config(buf)))
	}
	return buf[:n]
}
