package admin

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/canary"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/mirror"
	"github.com/vespo-dev/vespo/services/control/tokens"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/schema"
)

// Deployer carries out the requests; *deploy.Deployer implements it. Errors that are or wrap a
// *problem.Problem are sent to the client.
type Deployer interface {
	Ready() bool
	Progress() (done, total int)
	List() []deploy.Entry
	Inspect(routekey.Key) (deploy.Entry, error)
	Validate(services.Spec) error
	ValidateFields(services.Spec) error
	Check(context.Context, routekey.Key, deploy.How, func(registry.Service) (services.Spec, error)) error
	Interfaces(context.Context, registry.Version) (imports, exports []string, err error)
	Deploy(context.Context, routekey.Key, deploy.How, func(registry.Service) (services.Spec, error)) (deploy.Result, error)
	Split(context.Context, routekey.Key, registry.Split) (deploy.Result, error)
	OpenBlob(context.Context, registry.Digest) (io.ReadSeekCloser, error)
	Remove(context.Context, routekey.Key) error
	Rollback(context.Context, routekey.Key) (deploy.Result, error)
	RollbackTo(context.Context, routekey.Key, registry.Generation) (deploy.Result, error)
	PurgeCache(routekey.Key) (removed int, err error)
	RollbackToNumber(context.Context, routekey.Key, registry.Number) (deploy.Result, error)
}

// Config configures a Handler. A zero field takes its default; none may be negative.
type Config struct {
	Kinds schema.Kinds // of the server, with the fields of the middleware
	Token string       // for an Authority with this one token; default none: only local processes may manage

	// Authority recognises the tokens of callers. Default: one that knows Token alone.
	Authority *tokens.Authority

	// Audit records changes. Default: none. The Deployer needs the same one.
	Audit *Auditor

	MaxModuleBytes int64         // default 64 MiB
	StallTimeout   time.Duration // time without a byte before an upload fails; default 15 s
	MinUploadRate  int64         // bytes per second required of an upload after the first StallTimeout; default 1024
	WriteTimeout   time.Duration // of a response, from its first byte; default 30 s

	FetchTimeout        time.Duration // of a source; default 30 s
	AllowPrivateSources bool          // also fetch from this machine and from private networks

	// Canaries counts the requests of running canaries. Nil means that they are not shown.
	Canaries *canary.Judge

	// Mirrors counts the differences of mirrors. Nil means that they are not shown.
	Mirrors *mirror.Mirrors

	// KeyValue has the server's key-value stores. Nil means that there are none. The caller keeps ownership.
	KeyValue kv.Stores

	// Statistics has the statistics of services. Nil means that none are kept. The caller keeps ownership.
	Statistics Statistics

	// Logs has the logs of services. Nil means that none are kept. The caller keeps ownership.
	Logs Logs

	// Usage has the sums of what services cost. Nil means that none are kept. The caller keeps ownership.
	Usage Usage

	// Hosts returns the hosts of a catalogue that several have. Nil means that there is this one alone.
	Hosts HostsReader

	// DrainHost lets a host of that catalogue be drained, or ends that. Nil means that there is this one alone.
	DrainHost func(ctx context.Context, host string, on bool) error

	// Common is how far this host is behind the store of such a catalogue. Nil means that there is none.
	Common Follower

	// Slots returns the state of the capacity that services share. It is called after Attach alone. Nil means that there
	// is none.
	Slots func() Slots

	// PublicURL returns the scheme and the address of the public listener, "" until it is open. Nil means that clients are
	// not told.
	PublicURL func() string

	// ConsoleURL returns the address of the console, "" if there is none. Nil means that there is none.
	ConsoleURL func() string

	// ReadOnly is the error of all changes, on a server that follows another one. Default: changes are made.
	ReadOnly error

	// Dropped returns the number of log and access records dropped since the start. Nil means that none ever
	// are.
	Dropped func() int64

	// Metrics answers scrapes, one at a time, and bounds how often. Its errors are problems. Nil means that there are
	// no metrics.
	Metrics Metrics

	MaxReads      int // concurrent list, inspect and stats requests; default 16
	MaxChanges    int // concurrent add, remove and rollback requests, each with up to MaxModuleBytes; default 8
	MaxLogReaders int // concurrent requests for logs, which may follow them; default 16
	MaxFollowers  int // concurrent requests for the catalogue, which may wait for a change; default 256
	MaxTransfers  int // concurrent requests for blobs; default 64
	MaxTriggers   int // concurrent trigger requests, each of which waits for a service; default 8
}

// Metrics answers scrapes of /services/metrics.
type Metrics interface {
	Serve(http.ResponseWriter, *http.Request) error
}

func (c Config) withDefaults() Config {
	if c.Authority == nil {
		c.Authority = tokens.New(tokens.Config{AdminToken: c.Token})
	}
	c.MaxModuleBytes = cmp.Or(c.MaxModuleBytes, 64<<20)
	c.StallTimeout = cmp.Or(c.StallTimeout, 15*time.Second)
	c.MinUploadRate = cmp.Or(c.MinUploadRate, 1024)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 30*time.Second)
	c.FetchTimeout = cmp.Or(c.FetchTimeout, 30*time.Second)
	c.MaxReads = cmp.Or(c.MaxReads, 16)
	c.MaxChanges = cmp.Or(c.MaxChanges, 8)
	c.MaxLogReaders = cmp.Or(c.MaxLogReaders, 16)
	c.MaxFollowers = cmp.Or(c.MaxFollowers, 256)
	c.MaxTransfers = cmp.Or(c.MaxTransfers, 64)
	c.MaxTriggers = cmp.Or(c.MaxTriggers, 8)
	return c
}
