package scarce

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOwn(t *testing.T) {
	dial := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", errno)}
	}
	for _, lack := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		require.True(t, Own(fmt.Errorf("connect: %w", dial(lack))))
		require.True(t, Own(errors.Join(dial(syscall.ECONNREFUSED), dial(lack))))
	}
	for _, other := range []error{nil, errors.New("too many open files"), dial(syscall.ECONNREFUSED), dial(syscall.ENETUNREACH), os.ErrNotExist} {
		require.False(t, Own(other))
	}
}

func TestNoSpace(t *testing.T) {
	write := func(errno syscall.Errno) error { return &os.PathError{Op: "write", Path: "/data/x", Err: errno} }
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		require.True(t, NoSpace(fmt.Errorf("keep: %w", write(full))))
	}
	for _, other := range []error{nil, write(syscall.EROFS), write(syscall.EIO), errors.New("no space left on device")} {
		require.False(t, NoSpace(other))
	}
}
