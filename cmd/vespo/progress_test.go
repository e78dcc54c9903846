package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
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

func TestProgressLines(t *testing.T) {
	p := &progress{totalBytes: -1, work: "compiling"}
	_, err := io.CopyN(io.Discard, p.reader(strings.NewReader("some")), 3)
	require.NoError(t, err)
	require.Equal(t, "uploading 3 B", p.line(0))
	p = &progress{totalBytes: 4, work: "compiling"}
	_, err = io.ReadFull(p.reader(strings.NewReader("some")), make([]byte, 4))
	require.NoError(t, err)
	require.Equal(t, "compiling ... 7 s", p.line(7*time.Second), "the end is known without a read for it")
}

func TestNoProgress(t *testing.T) {
	var p *progress
	from := strings.NewReader("x")
	require.Same(t, from, p.reader(from))
	p.close()
	require.Nil(t, (&addCmd{}).progress(streams{err: io.Discard}, 1, ""), "nobody watches")
}
