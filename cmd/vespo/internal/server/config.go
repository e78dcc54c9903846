package server

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/handover"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/logs"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// Limits of a Config.
const (
	pageBytes    = 64 << 10          // a WebAssembly page
	maxMemory    = 4<<30 - pageBytes // 4 GiB less one page: a slot's memory is resized by growing it by one page
	maxSlots     = 1 << 16
	maxSlabBytes = 16 << 40 // easily reserved in a 47-bit address space

	minHeaderMemory = 1 << 20
	minCacheMemory  = 1 << 20
	maxCacheMemory  = 64 << 30
	minLogSize      = 64 << 10

	minCompileMemory = 64 << 20 // the compiler process itself needs some 20 MiB
	minCodeMemory    = 1 << 20
	maxTimeout       = time.Hour
	maxKVSize        = 64 << 30 // a store is one file, which is mapped and read once at the start
	maxRetireAfter   = 30 * 24 * time.Hour
)

// Default listening address.
const (
	defaultHost = "127.0.0.1"
	defaultPort = "8080"
)

// Vars returns the variables that the struct tags of Config refer to.
func Vars() kong.Vars {
	return kong.Vars{
		"listen":     net.JoinHostPort(defaultHost, cmp.Or(os.Getenv("PORT"), defaultPort)),
		"access_log": "auto",
	}
}

// evictAfterIdles is the number of --idle periods after
// which an unused service releases its compiled code too.
const evictAfterIdles = 6

