package server

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/conns"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/services/egress/outbound"
)

// percent is a share, written like 50%.
type percent int

// UnmarshalText parses a share; the percent sign is optional.
func (p *percent) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(strings.TrimSuffix(string(text), "%"))
	if err != nil {
		return fmt.Errorf("%q is not a share: write it like 50%%", text)
	}
	*p = percent(n)
	return nil
}

// String formats the share as UnmarshalText parses it.
func (p percent) String() string { return strconv.Itoa(int(p)) + "%" }

// of returns the share of n, at least 1.
func (p percent) of(n int) int { return max(1, int(int64(n)*int64(p)/100)) }

// laneOn is the value of --fast-lane for a public listener with a lane.
const laneOn = "on"

// shares returns the limits of one client within a capacity:
// concurrent requests, waiting requests and the longest wait.
func (c *Config) shares(capacity int) *admission.Shares {
	return admission.NewShares(c.PerClient.of(capacity), c.PerClient.of(c.Queue), c.QueueWait)
}

// tunnels returns the limit on connections that have switched protocols.
func (c *Config) tunnels() int {
	if c.Tunnels > 0 {
		return c.Tunnels
	}
	return max(1, c.MaxConnections/4)
}

// maxReserved is the most connections that are reserved for this machine.
const maxReserved = 64

// connections returns the configuration of a listener for clients.
func (c *Config) connections(flag string, log *slog.Logger) conns.Config {
	return conns.Config{
		Flag:           flag,
		MaxConnections: c.MaxConnections,
		Reserved:       min(maxReserved, c.MaxConnections/16),
		PerPeer:        c.PerClient.of(c.MaxConnections),
		First:          headerTimeout,
		Idle:           c.KeepAlive,
		Write:          answerTimeout,
		Log:            log,
		Sockets:        c.sockets,
	}
}

// publicConnections returns the configuration of the public listener, the only one behind proxies.
func (c *Config) publicConnections(log *slog.Logger) conns.Config {
	cfg := c.connections("--listen", log)
	cfg.Trusted, cfg.ProxyProtocol = c.trust().Contains, c.ProxyProtocol
	return cfg
}

// workerConnections returns the configuration of the listener for workers. One host may run all of them.
func (c *Config) workerConnections(log *slog.Logger) conns.Config {
	cfg := c.connections("--worker-listen", log)
	cfg.MaxConnections = min(cfg.MaxConnections, maxWorkers)
	cfg.Reserved, cfg.PerPeer = min(cfg.Reserved, cfg.MaxConnections/16), 0
	return cfg
}

// trust returns the trusted proxies.
func (c *Config) trust() *forwarded.Trust {
	trust, _ := forwarded.ParseTrust(c.TrustedProxy) // Validate has reported any error
	return trust
}

// fitConnections lowers --max-connections to fit the limit on open files. A quarter of the
// descriptors is left for upstreams, files and modules. The Lambda API has as many connections
// as the public listener. The Go runtime has already raised the soft limit to the hard one.
func (c *Config) fitConnections(limit uint64, log *slog.Logger) {
	listeners := uint64(1) // the admin listener is small
	if c.LambdaListen != "" {
		listeners++
	}
	fits := max(1, limit/4*3/listeners)
	if uint64(c.MaxConnections) <= fits {
		return
	}
	log.Warn("--max-connections is lowered, as the process may not open as many files: raise the limit (ulimit -n, LimitNOFILE)",
		"max_connections", c.MaxConnections, "lowered_to", fits, "open_files", limit)
	c.MaxConnections = int(fits)
}

// mostLoaded is the most modules that are in memory at a time. Each takes some of the 65,530 mappings that Linux lets a process have.
const mostLoaded = 16_000

// loadedModules returns the number of modules that may be in memory at a time: the snapshot of each takes a descriptor. Connections
// have at most three quarters of these, see fitConnections.
func loadedModules(limit uint64, known bool) int {
	return descriptorShare(limit, known, 8, mostLoaded)
}

// descriptorShare returns a part of the descriptors, at most most; most if their limit is not known.
func descriptorShare(limit uint64, known bool, part, most uint64) int {
	if !known {
		return int(most)
	}
	return int(max(1, min(most, limit/part)))
}

// keptConnections returns the number of connections of guests to other servers that may stay open for later requests, a sixteenth of
// the descriptors at most.
func keptConnections(limit uint64, known bool) int {
	return descriptorShare(limit, known, 16, outbound.DefaultConnections)
}

// checkAddresses returns a violation for each listener that has the address of another one.
func (c *Config) checkAddresses() (violations problem.Violations) {
	taken := map[string]string{c.Listen: "--listen"}
	for _, l := range [...]struct{ flag, address string }{
		{"admin-listen", c.AdminListen},
		{"worker-listen", c.WorkerListen},
		{"lambda-listen", c.LambdaListen},
		{"peer-listen", c.PeerListen},
		{"http-redirect", c.HTTPRedirect},
	} {
		_, port, err := net.SplitHostPort(l.address)
		if err != nil || port == "0" {
			continue
		}
		if other, ok := taken[l.address]; ok {
			violations.Add(l.flag, "is %s, the address of %s: give each listener its own", l.address, other)
		}
		taken[l.address] = "--" + l.flag
	}
	return violations
}
