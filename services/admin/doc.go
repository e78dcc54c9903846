// Package admin is the management API of the server: services are added, listed, replaced, rolled back and removed by
// HTTP requests below the reserved prefix /services.
//
// # Requests
//
//	POST     /services/add        add a service, or replace the one that has the prefix
//	POST     /services/remove     ?prefix=P[&match=M]
//	POST     /services/rollback   ?prefix=P[&match=M][&generation=N]
//	GET|HEAD /services            all services, by prefix; the same as /services/list
//	GET|HEAD /services/list
//	GET|HEAD /services/inspect    ?prefix=P[&match=M], with the versions before the current one
//	GET|HEAD /services/health     200 while the server answers; needs no right
//	GET|HEAD /services/ready      200 once all services are prepared or have failed, else 503; needs no right
//
// A prefix is "/" or one or more path segments; "hello", "/hello" and "/hello/" are the same. A match is a header and how its value begins, as
// in "Host: api.example.com": services with different matches, or with and without one, can have one prefix. What a request says beyond what is
// described here is refused, not ignored, and an answer with status 400 names everything that was wrong. Where an
// answer has a status in the 400s, nothing was changed.
//
// # Adding a service
//
// The module comes in one of three forms, told apart by the Content-Type:
//
//   - application/wasm or application/octet-stream: the body is the module, all else is in the query.
//   - multipart/form-data: module and all else are fields of the form, in any order.
//   - application/json: an object; the server fetches the module from source, an http or https address. Redirects, time and size
//     are bounded, and addresses that are not public are refused, unless Config.AllowPrivateSources grants the local ones.
//
// In the words of curl:
//
//	curl -H 'Content-Type: application/wasm' --data-binary @hello.wasm 'http://127.0.0.1:8080/services/add?prefix=hello'
//	curl -F prefix=hello -F module=@hello.wasm http://127.0.0.1:8080/services/add
//	curl --json '{"prefix": "hello", "source": "https://example.com/hello.wasm"}' http://127.0.0.1:8080/services/add
//
// Beside the prefix each form takes these options, under the same names:
//
//	match      a header and how its value begins, which requests must have to come here: "Host: api.example.com"
//	memory     linear memory of one request: "16MiB", "64 KiB", or a number of bytes
//	timeout    of one request, a Go duration: "500ms", "10s", "1m30s"
//	isolation  "snapshot": requests start from the state after initialisation, restored in place;
//	           "fresh": each request gets an instance of its own
//	allow      what the service may call: an origin like "https://api.example.com", another service like
//	           "http://NAME.vespo.internal", or a block of addresses that are not public; given once for each
//	config     a setting or secret of the service, NAME=VALUE; given once for each
//	mount      a directory that the service can read, PATH=DIRECTORY: PATH is what the service sees, DIRECTORY is below
//	           the server's root for mounts; given once for each
//
// Instead of a module, a prefix can be bound to something else, which fields of their own describe: upstream, static, function or
// queue. The options of these are in docs/management-api.md.
//
// In JSON, allow is an array of strings, and config and mount are objects of strings. Queries end up in logs, here and on the way: give
// secrets in a form or in JSON.
//
// A new service has the server's default for an option that is not given. A replacement has the current version's, unless unset names the
// option (given once for each) or reset is true; where the kind changes, timeout, use and use_config are kept. The answer is 201 with a Location for a new prefix and 200 for a
// replaced service, when the change is durable and every later request sees it. An upload may take as long as bytes
// flow; one that stalls for Config.StallTimeout, or stays below Config.MinUploadRate, is answered 408.
//
// # Answers
//
// add, rollback and inspect answer with a service, list with {"services": [...]}, sorted by prefix, and {"starting": {"done": N, "total": N}} beside while the server starts. Sizes are in bytes, times as of
// RFC 3339 in UTC. New members may be added; those below stay:
//
//	prefix        string  canonical: "/", "/hello", "/a/b"
//	match         string  canonical: "Host: api.example.com"; absent if there is none
//	digest        string  of the version: kind, module, middleware and options; "sha256:" and 64 hexadecimal digits
//	module_digest string  of the module, or of the document that describes what is no module
//	generation    number  of the change that made this version current; grows with every change of the catalogue
//	kind          string  what the prefix is bound to: "wasm"
//	origin        string  "file" if the server's configuration file has declared it; else absent
//	abi           string  how the guest is spoken to; empty while that is not known
//	memory        number  linear memory of one request; 0 while that is not known
//	timeout       string  of one request, as a Go duration; absent: the server's default
//	isolation     string  "snapshot" or "fresh"
//	fresh_reason  string  why isolation is "fresh" though it was not asked for; else absent
//	warnings      array   sentences for the owner of the service; absent if there are none
//	allow         array   what the service may call; absent if nothing
//	config        array   names of the service's settings, without their values; absent if there are none
//	mount         object  directories that the service can read; absent if there are none
//	size          number  of the module
//	snapshot      number  of the guest's memory after its initialisation
//	state         string  "starting" (requests wait), "ready", "idle" (no instances), "evicted" (no compiled code), "failed" (answers 503)
//	problem       string  why state is "failed"; else absent
//	warm          number  instances ready to serve
//	in_flight     number  requests being served
//	queue         object  depth, waiting and leased: requests that may wait for workers, that do, and that a worker has taken;
//	                      absent for what is no queue
//	retiring      object  versions, requests and snapshot (bytes) of earlier versions that still have requests; absent if there are none
//	changes       array   answers to add and rollback for a service that there was: texts such as "timeout: 10s -> 500ms"
//	kept          array   the same: options that were not given and are not the default, such as "use: sha256:9f86d081884c"
//	deployed      string  time of the change that made this version current
//	last_used     string  time of the end of the last request; absent if there was none
//	history       array   inspect only: earlier versions, newest first, with digest, module_digest, generation, kind, memory, timeout,
//	                      isolation (the latter three if they were asked for), size and deployed; absent if there are none
//
// remove answers {"prefix": "/hello", "state": "removed"}, health {"state": "ok"} with
// "dropped_records" if records of the logs were dropped, ready {"state": "ready"}.
//
// Whatever fails is answered with application/problem+json (RFC 9457): type, title, status, detail, violations (an array, if there
// are any) and request_id. The last segment of type is stable:
//
//	400 bad-request             malformed, unknown, missing or contradictory fields; see violations
//	401 unauthorized            a token is set, and the request does not carry it
//	403 forbidden               not from this machine, or from a page, while no token is set; from a page of another origin; or a source
//	                            that leads to an address which is not public
//	404 not-found               no such service, or no such path
//	405 method-not-allowed      see the header Allow
//	408 request-timeout         the upload stalled
//	409 conflict                nothing to roll back to; a second default queue; the listener for workers cannot be opened; or the
//	                            configuration file has declared the service
//	413 body-too-large          the module, sent or fetched, is too large
//	415 unsupported-media-type  see detail for what is taken
//	422 module-invalid          not a module, or one that this server cannot serve
//	502 source-unavailable      the source answered something else than a module, or none in time
//	503 no-capacity, not-ready  come again after Retry-After
//
// # Who may manage
//
// With Config.Token, whoever sends it as Authorization: Bearer TOKEN, over any listener. Without, processes of this machine:
// the listener must be on a loopback address (marked by [WithListener]; one that is not marked counts as public), the peer too, the
// Host header must name this machine without the help of a resolver, and no header may tell of a proxy. What X-Forwarded-For
// and its kin claim is never believed. Requests that a browser sends for a page of another origin are refused in both cases. Without a token,
// so are those of any page, reading included: a page that a service has answered has the origin of management.
//
// # Concurrency
//
// A Handler has no locks; all but its Deployer, which is attached once, is immutable. At most Config.MaxReads and
// Config.MaxChanges requests are under way; more are answered 503 at once, as waiting is the Deployer's
// business. The handler starts no goroutine.
package admin
