// Package admin implements the server's management API. HTTP requests below the reserved prefix /services
// add, list, replace, roll back and remove services.
//
// # Requests
//
//	POST     /services/add        add a service, or replace the one at the prefix
//	POST     /services/remove     ?prefix=P[&match=M]
//	POST     /services/rollback   ?prefix=P[&match=M][&generation=N]
//	POST     /services/trigger    ?prefix=P[&match=M][&schedule=S]: run a schedule of the service now
//	GET|HEAD /services            all services, by prefix; the same as /services/list
//	GET|HEAD /services/list
//	GET|HEAD /services/inspect    ?prefix=P[&match=M], with earlier versions
//	GET|HEAD /services/stats      [?prefix=P[&match=M]][&series=true]: statistics of one service or all: see
//	                              docs/management-api.md
//	GET|HEAD /services/logs       [?prefix=P[&match=M]] with the fields id, level, since, failed, limit and follow: log
//	                              entries as server-sent events: see docs/logs.md
//	GET|HEAD /services/usage      [?prefix=P[&match=M]][&since=T][&until=T][&by=hour|day|month][&versions=true]
//	                              [&format=csv]: sums of what services cost: see docs/usage.md
//	GET|HEAD /services/kv         key-value stores; also /services/kv/list, get and export, and POST of import and delete:
//	                              see docs/management-api.md
//	GET|HEAD /services/blob       ?digest=D: the bytes of a module or another blob of a version, whole or a Range of them
//	GET|HEAD /services/hosts      the hosts of a catalogue that several have: version, generation, lag, services not served
//	POST     /services/cache/purge ?prefix=P[&match=M]: remove the kept answers of the service; without --cache-store, on this host alone
//	POST     /services/hosts/drain   ?host=H: the host is not ready, and takes no work that one host alone does; undrain ends that
//	GET|HEAD /services/whoami     who sends the request, and the scopes it has
//	GET|HEAD /services/health     200 while the server answers; requires no right
//	GET|HEAD /services/ready      200 once all services are prepared or have failed, else 503; requires no right
//
// A prefix is "/" or one or more path segments; "hello", "/hello" and "/hello/" are equivalent. A match is a
// header and the beginning of its value, such as "Host: api.example.com". Services with different matches, or
// with and without one, can share a prefix. Fields that are not described here are refused, not ignored. An
// answer with status 400 lists all violations. After an answer with status 4xx, nothing has changed.
//
// # Adding a service
//
// There are three forms of request, selected by the Content-Type:
//
//   - application/wasm or application/octet-stream: the body is the module, and the query has all other
//     fields.
//   - multipart/form-data: the module and all other fields are form fields, in any order.
//   - application/json: an object. The server fetches the module from source, an http or https address,
//     within bounds of redirects, time and size. Non-public addresses are refused;
//     Config.AllowPrivateSources permits local ones.
//
// With curl:
//
//	curl -H 'Content-Type: application/wasm' --data-binary @hello.wasm 'http://127.0.0.1:8080/services/add?prefix=hello'
//	curl -F prefix=hello -F module=@hello.wasm http://127.0.0.1:8080/services/add
//	curl --json '{"prefix": "hello", "source": "https://example.com/hello.wasm"}' http://127.0.0.1:8080/services/add
//
// In addition to the prefix, every form takes these options, under the same names:
//
//	match      a header and the beginning of its value, required of requests: "Host: api.example.com"
//	memory     linear memory of one request: "16MiB", "64 KiB", or a number of bytes
//	timeout    of one request, a Go duration: "500ms", "10s", "1m30s"
//	isolation  "snapshot": requests start from the state after initialisation, restored in place;
//	           "fresh": each request gets its own instance
//	cgi_args   "true": a CGI command gets the words of a query without "=" as arguments
//	allow      a permitted destination of calls: an origin such as "https://api.example.com", another service such as
//	           "http://NAME.vespo.internal", or a block of non-public addresses; repeatable
//	config     a setting or secret of the service, NAME=VALUE; repeatable
//	mount      a directory that the service can read, PATH=DIRECTORY: PATH is its path in the guest, DIRECTORY is below
//	           the server's root for mounts; repeatable
//	use        a middleware module in front of the service, as an address or a form file; repeatable, outermost first
//	use_config a setting or secret of the middleware, NAME=VALUE; repeatable
//	cron       a schedule, such as "*/5 * * * * POST /tick": see package schedule; repeatable
//	rate       the rate of requests that clients may send, such as 100/s or 30/m
//	burst      the number of requests of the rate that may come at once
//	rate_by    "address", "service" or "header:NAME": what the rate is counted by
//	concurrency the number of requests that are served at a time
//	cache      true to keep answers in memory: see package router/cache
//	cron_grace how long ago a missed time may be to be made up for, a Go duration
//
// Instead of a module, a prefix can be bound by one of the fields upstream, static, function, exec or queue,
// which have options of their own: see docs/management-api.md.
//
// In JSON, allow, use and cron are arrays of strings, and config, mount and use_config are objects of strings. config and
// use_config can also be a text of any bytes for modules that read their own format: in a form a file, in JSON a string,
// or {"=base64": "..."} for bytes that are not UTF-8.
// Queries end up in logs, here and on the way: send secrets in a form or in JSON.
//
// For a new service, options that are not given take the server's defaults. A replacement keeps the current
// version's value, unless unset names the option (repeatable) or reset is true. If the kind changes, only
// timeout, use and use_config are kept. The answer is 201 with a Location for a new service and 200 for a
// replaced one. It is sent when the change is durable and every later request sees it. An upload may take as
// long as bytes arrive. One that stalls for Config.StallTimeout, or stays below Config.MinUploadRate, is
// answered 408.
//
// Every form also takes a note about the version: message, one line of at most 500 bytes, and author, of at most
// 100. Both are shown beside the version, and a replacement does not keep them.
//
// # Answers
//
// add, rollback and inspect answer with a service. list answers with {"services": [...]}, sorted by prefix,
// and while the server starts also with {"starting": {"done": N, "total": N}}. Sizes are in bytes, times in
// RFC 3339 format in UTC. New members may be added; these are stable:
//
//	prefix        string  canonical: "/", "/hello", "/a/b"
//	match         string  canonical: "Host: api.example.com"; absent if there is none
//	digest        string  of the version: kind, module, middleware and options; "sha256:" and 64 hexadecimal digits
//	module_digest string  of the module or, without one, of the manifest
//	generation    number  of the change that made this version current; grows with every change of the catalogue
//	kind          string  such as "wasm", "proxy" or "static"
//	origin        string  "file" if the server's configuration file declares the service; else absent
//	abi           string  the guest's ABI; empty while unknown
//	exports       array   interfaces that a component exports, with their versions; absent for other modules and while unknown
//	imports       array   interfaces that a component imports; likewise
//	target        string  destination of requests, as text, if it is not a module; else absent
//	memory        number  linear memory of one request; 0 while unknown
//	timeout       string  of one request, as a Go duration; absent: the server's default
//	isolation     string  "snapshot" or "fresh"
//	fresh_reason  string  why isolation is "fresh" although it was not requested; else absent
//	warnings      array   sentences for the service's owner; absent if there are none
//	allow         array   permitted destinations of calls; absent if there are none
//	config        array   names of the service's settings, without their values; absent if there are none, or for a text
//	mount         object  directories that the service can read; absent if there are none
//	use           array   digests of the middleware; absent if there is none
//	use_config    array   names of the middleware's settings; absent if there are none, or for a text
//	options       object  all fields of the version that are not the default, by name. Of secret objects it has the names, of
//	                      a text its size ("101 bytes"), of other secrets the number of values
//	size          number  of the module
//	snapshot      number  of the guest's memory after initialisation
//	state         string  "starting" (requests wait), "ready", "idle" (no instances), "evicted" (no compiled code),
//	                      "missing" (the directory it serves is gone, answers 503), "failed" (answers 503),
//	                      "elsewhere" (other hosts serve it, and target names them)
//	problem       string  why state is "failed"; else absent
//	warm          number  instances ready to serve
//	in_flight     number  requests being served
//	requests      number  requests of this version that have ended, since it was deployed or the server was started
//	errors        number  of these, those that were answered with a status of 500 or above, or broken off by the server
//	queue         object  depth (capacity for waiting requests), waiting, leased (taken by a worker and not answered) and
//	                      damaged (stored requests set aside as unreadable; absent if 0); absent without a queue
//	schedules     array   its schedules with their runs: see below; absent if there are none
//	retiring      object  versions, requests and snapshot (bytes) of earlier versions that still have requests; absent if
//	                      there are none
//	changes       array   answers to add and rollback of an existing service: texts such as "timeout: 10s -> 500ms"
//	kept          array   in the same answers: options that were not given and are not the default, such as
//	                      "use: sha256:9f86d081884c"
//	deployed      string  time of the change that made this version current
//	message       string  what the client that deployed the version said about it; absent if nothing
//	author        string  who deployed the version, as its client said; absent if it did not
//	rolled_back_to  number  answers to rollback: the generation that the version had before
//	last_used     string  end of the last request; absent if there was none
//	history       array   inspect only: earlier versions, newest first, with digest, module_digest, generation, kind, size
//	                      and deployed, and with message and author if given, and with memory, timeout, isolation and use if requested; absent if there are none
//
// A schedule is an object:
//
//	schedule      string  as it was given, with single spaces
//	next          string  the next time; absent if there is none within decades
//	state         string  "idle", "running", or "waiting" for its turn to run
//	runs          number  since the schedule was added, like those below
//	failed        number  of these, those with a status of 400 or above or without a complete answer
//	skipped       number  times that came during a run
//	missed        number  times that passed without a run, such as while the server was stopped
//	last          object  the latest run, also while it goes on; absent before the first: time (that it is for), started,
//	                      ended, duration, trigger ("schedule", "late" or "manual"), outcome ("running", "ok", "failed" or
//	                      "interrupted"), status, detail (why it failed) and request_id
//
// trigger answers prefix, match and schedule, the members of last, and what the service has answered: header (an object of
// arrays), body (text of at most 64 KiB, or body_base64 if it is not UTF-8) and truncated (true if it was longer).
//
// remove answers {"prefix": "/hello", "state": "removed"}. health answers {"state": "ok"}, with
// "dropped_records" if log records were dropped. ready answers {"state": "ready"}.
//
// Failures are answered with application/problem+json (RFC 9457), or with a page if the client prefers HTML: type, title, status, detail, violations (an
// array, if there are any) and request_id. The last segment of type is stable:
//
//	400 bad-request             malformed, unknown, missing or contradictory fields; see violations
//	401 unauthorized            a token is needed, and the request carries none, or one that is not in use
//	403 forbidden               the token's scopes do not suffice; not from this machine, or from a page, while no token is set; from a page of another
//	                            origin; or a source that leads to a non-public address
//	404 not-found               no such service, or no such path
//	405 method-not-allowed      see the header Allow
//	408 request-timeout         the upload stalled
//	409 conflict                nothing to roll back to; a schedule that runs already; a second default queue; the listener for workers cannot be
//	                            opened; or the configuration file declares the service
//	413 body-too-large          the module, sent or fetched, is too large
//	415 unsupported-media-type  see detail for the accepted types
//	429 too-many-requests       the client has sent too many wrong tokens
//	422 module-invalid          not a module, or one that this server cannot serve
//	502 source-unavailable      the source answered with something other than a module, or not in time
//	503 no-capacity, not-ready  try again after Retry-After
//	504 deadline                a key-value store did not end a write in time
//	507 insufficient-storage    a key-value store has no room, or the disk of the data directory is full
//
// # Access
//
// Every client that sends a token of Config.Authority as Authorization: Bearer TOKEN may manage, over any listener, within
// the scopes of the token. Without an admin token, a request without a token is accepted too, with the scope admin: only processes of this machine may: the listener must be on a loopback address (recorded
// by [WithListener]; without that it counts as public), the peer must be local too, the Host header must name
// this machine without the help of a resolver, and no header may indicate a proxy. The addresses in
// X-Forwarded-For and similar headers are never trusted. In both cases, requests that a browser sends for a
// page of another origin are refused. Without a token, requests of any page are refused, including reads:
// pages answered by a service have the same origin as management. The exception are listeners of
// [WithAdminListener], which serve management alone: there, pages of the listener's own origin count as programs
// of this machine. These listeners also have the console at /services/ui/ and profiles at /debug/pprof/.
//
// What each path needs of its caller is in one table: see needs. A caller without a token, and that of Config.Token, has
// the scope admin.
//
// # Concurrency
//
// A Handler has no locks. Everything in it is immutable except its Deployer, which is attached once, and the
// flag set by Leave. At most Config.MaxReads and Config.MaxChanges requests are in progress; further ones are
// answered 503 at once, because only the Deployer waits. The handler starts no goroutine.
package admin
