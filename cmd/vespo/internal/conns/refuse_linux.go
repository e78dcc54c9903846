package conns

import "golang.org/x/sys/unix"

// refuseProgram is a classic BPF program that drops the segments that open a connection: those with SYN and
// without ACK. The kernel runs it on the segments of a TCP socket, from the TCP header on.
func refuseProgram() []unix.SockFilter {
	const (
		flagsOffset = 13
		syn, ack    = 0x02, 0x10
		keep        = 1<<32 - 1
	)
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flagsOffset},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: syn | ack},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: syn, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: keep},
	}
}

// Refuse makes the kernel open no further connection, and reports whether it does so. Accept
// still returns those in the kernel's queue, which Close would reset with what clients have
// sent. Clients that connect afterwards try again, and are refused once the listener is closed.
func (l *Listener) Refuse() bool {
	raw, err := l.SyscallConn()
	if err != nil {
		return false
	}
	program := refuseProgram()
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &filter)
	})
	return err == nil && failed == nil
}
