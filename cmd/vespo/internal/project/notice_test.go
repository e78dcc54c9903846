package project

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNoticeOfASilentCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		n := startNotice(&out, "is slow")
		time.Sleep(noticeDelay + time.Second)
		synctest.Wait()
		require.Equal(t, "is slow\n", out.String())
		_, err := n.Write([]byte("output\n"))
		require.NoError(t, err)
		n.stop()
		time.Sleep(time.Hour)
		require.Equal(t, "is slow\noutput\n", out.String())
	})
}

func TestNoNoticeOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		spoke, ended := startNotice(&out, "is slow"), startNotice(&out, "is slow")
		_, err := spoke.Write([]byte("output\n"))
		require.NoError(t, err)
		ended.stop()
		time.Sleep(time.Hour)
		synctest.Wait()
		spoke.stop()
		require.Equal(t, "output\n", out.String())
	})
}

func TestNamesOfCommands(t *testing.T) {
	require.Equal(t, "npm install is still running", npmInstall().running())
	require.Equal(t, "go build is still running", command{args: []string{"/usr/bin/go", "build", "-o", "x"}}.running())
	require.Equal(t, "clang is still running", command{args: []string{"clang", "--target=wasm32", "main.c"}}.running())
	require.Equal(t, "asc is still running", command{args: []string{"asc"}}.running())
}
