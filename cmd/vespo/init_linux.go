package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// signalExit is added to the number of the signal that has ended the server, for the exit code.
const signalExit = 128

// superviseServer carries out "vespo serve" in a process of its own where this one adopts orphans, and reaps them. It returns the
// server's exit code, or false if the server is to run in this process.
func superviseServer(args []string) (code int, done bool) {
	if len(args) == 0 || args[0] != "serve" || !adopts() {
		return 0, false
	}
	self, err := os.Executable()
	if err != nil {
		return 0, false // without /proc, orphans stay zombies
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)
	runtime.LockOSThread() // Pdeathsig is sent when the thread ends
	server := exec.Command(self, args...)
	server.Args[0] = os.Args[0]
	server.Stdin, server.Stdout, server.Stderr = os.Stdin, os.Stdout, os.Stderr
	// In a group of its own, the server gets a terminal's signals once, from here.
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		signal.Reset()
		runtime.UnlockOSThread()
		return 0, false
	}
	ended := make(chan int)
	go func() { ended <- reap(server.Process.Pid) }()
	for {
		select {
		case s := <-signals:
			if s != syscall.SIGPIPE {
				_ = server.Process.Signal(s) // fails if it has just ended
			}
		case code := <-ended:
			return code, true
		}
	}
}

// reap waits for children of whatever origin until the one with the id ends, and returns its exit code.
func reap(id int) int {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil: // there is no child, which cannot be
			return exitFailed
		case pid == id && status.Signaled():
			return signalExit + int(status.Signal())
		case pid == id:
			return status.ExitStatus()
		}
	}
}
