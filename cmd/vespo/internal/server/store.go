package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/version"
	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/egress/forward"
	"github.com/vespo-dev/vespo/services/egress/peer"
	"github.com/vespo-dev/vespo/services/placement"
)

// StoreSettings are the settings of a catalogue that several hosts share, as a part of Config.
type StoreSettings struct {
	Store       string `placeholder:"URL" env:"VESPO_STORE" help:"Store of a catalogue that several hosts share, such as etcd://host1,host2,host3/vespo (vespo-cluster alone). Without it, the catalogue is in --data."`
	PeerListen  string `placeholder:"HOST:PORT" env:"VESPO_PEER_LISTEN" help:"Address by which the other hosts of --store reach this one, for modules. They know each other by the store; port 0 takes a free one."`
	PeerAddress string `placeholder:"HOST:PORT" env:"VESPO_PEER_ADDRESS" help:"Address that the other hosts of --store are told, if they reach --peer-listen by another one, such as a mapped port. Default: --peer-listen."`
	ForwardCold bool   `help:"Forward requests to services whose code is not loaded to another host of --store, chosen for each service."`

	Surge int `placeholder:"N" default:"2" help:"Most hosts of --store that prepare the modules of a change at the same time; the others wait for up to 30 s; 0 is any (${default})."`

	Label []string `placeholder:"NAME[=VALUE]" sep:"," help:"Label of this host among those of --store, by which services choose their hosts (vespo add --on); may be repeated."`

	PeerCode bool `help:"Exchange compiled code and snapshots with the hosts of --store that have the same program and processor, so that a new host is ready in seconds. Each of them can then run machine code on the others: give it only where all hosts are trusted alike."`

	Blobs string `placeholder:"URL" env:"VESPO_BLOBS" help:"Object store that has the modules of --store, such as s3://bucket/prefix?endpoint=https://host (vespo-cluster alone). Without it, each module is on the disks of two hosts."`

	BlobsGrace time.Duration `placeholder:"DURATION" help:"Time after which modules in --blobs that no version refers to are deleted; at least 1h. Give all hosts the same, and --blobs a prefix for this catalogue alone. 0 is never (${default})." default:"0s"`

	OpenStore cluster.Opener        `kong:"-"` // nil: this program has no stores
	OpenBlobs cluster.ObjectsOpener `kong:"-"` // nil: this program has no object stores
}

// minGrace is longer than a deploy can take.
const minGrace = time.Hour

// check returns the violations of the settings.
func (s *StoreSettings) check() (violations problem.Violations) {
	host, _, err := net.SplitHostPort(s.PeerListen)
	named := err == nil && reachable(host)
	switch {
	case s.Store == "" && s.Blobs != "":
		violations.Add("blobs", "needs --store: without one, modules are in --data")
	case s.Blobs == "" && s.BlobsGrace != 0:
		violations.Add("blobs-grace", "needs --blobs: other modules are deleted when no version refers to them")
	case s.BlobsGrace < 0 || s.BlobsGrace > 0 && s.BlobsGrace < minGrace:
		violations.Add("blobs-grace", "is %s: it must be at least %s, or 0 for never", s.BlobsGrace, minGrace)
	case s.Store == "" && s.PeerCode:
		violations.Add("peer-code", "needs --store: without one there are no other hosts")
	case s.Store == "" && s.PeerListen != "":
		violations.Add("peer-listen", "needs --store: without one there are no other hosts")
	case s.Surge < 0 || s.Surge > 1000:
		violations.Add("surge", "is %d: it must be a number of hosts up to 1000, or 0 for any", s.Surge)
	case s.Store == "" && len(s.Label) > 0:
		violations.Add("label", "needs --store: without one there are no other hosts")
	case s.Store == "" && s.ForwardCold:
		violations.Add("forward-cold", "needs --store: without one there are no other hosts")
	case s.Store == "":
	case s.OpenStore == nil:
		violations.Add("store", unsupported)
	case s.PeerListen == "":
		violations.Add("store", "needs --peer-listen: an address of this machine that the other hosts reach")
	case err != nil || !named && s.PeerAddress == "":
		violations.Add("peer-listen", "is %q: write it like 10.0.0.1:7070, with the address or name by which the other hosts reach this one, or give that as --peer-address", s.PeerListen)
	}
	for _, text := range placement.CheckLabels(s.Label) {
		violations.Add("label", "%s", text)
	}
	return append(violations, s.checkAddress()...)
}

// checkAddress returns the violations of --peer-address.
func (s *StoreSettings) checkAddress() (violations problem.Violations) {
	if s.PeerAddress == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(s.PeerAddress)
	switch {
	case s.PeerListen == "":
		violations.Add("peer-address", "needs --peer-listen")
	case err != nil || !reachable(host) || port == "" || port == "0":
		violations.Add("peer-address", "is %q: write it like 10.0.0.1:7070", s.PeerAddress)
	}
	return violations
}

