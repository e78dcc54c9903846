package accesslog

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTee(t *testing.T) {
	var told []string
	note := func(name string) Listener {
		return func(rec *Record) { told = append(told, name+" "+rec.RequestID) }
	}
	Tee(note("log"), nil, note("metrics"), note("view"))(&Record{RequestID: "1"})
	require.Equal(t, []string{"log 1", "metrics 1", "view 1"}, told)
	Tee(nil, note("log"))(&Record{RequestID: "2"})
	require.Equal(t, "log 2", told[len(told)-1])
	told = nil
	Tee()(&Record{})
	Tee(Tee(note("log")), Tee())(&Record{RequestID: "3"})
	require.Equal(t, []string{"log 3"}, told)
}
