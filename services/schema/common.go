package schema

// Names of the fields that are common to several kinds.
const (
	FieldTimeout   = "timeout"
	FieldUse       = "use"
	FieldUseConfig = "use_config"
	FieldModule    = "module"
	FieldCron      = "cron"
	FieldCronGrace = "cron_grace"
	FieldOn        = "on"
	FieldReplicas  = "replicas"
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

// Shared returns the fields that every kind has without describing them.
func Shared() []Field { return append(Middleware(), Schedules()...) }