// reachable reports whether a host of an address is one that other machines can connect to.
func reachable(host string) bool {
	ip := net.ParseIP(host)
	return host != "" && (ip == nil || !ip.IsUnspecified())
}

// strings returns the settings that are given as flags, one per line. Options of the URL may be secrets.
func (s *StoreSettings) strings() string {
	if s.Store == "" {
		return ""
	}
	store, _, _ := strings.Cut(s.Store, "?")
	all := fmt.Sprintf("--store=%s\n--peer-listen=%s\n", store, s.PeerListen)
	if s.PeerAddress != "" {
		all += fmt.Sprintf("--peer-address=%s\n", s.PeerAddress)
	}
	if s.ForwardCold {
		all += "--forward-cold\n"
	}
	if s.Blobs != "" {
		blobs, _, _ := strings.Cut(s.Blobs, "?")
		all += fmt.Sprintf("--blobs=%s\n--blobs-grace=%s\n", blobs, s.BlobsGrace)
	}
	if len(s.Label) > 0 {
		all += fmt.Sprintf("--label=%s\n", strings.Join(s.Label, ","))
	}
	all += fmt.Sprintf("--surge=%d\n", s.Surge)
	if s.PeerCode {
		all += "--peer-code\n"
	}
	return all
}

// openCatalogue opens the data directory and reads the catalogue, which is there or in a common store.
func (c *core) openCatalogue(ctx context.Context, list *parts.List, cfg *Config, dir string, log *slog.Logger) (*registry.Registry, error) {
	c.dataDir = dir
	err := list.Open(ctx, parts.Part{
		Name:  "the data directory",
		Data:  true,
		Open:  func(context.Context) (err error) { c.store, err = filestore.Open(dir); return err },
		Close: func(context.Context) error { return c.store.Close() },
	})
	if err != nil {
		return nil, err
	}
	if cfg.Store != "" {
		return c.openCommon(ctx, list, cfg, log)
	}
	if cfg.FollowAnew {
		if err := c.store.SetCatalogueAside(); err != nil {
			return nil, fmt.Errorf("data directory %s: %w", dir, err)
		}
	}
	blobs, err := c.openCopy(ctx, list, cfg)
	if err != nil {
		return nil, err
	}
	catalogue, problems, err := registry.Open(ctx, c.store, blobs)
	if err == nil {
		err = cluster.CheckOwn(catalogue.State())
	}
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	c.problems = problems
	return catalogue, c.checkOrigin(ctx, cfg, catalogue, log)
}

// openCommon opens a catalogue that several hosts share.
func (c *core) openCommon(ctx context.Context, list *parts.List, cfg *Config, log *slog.Logger) (catalogue *registry.Registry, err error) {
	var common cluster.Store
	err = list.Open(ctx, parts.Part{
		Name: "the store",
		Data: true,
		Open: func(ctx context.Context) (err error) {
			common, err = cfg.OpenStore(ctx, cluster.Options{
				URL:      cfg.Store,
				Host:     cmp.Or(cfg.PeerAddress, cfg.PeerListen),
				Copy:     c.store,
				Password: os.Getenv(cluster.PasswordVariable),
				Log:      log,
			})
			return err
		},
		Close: func(context.Context) error { return common.Close() },
	})
	if err != nil {
		return nil, err
	}
	objects, err := cfg.openObjects(ctx, list)
	if err != nil {
		return nil, err
	}
	partials, err := peer.OpenPartials(c.store.PartialDir())
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(c.store.HostDir()); err != nil {
		return nil, err
	}
	c.node, err = cluster.NewNode(cluster.NodeConfig{
		Store:        common,
		Address:      cmp.Or(cfg.PeerAddress, cfg.PeerListen),
		Version:      version.Read().Version,
		MaxBlobBytes: int64(cfg.MaxModule),
		Objects:      objects,
		ObjectsGrace: cfg.BlobsGrace,
		Partials:     partials,
		ShareCode:    cfg.PeerCode,
		MaxLag:       cfg.MaxLag,
		Forward:      cfg.ForwardCold,
		Surge:        cfg.Surge,
		Labels:       cfg.Label,
		Timeout:      cfg.Timeout,
		QueueWait:    cfg.QueueWait,
		MaxBodyBytes: int64(cfg.MaxBody),
		Dir:          durable.Dir(c.store.HostDir()),
		Log:          log,
	})
	if err != nil {
		return nil, err
	}
	catalogue, c.problems, err = registry.Open(ctx, c.node.Catalogue(), c.node.Blobs(c.store.Blobs()))
	if err != nil {
		return nil, err
	}
	c.node.Attach(catalogue)
	c.catalogue = catalogue
	return catalogue, c.openPeers(ctx, list, cfg, log)
}