// Config is the configuration of a server. The struct tags define the flags and their defaults.
type Config struct {
	Listen              string        `placeholder:"HOST:PORT" default:"${listen}" help:"Address to listen on; port 0 takes a free one (${default}, or the port of $$PORT instead)."`
	AdminListen         string        `placeholder:"HOST:PORT" env:"VESPO_ADMIN_LISTEN" help:"Address of the console, which also serves the management API, metrics and profiles; off for none (a loopback address, at the port 1000 above that of --listen)."`
	Data                string        `placeholder:"DIR" type:"path" help:"Directory that keeps the services (vespo-data; with --demo a temporary one)."`
	Memory              flags.Size    `placeholder:"SIZE" default:"16MiB" help:"Linear memory of one request, and the upper limit of a service's own (${default})."`
	Slots               int           `placeholder:"N" default:"64" env:"SERVER_THREAD_COUNT" help:"Requests that are served at a time; slots x memory is reserved at start (${default})."`
	Timeout             time.Duration `placeholder:"DURATION" default:"10s" help:"Time limit of a request to a service without a limit of its own (${default})."`
	MaxBody             flags.Size    `placeholder:"SIZE" default:"10MiB" help:"Largest request body (${default})."`
	MaxModule           flags.Size    `placeholder:"SIZE" default:"64MiB" help:"Largest module that can be added (${default})."`
	CompileMemory       flags.Size    `placeholder:"SIZE" default:"1GiB" help:"Memory for compiling one module (${default})."`
	CompileTime         time.Duration `placeholder:"DURATION" default:"1m" help:"Processor time for compiling one module (${default})."`
	CodeCache           flags.Size    `placeholder:"SIZE" default:"1GiB" help:"Disk space for compiled code and snapshots (${default})."`
	CodeMemory          flags.Size    `placeholder:"SIZE" default:"0" help:"Memory for compiled code and snapshots. Beyond it, services that were not used for longest release theirs; 0 is a quarter of the machine's memory."`
	KVSize              flags.Size    `placeholder:"SIZE" default:"256MiB" help:"Size of one key-value store (${default})."`
	KVTotal             flags.Size    `placeholder:"SIZE" default:"1GiB" help:"Size of all key-value stores (${default})."`
	PerService          int           `placeholder:"N" default:"0" help:"Slots that one service may hold at a time; 0 is three quarters of all, so that no service can take the last."`
	Queue               int           `placeholder:"N" default:"256" help:"Requests that may wait for a slot, for each service (${default})."`
	QueueWait           time.Duration `placeholder:"DURATION" default:"1s" help:"Longest wait for a slot (${default})."`
	Root                string        `placeholder:"DIR" type:"path" help:"Directory whose subdirectories services can mount and serve as static files; without it, there are neither."`
	Idle                time.Duration `placeholder:"DURATION" default:"5m" help:"Time after which an unused service releases its slots, and after 6 times that its compiled code; 0 is never (${default})."`
	RetireAfter         time.Duration `placeholder:"DURATION" default:"1h" help:"Time for which a replaced or removed version serves its open requests; then they are stopped (${default})."`
	HeaderMemory        flags.Size    `placeholder:"SIZE" default:"128MiB" help:"Most that open requests may hold, headers above all (${default})."`
	CacheMemory         flags.Size    `placeholder:"SIZE" default:"64MiB" help:"Memory for answers of services with --cache; one answer has at most a sixteenth of it, and 0 keeps none (${default})."`
	MaxConnections      int           `placeholder:"N" default:"4096" help:"Open connections. When all are taken, a new one closes the connection that was idle longest, or waits (${default})."`
	PerClient           percent       `placeholder:"PERCENT" default:"50%" help:"Share of the slots, places in queues and connections that one client may hold (${default})."`
	Tunnels             int           `placeholder:"N" default:"0" help:"WebSockets and other connections to upstreams that have switched protocols; 0 is a quarter of --max-connections."`
	TunnelIdle          time.Duration `placeholder:"DURATION" default:"5m" help:"Time after which one of them is closed on which nothing was sent (${default})."`
	KeepAlive           time.Duration `placeholder:"DURATION" default:"2m" help:"Time after which an idle connection is closed. It must exceed the idle time of a load balancer in front (${default})."`
	FastLane            string        `enum:"on,off" placeholder:"on|off" default:"on" help:"Serve common requests of HTTP/1.1 on --listen by a server of their own, which takes less processor time than Go's net/http; off leaves all requests to that (${default})."`
	TrustedProxy        []string      `placeholder:"CIDR" sep:"," help:"Accept the client address, scheme, host and request id from proxies at these addresses (X-Forwarded-For, -Proto, -Host, Forwarded, X-Request-Id): a network such as 10.0.0.0/8, an address, or private_ranges. May be repeated."`
	ProxyProtocol       bool          `help:"Expect every connection of a --trusted-proxy to begin with a header of the PROXY protocol, version 1 or 2."`
	ShutdownDelay       time.Duration `placeholder:"DURATION" default:"0s" help:"Time between SIGTERM and the drain. The server reports that it is not ready, and serves everything (${default})."`
	AdminToken          string        `placeholder:"TOKEN" env:"VESPO_ADMIN_TOKEN" help:"Token that management requests must carry; without one, only this machine manages, over a loopback address."`
	WorkerListen        string        `placeholder:"HOST:PORT" default:"127.0.0.1:4242" help:"Address where the workers of queues fetch requests, open while there is a queue; port 0 takes a free one (${default})."`
	WorkerToken         string        `placeholder:"TOKEN" env:"VESPO_WORKER_TOKEN" help:"Token that workers must send; without one, only this machine's can fetch requests, over a loopback address."`
	AllowPrivateSources bool          `help:"Fetch modules from private and loopback addresses too."`
	AllowExec           bool          `help:"Let deployers name programs that the server starts as workers of functions (vespo add --exec). They can then do everything the server can."`
	LambdaListen        string        `placeholder:"HOST:PORT" help:"Address on which AWS SDKs can invoke services as Lambda functions; without it, there is no such API."`
	LambdaKey           []string      `placeholder:"ID:SECRET" sep:"," env:"VESPO_LAMBDA_KEYS" help:"Access key with which requests to --lambda-listen must be signed; may be repeated. Without one, only this machine invokes."`
	LambdaManage        bool          `help:"Let clients of --lambda-listen also add, change and remove functions."`
	AccessLog           string        `enum:"auto,off,short,common,text,json" aliases:"log-format" placeholder:"auto|off|short|common|text|json" default:"${access_log}" help:"Form of the access records on standard output; also --log-format. By auto, a log for eyes has a short line for each request, and others have none (${default})."`
	Log                 logs.Form     `enum:"auto,eyes,text,json" placeholder:"auto|eyes|text|json" default:"auto" help:"Form of the log on standard error. By auto, it is for eyes on a terminal, and text elsewhere (${default})."`
	LogRate             flags.Size    `placeholder:"SIZE" default:"256KiB" help:"Bytes a second that the output of one service may add to the log in the long run; 0 is no limit (${default})."`
	LogLevel            slog.Level    `placeholder:"debug|info|warn|error" default:"info" help:"Least level of the log on standard error, guests' output included (${default})."`
	LogSize             flags.Size    `placeholder:"SIZE" default:"16MiB" help:"Disk space for the kept log of one service, which \"vespo logs\" shows; 0 keeps none (${default})."`
	LogTotal            flags.Size    `placeholder:"SIZE" default:"256MiB" help:"Disk space for the kept logs of all services (${default})."`
	Demo                bool          `help:"Add the bundled services hello, echo and oom, and show how to call them."`
	TLSSettings
	StoreSettings
	FollowSettings
	KVSettings
	QueueSettings
	LimitSettings
	CacheSettings
	FileRules  bool   `kong:"-"` // there is a configuration file, which alone may change its services
	NoExec     bool   `kong:"-"` // no configuration file may ask for programs, as the user has named none
	Interpret  bool   `kong:"-"` // run new code in an interpreter until it is compiled
	SharedCode string `kong:"-"` // directory for compiled code that other servers use too; empty: one in the data directory

	sockets *handover.Sockets `kong:"-"` // inherited and open ones; nil: there are none to inherit
	anyHost bool              `kong:"-"` // stands for each host of a store, which may be named elsewhere: serves what others serve, too
	now     func() time.Time  `kong:"-"` // the clock of schedules, for tests; nil: the machine's

	environment func(string) (string, bool) `kong:"-"` // looks up the variables of traces, for tests; nil: those of the process
}

