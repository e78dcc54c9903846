package remote

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var compiling = work{doing: "compiling", done: "compiled"}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shown bytes.Buffer
		p := startProgress(&shown, 2048, compiling)
		from := p.reader(strings.NewReader(strings.Repeat("x", 2048)))
		_, err := io.CopyN(io.Discard, from, 512)
		require.NoError(t, err)
		time.Sleep(progressInterval + 1)
		synctest.Wait()
		require.Equal(t, eraseLine+"uploading  25% of 2.0 KiB", shown.String())

		_, err = io.Copy(io.Discard, from)
		require.NoError(t, err)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.True(t, strings.HasSuffix(shown.String(), eraseLine+"compiling ... 3 s"), shown.String())

		require.Equal(t, "uploaded 2.0 KiB in 0.1 s, compiled in 3.0 s", p.close())
		require.True(t, strings.HasSuffix(shown.String(), eraseLine))
	})
}

func TestProgressWithoutUploadOrTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startProgress(nil, 0, work{doing: "fetching", done: "fetched"})
		q := startProgress(nil, 0, work{doing: "adding"})
		time.Sleep(7 * time.Second)
		require.Equal(t, "fetching ... 7 s", p.text())
		require.Equal(t, "fetched in 7.0 s", p.close())
		require.Empty(t, q.close())
	})
}

// TestLineBelowOtherText checks that text of others neither is overwritten nor stands behind the line.
func TestLineBelowOtherText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shown bytes.Buffer
		l := startLine(&shown, func() string { return "building" })
		step := func(text string) {
			_, _ = io.WriteString(l, text)
			time.Sleep(progressInterval + 1)
			synctest.Wait()
		}
		step("$ go build\n")
		step("half a ")
		step("line\n")
		l.close()
		require.Equal(t, "$ go build\n"+eraseLine+"building"+eraseLine+"half a line\n"+eraseLine+"building"+eraseLine, shown.String())
	})
}