// openObjects opens the object store for modules; nil without one.
func (cfg *Config) openObjects(ctx context.Context, list *parts.List) (objects cluster.Objects, err error) {
	if cfg.Blobs == "" {
		return nil, nil
	}
	err = list.Open(ctx, parts.Part{
		Name: "the object store",
		Data: true,
		Open: func(context.Context) (err error) {
			if cfg.OpenBlobs == nil {
				return errors.New("--blobs is not supported by this program: use vespo-cluster")
			}
			if objects, err = cfg.OpenBlobs(cluster.ObjectsOptions{URL: cfg.Blobs, MaxBytes: int64(cfg.MaxModule)}); err != nil {
				return fmt.Errorf("--blobs: %w", err)
			}
			return nil
		},
		Close: func(context.Context) error { return objects.Close() },
	})
	return objects, err
}

// openPeers opens the listener for the other hosts. It is open before services start, as they may
// need modules of the others.
func (c *core) openPeers(ctx context.Context, list *parts.List, cfg *Config, log *slog.Logger) error {
	surface := newSurface("the listener for other hosts", c.node.Handler(), drainTimeout, log)
	surface.server.Protocols = new(http.Protocols)
	surface.server.Protocols.SetHTTP1(true)
	surface.server.MaxHeaderBytes += forward.NoteBytes
	connections := cfg.connections("--peer-listen", log)
	connections.TLS, connections.PerPeer = c.node.TLS(), 0
	if err := surface.open(ctx, list, cfg.PeerListen, connections, false); err != nil {
		return fmt.Errorf("%s: %w", surface.name, err)
	}
	if cfg.PeerAddress == "" {
		c.node.SetAddress(bound(cfg.PeerListen, surface.listener.Addr()))
	}
	return nil
}

// openExchange announces this host to the others, with the kind of its compiled code if it exchanges that. It fetches
// modules of others before services need them.
func (c *core) openExchange(ctx context.Context, list *parts.List) error {
	if c.node == nil {
		return nil
	}
	if err := c.node.AttachEngine(c.kind.Engine()); err != nil {
		return err
	}
	err := list.Open(ctx, parts.Part{
		Name:  "the announcement of this host",
		Data:  true,
		Run:   func(ctx context.Context) error { c.node.Announce(ctx); return nil },
		Close: func(context.Context) error { c.node.Close(); return nil },
	})
	if err != nil {
		return err
	}
	return list.Open(ctx, parts.Part{
		Name: "the modules of other hosts",
		Data: true,
		Run:  func(ctx context.Context) error { c.node.Collect(ctx, c.catalogue); return nil },
	})
}

// bound returns the address of an open listener with the host of its setting.
func bound(setting string, opened net.Addr) string {
	host, port, _ := net.SplitHostPort(setting)
	if _, open, err := net.SplitHostPort(opened.String()); err == nil && port == "0" {
		port = open
	}
	return net.JoinHostPort(host, cmp.Or(port, "0"))
}

// common returns how far this host is with a common catalogue; nil without one.
func (c *core) common() admin.Follower {
	if c.node == nil {
		return nil
	}
	return c.node
}

// followPart serves the changes of other hosts.
func (c *core) followPart() parts.Part {
	follow := func(ctx context.Context) error {
		if c.node != nil {
			c.node.Follow(ctx, c.catalogue, c.deployer)
		}
		return nil
	}
	return parts.Part{
		Name: "the changes of other hosts",
		Data: true,
		Run:  follow,
	}
}

// hostsOfServices returns the hosts among which services choose; nil without a common catalogue.
func (c *core) hostsOfServices(cfg *Config) deploy.Hosts {
	switch {
	case c.node != nil:
		return c.node
	case cfg.anyHost:
		return anyHost{}
	}
	return nil
}

// anyHost serves all services, wherever they are placed, so that they are checked.
type anyHost struct{}

func (anyHost) Holds(string, placement.Placement) bool { return true }

func (anyHost) Fits(placement.Placement) bool { return true }

func (anyHost) PassOn(registry.Service, deploy.Known) deploy.Elsewhere {
	return nil // not called, as it holds all
}

// forwarder returns the forwarder of requests to other hosts; nil if there are none.
func (c *core) forwarder() *forward.Forwarder {
	if c.node == nil {
		return nil
	}
	return c.node.Forwarder()
}

// forwarding returns the function by which deploys make handlers that forward; nil unless requests to cold services are forwarded.
// Other hosts' requests are served by routing.
func (c *core) forwarding(routing *router.Router, cold bool) func(registry.Service, string, router.Handler, services.Loader) router.Handler {
	f := c.forwarder()
	if f == nil {
		return nil
	}
	f.Receiver().ServeBy(routing)
	if !cold {
		return nil
	}
	return f.Handler
}