// Validate returns an error with all violations, one per line. It is called by kong.
func (c *Config) Validate() error {
	var violations problem.Violations
	check := func(ok bool, setting, format string, args ...any) {
		if !ok {
			violations.Add(setting, format, args...)
		}
	}
	check(validAddress(c.Listen), "listen", "is %q: write it like 127.0.0.1:8080, or :8080 for every address of this machine; "+
		"where it is not given, its port is that of PORT in the environment", c.Listen)
	check(c.Memory >= pageBytes && c.Memory <= maxMemory && c.Memory%pageBytes == 0,
		"memory", "is %s: it must be a multiple of 64KiB, the page of WebAssembly, and less than 4GiB", c.Memory)
	check(c.Slots >= 1 && c.Slots <= maxSlots, "slots", "is %d: it must be between 1 and %d", c.Slots, maxSlots)
	if c.Slots >= 1 && c.Slots <= maxSlots && c.Memory > 0 && c.Memory <= maxMemory {
		check(c.slabBytes() <= maxSlabBytes, "slots", "x --memory is %s: it must be at most %s", flags.Size(c.slabBytes()), flags.Size(maxSlabBytes))
	}
	check(c.Timeout > 0 && c.Timeout <= maxTimeout, "timeout", "is %s: it must be more than nothing and at most %s", c.Timeout, maxTimeout)
	check(c.MaxBody > 0, "max-body", "is %s: it must be more than nothing", c.MaxBody)
	check(c.MaxModule > 0 && c.MaxModule <= flags.MaxModuleBytes,
		"max-module", "is %s: it must be more than nothing and at most %s", c.MaxModule, flags.Size(flags.MaxModuleBytes))
	check(c.CompileMemory >= minCompileMemory, "compile-memory", "is %s: it must be at least %s", c.CompileMemory, flags.Size(minCompileMemory))
	check(c.CompileTime >= time.Second && c.CompileTime <= maxTimeout,
		"compile-time", "is %s: it must be between 1s and %s", c.CompileTime, maxTimeout)
	check(c.CodeCache > 0, "code-cache", "is %s: it must be more than nothing", c.CodeCache)
	check(c.CodeMemory == 0 || c.CodeMemory >= minCodeMemory, "code-memory", "is %s: it must be 0, for a quarter of the machine's memory, or at least %s", c.CodeMemory, flags.Size(minCodeMemory))
	check(c.KVSize > 0 && c.KVSize <= maxKVSize, "kv-size", "is %s: it must be more than nothing and at most %s", c.KVSize, flags.Size(maxKVSize))
	check(c.KVTotal > 0, "kv-total", "is %s: it must be more than nothing", c.KVTotal)
	check(c.PerService == 0 || c.PerService > 0 && c.PerService <= c.Slots, "per-service", "is %d: it must be 0, for three quarters of the slots, or at most --slots", c.PerService)
	check(c.Queue >= 0, "queue", "is %d: it must be 0 or more", c.Queue)
	check(c.QueueWait >= 0 && c.QueueWait <= maxTimeout, "queue-wait", "is %s: it must be between 0 and %s", c.QueueWait, maxTimeout)
	check(c.LogRate >= 0 && c.LogRate <= flags.MaxModuleBytes, "log-rate", "is %s: it must be 0, for no limit, or at most %s", c.LogRate, flags.Size(flags.MaxModuleBytes))
	check(c.LogSize == 0 || c.LogSize >= minLogSize, "log-size", "is %s: it must be 0, to keep no logs, or at least %s", c.LogSize, flags.Size(minLogSize))
	check(c.LogTotal >= c.LogSize, "log-total", "is %s: it must be at least --log-size", c.LogTotal)
	check(c.Idle >= 0, "idle", "is %s: it must be 0, for never, or more", c.Idle)
	check(c.RetireAfter > 0 && c.RetireAfter <= maxRetireAfter, "retire-after", "is %s: it must be more than 0 and at most %s", c.RetireAfter, maxRetireAfter)
	check(c.HeaderMemory >= minHeaderMemory, "header-memory", "is %s: it must be at least %s", c.HeaderMemory, flags.Size(minHeaderMemory))
	check(c.CacheMemory == 0 || c.CacheMemory >= minCacheMemory && c.CacheMemory <= maxCacheMemory,
		"cache-memory", "is %s: it must be 0, to keep no answers, or from %s to %s", c.CacheMemory, flags.Size(minCacheMemory), flags.Size(maxCacheMemory))
	check(c.MaxConnections >= 1, "max-connections", "is %d: it must be 1 or more", c.MaxConnections)
	check(c.PerClient >= 1 && c.PerClient <= 100, "per-client", "is %s: it must be between 1%% and 100%%", c.PerClient)
	check(c.ShutdownDelay >= 0 && c.ShutdownDelay <= maxTimeout, "shutdown-delay", "is %s: it must be between 0 and %s", c.ShutdownDelay, maxTimeout)
	check(c.Tunnels >= 0 && c.Tunnels <= c.MaxConnections, "tunnels", "is %d: it must be 0, for a quarter of --max-connections, or at most that", c.Tunnels)
	check(c.TunnelIdle > 0, "tunnel-idle", "is %s: it must be more than 0", c.TunnelIdle)
	check(c.KeepAlive >= time.Second && c.KeepAlive <= maxTimeout, "keep-alive", "is %s: it must be between 1s and %s", c.KeepAlive, maxTimeout)
	_, err := forwarded.ParseTrust(c.TrustedProxy)
	check(err == nil, "trusted-proxy", "is refused: %v", err)
	check(!c.ProxyProtocol || len(c.TrustedProxy) > 0, "proxy-protocol", "needs --trusted-proxy: name the proxies whose headers are read")
	host, _, err := net.SplitHostPort(c.WorkerListen)
	check(err == nil, "worker-listen", "is %q: write it like 127.0.0.1:4242, or :4242 for every address of this machine", c.WorkerListen)
	addr, parseErr := netip.ParseAddr(host)
	public := err == nil && (host == "" || parseErr == nil && !addr.Unmap().IsLoopback())
	check(!public || c.WorkerToken != "" || c.WorkerClientCA != "", "worker-listen", "is %q, which other machines reach: set --worker-token", c.WorkerListen)
	for _, token := range [...]struct{ flag, value string }{{"admin-token", c.AdminToken}, {"worker-token", c.WorkerToken}, {"follow-token", c.FollowToken}} {
		check(!strings.ContainsFunc(token.value, func(r rune) bool { return r <= ' ' || r >= 0x7f }),
			token.flag, "has a space or a character that no header can carry: use printable ASCII")
	}
	if weak := c.weak(); weak != "" {
		violations.Add("admin-token", "%s", weak)
	}
	violations = append(violations, append(c.checkAddresses(), c.checkAdmin()...)...)
	violations = append(violations, c.checkLambda()...)
	violations = append(violations, c.StoreSettings.check()...)
	violations = append(violations, c.FollowSettings.check(c.Demo, c.Store != "")...)
	violations = append(violations, c.KVSettings.check()...)
	violations = append(violations, c.QueueSettings.check()...)
	violations = append(violations, append(c.LimitSettings.check(), c.CacheSettings.check(int64(c.CacheMemory))...)...)
	if violations = append(violations, c.TLSSettings.check()...); len(violations) > 0 {
		return settingsError(violations)
	}
	return nil
}

