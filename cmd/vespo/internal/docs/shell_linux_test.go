package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside is the variable that makes the test binary bring up its loopback interface and become bash.
const inside = "VESPO_DOCS_INSIDE"

func TestMain(m *testing.M) {
	if script := os.Getenv(inside); script != "" {
		fmt.Fprintln(os.Stderr, become(script))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// become replaces this process by bash, with a loopback interface.
func become(script string) error {
	if err := loopback(); err != nil {
		return err
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		return err
	}
	return syscall.Exec(bash, []string{"bash", "--noprofile", "--norc", "-c", script}, without(os.Environ(), inside))
}

// without returns an environment without a variable.
func without(env []string, name string) (rest []string) {
	for _, v := range env {
		if !strings.HasPrefix(v, name+"=") {
			rest = append(rest, v)
		}
	}
	return rest
}

// loopback brings up the loopback interface.
func loopback() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, lo)
}

// shell returns a bash, with a network of its own or that of the machine.
func shell(script string, isolated bool) (*exec.Cmd, error) {
	if isolated {
		return insideCommand(script)
	}
	bash := exec.Command("bash", "--noprofile", "--norc", "-c", script)
	bash.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return bash, nil
}

// insideCommand returns a bash with a network of its own. A user who is not root needs a user namespace for that.
func insideCommand(script string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	bash := exec.Command(self)
	bash.Env = []string{inside + "=" + script, "PATH=" + os.Getenv("PATH")}
	bash.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNET}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		bash.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		bash.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		bash.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		bash.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN}
	}
	return bash, nil
}

// canIsolate returns the reason why pages cannot have networks of their own; nil if they can.
func canIsolate() error {
	bash, err := insideCommand("true")
	if err != nil {
		return err
	}
	if out, err := bash.CombinedOutput(); err != nil {
		return fmt.Errorf("%w %s", err, out)
	}
	return nil
}

// killSession kills the processes of a session, whose leader is pid.
func killSession(pid int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// The name of the program is in parentheses; state, parent, process group and session follow.
		fields := strings.Fields(string(text[strings.LastIndex(string(text), ")")+1:]))
		if len(fields) > 3 && fields[3] == strconv.Itoa(pid) {
			if member, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
				_ = syscall.Kill(member, syscall.SIGKILL) // fails if it has ended
			}
		}
	}
}
