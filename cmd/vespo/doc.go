// Vespo is a webserver for microservices compiled to WebAssembly. "vespo serve" is the server. Most other
// commands talk to a running one; "new", "build", "dev", "check", "import" and "migrate" work on files.
//
// # Output
//
// serve writes to standard error: first a line with the configuration file, if there is one, and a line with the memory
// ceiling, then, when every service of the
// catalogue is served, one line "listening on http://ADDR". Its log goes between and after them. Standard
// output gets the access records, if they are enabled, and nothing else. dev does the same, with the output of
// builds in between. The other commands write their result to standard output and errors to standard error;
// build also writes the commands that it runs, and their output, to standard error. On a terminal, failures are
// red, JSON is indented, and lists are cut to its width; elsewhere output has no colours and is whole.
//
// # Exit codes
//
//	0  done; for serve: stopped by a signal after every request had ended
//	1  failed; for serve also: requests had to be cut off at the end of the drain
//	2  wrong usage: an unknown command or flag, or an invalid value
//
// As process 1, or as another process that adopts orphans, serve runs the server in a child process and returns
// its exit code: 128 plus the number of the signal if a signal ended it.
//
// # Signals
//
// The first SIGINT or SIGTERM drains the server: it accepts no new connections and waits up to 30 s for requests
// in flight. A second one ends the process at once, by the system's default action. SIGHUP makes a server with a
// configuration file reload it. No acknowledged change is lost by any of these, or by SIGKILL.
//
// # Environment
//
// VESPO_SERVER stands in for --server, VESPO_AUTHOR for --author, VESPO_TOKEN for --token, VESPO_ADMIN_TOKEN for --admin-token and, without VESPO_TOKEN, for --token, VESPO_WORKER_TOKEN for
// --worker-token, VESPO_ADMIN_LISTEN for --admin-listen, VESPO_STORE for --store, VESPO_PEER_LISTEN for --peer-listen, VESPO_BLOBS for --blobs, VESPO_PEER_ADDRESS for --peer-address, VESPO_KV for --kv, VESPO_QUEUES for --queues, VESPO_LIMITS for --limits, VESPO_CACHE_STORE for --cache-store, and VESPO_LAMBDA_KEYS for --lambda-key.
// VESPO_STORE_PASSWORD is the password of the user of --store, VESPO_KV_PASSWORD that of --kv, VESPO_QUEUES_PASSWORD that of --queues, VESPO_LIMITS_PASSWORD that of --limits, and VESPO_CACHE_STORE_PASSWORD that of --cache-store. As in FlexiLib, PORT is the port to listen on unless
// --listen is given, and SERVER_THREAD_COUNT the number of requests served at a time unless --slots is given.
// The variables OTEL_* of OpenTelemetry configure traces; see docs/tracing.md.
// NO_COLOR switches colours off. Commands that talk to a server use the proxy of HTTP_PROXY, HTTPS_PROXY and NO_PROXY. The compilers that build
// and dev run get the whole environment. The Go runtime reads GOMEMLIMIT, GOGC and GOMAXPROCS, which are the
// operator's. The server sets no soft memory limit, because linear memories, most of what it holds, are not on the
// Go heap and would not count.
package main