// settingsError lists the violations of settings. A field is the name of a flag, without its hyphens.
type settingsError []problem.Violation

// Error returns one line for each violation.
func (e settingsError) Error() string {
	texts := make([]string, 0, len(e))
	for _, v := range e {
		texts = append(texts, v.About("--"+v.Field))
	}
	return strings.Join(texts, "\n  ")
}

// validAddress reports whether address is syntactically HOST:PORT, with a valid port.
func validAddress(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	return err == nil
}

// slabBytes returns the size of all linear memories together.
func (c *Config) slabBytes() int64 { return int64(c.Slots) * int64(c.Memory) }

// compileTime returns CompileTime, or more with the race detector. Short limits, which tests set to see them act, stay.
func (c *Config) compileTime() time.Duration {
	if c.CompileTime < time.Minute {
		return c.CompileTime
	}
	return slowdown * c.CompileTime
}

// codeMemory returns the memory for compiled code and snapshots.
func (c *Config) codeMemory() int64 {
	if c.CodeMemory > 0 {
		return int64(c.CodeMemory)
	}
	if machine := machineBytes(); machine > 0 {
		return max(minCodeMemory, machine/4)
	}
	return 1 << 30
}

// perService returns the number of slots that one service may hold.
func (c *Config) perService() int {
	if c.PerService > 0 {
		return c.PerService
	}
	return max(1, c.Slots*3/4)
}

