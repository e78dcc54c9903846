package enginetest

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Postgres is a PostgreSQL in a directory of its own. Every user may connect without a password.
type Postgres struct {
	Address string // host:port

	socket, port string // of a socket of the machine
	process      process
}

// StartPostgres starts PostgreSQL, and waits until it answers. options are of the form name=value.
func StartPostgres(t testing.TB, options ...string) *Postgres {
	t.Helper()
	return startPostgres(t, func(string) []string { return options })
}

// startPostgres starts PostgreSQL with the options that are returned for its directory.
func startPostgres(t testing.TB, options func(dir string) []string) *Postgres {
	t.Helper()
	initdb, server := postgresPrograms(t)
	dir, err := os.MkdirTemp("", "postgres")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	attributes := unprivileged(t, dir)
	data := filepath.Join(dir, "data")
	make := exec.Command(initdb, "--pgdata", data, "--username", "postgres", "--auth", "trust", "--no-sync", "--encoding", "SQL_ASCII", "--no-locale")
	make.Dir, make.SysProcAttr = dir, attributes
	out, err := make.CombinedOutput()
	require.NoError(t, err, string(out))
	host, port := freePort(t)
	args := []string{"-D", data, "-h", host, "-p", port, "-k", dir}
	for _, o := range options(dir) {
		args = append(args, "-c", o)
	}
	p := &Postgres{Address: net.JoinHostPort(host, port), socket: dir, port: port}
	p.process.command = func() *exec.Cmd {
		cmd := exec.Command(server, args...)
		cmd.Dir, cmd.SysProcAttr = dir, attributes
		return cmd
	}
	p.Run(t)
	t.Cleanup(p.Stop)
	p.Do(t, "ALTER ROLE postgres PASSWORD '"+Password+"'")
	return p
}

// HasPostgres reports whether PostgreSQL is installed.
func HasPostgres() bool {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	_, missing := exec.LookPath("initdb")
	return err == nil && (len(found) > 0 || missing == nil)
}

// postgresPrograms returns initdb and postgres, which Debian keeps out of the PATH.
func postgresPrograms(t testing.TB) (initdb, server string) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	require.NoError(t, err)
	if len(found) > 0 {
		initdb = found[len(found)-1]
	} else if initdb, err = exec.LookPath("initdb"); err != nil {
		t.Skip("PostgreSQL is missing: apt-get install postgresql")
	}
	return initdb, filepath.Join(filepath.Dir(initdb), "postgres")
}

// own gives a file to the user that runs PostgreSQL.
func own(t testing.TB, name string) {
	t.Helper()
	if as := unprivileged(t, filepath.Dir(name)); as != nil {
		require.NoError(t, os.Chown(name, int(as.Credential.Uid), int(as.Credential.Gid)))
	}
}

// unprivileged returns the attributes of a process that owns dir and is not root, which PostgreSQL refuses.
func unprivileged(t testing.TB, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	require.NoError(t, err)
	require.NoError(t, os.Chown(dir, int(uid), int(gid)))
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// Run starts the process again after Kill or Stop, and waits until it answers.
func (p *Postgres) Run(t testing.TB) {
	t.Helper()
	p.process.run(t)
	p.process.await(t, func() error { return p.exec(t, "SELECT 1") })
}

// Kill ends all processes without time to write: the engine recovers when it runs again.
func (p *Postgres) Kill(t testing.TB) {
	t.Helper()
	p.process.signal(t, syscall.SIGQUIT)
	_ = p.process.cmd.Wait() // killed
	p.process.cmd = nil
}

// Stop ends the engine.
func (p *Postgres) Stop() {
	if p.process.cmd == nil {
		return
	}
	_ = p.process.cmd.Process.Signal(syscall.SIGQUIT)
	_ = p.process.cmd.Wait() // killed
	p.process.cmd = nil
}

// Do runs a statement, which must succeed.
func (p *Postgres) Do(t testing.TB, statement string) {
	t.Helper()
	require.NoError(t, p.exec(t, statement))
}

func (p *Postgres) exec(t testing.TB, statement string) error {
	c, err := pgx.Connect(t.Context(), "host="+p.socket+" port="+p.port+" user=postgres dbname=postgres default_transaction_read_only=off")
	if err != nil {
		return err
	}
	_, err = c.Exec(t.Context(), statement)
	return errors.Join(err, c.Close(t.Context()))
}
