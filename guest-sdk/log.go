package guest

import (
	"io"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// A Level is the severity of a log message.
type Level int32

// Log levels, in increasing severity.
const (
	LevelDebug Level = iota - 1
	LevelInfo
	LevelWarn
	LevelError
)

// Log writes a message to the service's log. The host drops messages below its log level.
func Log(level Level, message string) { abi.Log(int32(level), message) }

// LogEnabled reports whether the host keeps messages of the level. Use it to avoid formatting expensive messages that
// would be dropped.
func LogEnabled(level Level) bool { return abi.LogEnabled(int32(level)) }

// LogWriter returns a writer that logs the bytes of each call to Write as one message, without a trailing newline. Pass
// it to [log.New] or to the handlers of log/slog.
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

// Config returns the guest's configuration, in a format that the host defines. It is empty if there is none. Vespo
// provides the service's settings as a JSON object of strings, or the bytes of --config-file. A middleware gets those of
// --use-config and --use-config-file.
//
// Config may be called in an init function. The result is then part of the snapshot.
func Config() []byte {
	buf := make([]byte, 512)
	n := int(abi.Config(buf))
	if n > len(buf) {
		buf = make([]byte, n)
		n = min(n, int(abi.Config(buf)))
	}
	return buf[:n]
}