// String returns the configuration as flags, one per line, without empty ones. Tokens are replaced by "set" or "none".
func (c *Config) String() string {
	var b strings.Builder
	for _, f := range [...]struct {
		flag  string
		value any
	}{
		{"listen", c.Listen},
		{"admin-listen", c.AdminListen},
		{"data", c.Data},
		{"memory", c.Memory},
		{"slots", c.Slots},
		{"timeout", c.Timeout},
		{"max-body", c.MaxBody},
		{"max-module", c.MaxModule},
		{"compile-memory", c.CompileMemory},
		{"compile-time", c.CompileTime},
		{"code-cache", c.CodeCache},
		{"code-memory", c.CodeMemory},
		{"kv-size", c.KVSize},
		{"kv-total", c.KVTotal},
		{"per-service", c.PerService},
		{"queue", c.Queue},
		{"queue-wait", c.QueueWait},
		{"root", c.Root},
		{"idle", c.Idle},
		{"retire-after", c.RetireAfter},
		{"header-memory", c.HeaderMemory},
		{"cache-memory", c.CacheMemory},
		{"max-connections", c.MaxConnections},
		{"per-client", c.PerClient},
		{"tunnels", c.Tunnels},
		{"tunnel-idle", c.TunnelIdle},
		{"keep-alive", c.KeepAlive},
		{"fast-lane", c.FastLane},
		{"trusted-proxy", strings.Join(c.TrustedProxy, ",")},
		{"proxy-protocol", c.ProxyProtocol},
		{"shutdown-delay", c.ShutdownDelay},
		{"admin-token", isSet(c.AdminToken)},
		{"worker-listen", c.WorkerListen},
		{"worker-token", isSet(c.WorkerToken)},
		{"allow-private-sources", c.AllowPrivateSources},
		{"allow-exec", c.AllowExec},
		{"lambda-listen", c.LambdaListen},
		{"lambda-manage", c.LambdaManage},
		{"access-log", c.AccessLog},
		{"log", c.Log},
		{"log-rate", c.LogRate},
		{"log-level", strings.ToLower(c.LogLevel.String())},
		{"log-size", c.LogSize},
		{"log-total", c.LogTotal},
		{"demo", c.Demo},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, "--%s=%v\n", f.flag, f.value)
		}
	}
	return b.String() + c.TLSSettings.strings() + c.StoreSettings.strings() + c.FollowSettings.strings() + c.KVSettings.strings() + c.QueueSettings.strings() + c.LimitSettings.strings() + c.CacheSettings.strings()
}

// isSet returns a placeholder for a secret.
func isSet(secret string) string {
	if secret == "" {
		return "none"
	}
	return "set"
}
