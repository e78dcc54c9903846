package schema

import "slices"

// Names of the fields that are common to several kinds.
const (
	FieldTimeout     = "timeout"
	FieldUse         = "use"
	FieldUseConfig   = "use_config"
	FieldModule      = "module"
	FieldCron        = "cron"
	FieldCronGrace   = "cron_grace"
	FieldOn          = "on"
	FieldReplicas    = "replicas"
	FieldRate        = "rate"
	FieldBurst       = "burst"
	FieldRateBy      = "rate_by"
	FieldConcurrency = "concurrency"
	FieldCache       = "cache"
)

// Timeout describes the time limit of a request. help says what it limits, absent what applies without it.
func Timeout(help, absent string) Field {
	return Field{
		Name:    FieldTimeout,
		Type:    Duration,
		Form:    "DURATION",
		Help:    help,
		Absent:  absent,
		Example: "500ms, 10s or 1m30s",
		Common:  true,
	}
}

// Middleware describes the middleware in front of a service, which every kind has.
func Middleware() []Field {
	return []Field{
		{
			Name:   FieldUse,
			Type:   Blobs,
			Form:   "FILE|URL",
			Commas: true,
			Help:   "Run this http-wasm module, or component for wasi:http/middleware, in front of the service: it sees requests first, and answers them or passes them on. The outermost is given first.",
			Common: true,
		},
		{
			Name:   FieldUseConfig,
			Type:   Config,
			Form:   "NAME=VALUE",
			Help:   "Set a setting or secret that the middleware can ask for. Modules that read a text get one in place of settings.",
			Secret: true,
			Common: true,
		},
	}
}

// Schedules describes the schedules of a service, which every kind can have. Package schedule reads their values.
func Schedules() []Field {
	return []Field{
		{
			Name:    FieldCron,
			Type:    Texts,
			Form:    "'CRON [METHOD PATH]'",
			Help:    "Send a request to the service at the times of this cron expression, which are in UTC unless CRON_TZ=ZONE is in front of it. Without a request, it is POST /, and a function gets an event.",
			Example: "'*/5 * * * * POST /tick'",
			Common:  true,
		},
		{
			Name:    FieldCronGrace,
			Type:    Duration,
			Form:    "DURATION",
			Help:    "Make up for the latest time that a schedule has missed, such as while the server was stopped, if that was at most this long ago.",
			Absent:  "`1h`",
			Example: "10m or 24h",
			Common:  true,
		},
	}
}

// Rate describes the limit of the rate of requests, which every kind can have. Package rate reads the values.
func Rate() []Field {
	return []Field{
		{
			Name:    FieldRate,
			Type:    Text,
			Form:    "N/s|N/m|N/h|N/d",
			Help:    "Answer requests of clients beyond this rate, in requests per second, minute, hour or day, with 429.",
			Example: "100/s or 30/m",
			Common:  true,
		},
		{
			Name:   FieldBurst,
			Type:   Count,
			Form:   "N",
			Help:   "Let this many requests of the rate come at once.",
			Absent: "the N of the rate",
			Common: true,
		},
		{
			Name:   FieldRateBy,
			Type:   Text,
			Form:   "address|service|header:NAME",
			Help:   "Count the rate for each client by its address (IPv6 by /64), once for the whole service, or for each value of a header field, and by address where a request lacks it.",
			Absent: "`address`",
			Common: true,
		},
	}
}

// Concurrency describes the limit of requests that a service serves at a time, which every kind can have.
func Concurrency() []Field {
	return []Field{
		{
			Name:   FieldConcurrency,
			Type:   Count,
			Form:   "N",
			Help:   "Serve at most this many requests at a time on one host. More wait in the queue of the service, as for a slot.",
			Absent: "the server's --per-service for guests",
			Common: true,
		},
	}
}

// Cache describes the cache of a service's answers, which every kind can have. Package router/cache applies it.
func Cache() []Field {
	return []Field{
		{
			Name:   FieldCache,
			Type:   Bool,
			Help:   "Keep answers in memory that say so (Cache-Control with s-maxage or max-age, or Expires), and answer later requests from them by the rules of RFC 9111.",
			Common: true,
		},
	}
}

// Placement describes the hosts of a common catalogue that serve a service. Package placement reads the values.
func Placement() []Field {
	return []Field{
		{
			Name:    FieldOn,
			Type:    Texts,
			Form:    "LABEL",
			Commas:  true,
			Help:    "Serve on the hosts with this label alone, if several share the catalogue; of several labels, hosts need all. The other hosts forward requests.",
			Absent:  "all hosts",
			Example: "zone=a or gpu",
		},
		{
			Name:    FieldReplicas,
			Type:    Count,
			Form:    "N",
			Help:    "Number of hosts that serve the service, of those that can, if several share the catalogue. The other hosts forward requests.",
			Absent:  "all of them",
			Example: "2",
		},
	}
}

// Shared returns the fields that every kind has without describing them.
func Shared() []Field {
	return slices.Concat(Middleware(), Schedules(), Rate(), Concurrency(), Cache())
}
