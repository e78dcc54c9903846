package program

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// signalExit plus the signal number is the exit code if a signal ended the server.
const signalExit = 128

// superviseServer runs "vespo serve" in a child process if this process adopts orphans, and reaps
// them. It returns the server's exit code, or false if the server must run in this process.
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
	runtime.LockOSThread() // Pdeathsig is sent when the parent's thread ends
	server := exec.Command(self, args...)
	server.Args[0] = os.Args[0]
	server.Stdin, server.Stdout, server.Stderr = os.Stdin, os.Stdout, os.Stderr
	// In its own process group, the server gets a terminal's signals only once, forwarded from here.
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
			if s != syscall.SIGPIPE && s != syscall.SIGUSR2 { // whose successor would end with this process
				_ = server.Process.Signal(s) // fails if it has just ended
			}
		case code := <-ended:
			return code, true
		}
	}
}

// reap waits for children, including adopted ones, until the
// one with this id ends. It returns that one's exit code.
func reap(id int) int {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil: // no child is left; cannot happen
			return ExitFailed
		case pid == id && status.Signaled():
			return signalExit + int(status.Signal())
		case pid == id:
			return status.ExitStatus()
		}
	}
}
