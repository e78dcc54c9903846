package remote

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shown bytes.Buffer
		p := startProgress(&shown, 2048, "compiling")
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

		p.close()
		require.True(t, strings.HasSuffix(shown.String(), eraseLine))
	})
}

func TestProgressWithoutUpload(t *testing.T) {
	require.Equal(t, "fetching ... 7 s", (&progress{work: "fetching"}).line(7*time.Second))
}

func TestNoProgress(t *testing.T) {
	var p *progress
	from := strings.NewReader("x")
	require.Same(t, from, p.reader(from))
	p.close()
	require.Nil(t, (&AddCmd{}).progress(stdio.Streams{Err: io.Discard}, 1, ""), "nobody watches")
}
