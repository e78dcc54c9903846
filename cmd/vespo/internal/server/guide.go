package server

import (
	"fmt"
	"io"
	"net"
)

// guide tells the user of a terminal how to add the first service, if there is none.
func (s *server) guide(w io.Writer, addr net.Addr) {
	if !s.interactive || s.cfg.Demo || len(s.core.deployer.List()) > 0 {
		return
	}
	if !s.manageable(addr) {
		fmt.Fprintln(w, "there are no services yet: declare some in a configuration file, or set --admin-token and add some with \"vespo add\"")
		return
	}
	flags := ""
	if server := Reachable(addr); s.core.secured() || server != net.JoinHostPort(defaultHost, defaultPort) {
		flags += " --server " + s.url(server)
	}
	if s.cfg.AdminToken != "" {
		flags += " --token TOKEN"
	}
	fmt.Fprintf(w, `there are no services yet; in another terminal:
  vespo new hello                  # make a project
  cd hello && vespo deploy%[1]s    # build it and add it
  vespo add PREFIX FILE.wasm%[1]s  # or add a module that you have
  vespo help                       # for all else
`, flags)
}
