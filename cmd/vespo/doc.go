// Vespo is a webserver for microservices compiled to WebAssembly. "vespo serve" is the server; the other commands talk to a
// running one.
//
// # Output
//
// serve writes to standard error: first a line with the memory ceiling, then one line "listening on http://ADDR" when every
// service of the catalogue is served, between and after them its log. Access records, if they are asked for, go to standard
// output, and nothing else does. dev does the same, with what it builds between. The other commands write what they were asked for
// to standard output and errors to standard error, and so build writes there the commands that it runs and all they say.
//
// # Exit codes
//
//	0  done; for serve: stopped by a signal after every request had ended
//	1  failed; for serve also: requests had to be cut off at the end of the drain
//	2  wrong usage: an unknown command or flag, or a value that cannot be
//
// # Signals
//
// The first SIGINT or SIGTERM lets the server drain: no new connections, requests in flight end, bounded by 30 s. A second one
// ends the process at once, as if no handler was there. SIGHUP makes a server that has a configuration file read it again. Nothing that was acknowledged is lost by that, or by SIGKILL.
//
// # Environment
//
// VESPO_SERVER and VESPO_ADMIN_TOKEN stand in for --server, --token and --admin-token, VESPO_LAMBDA_KEYS for --lambda-key. As for FlexiLib, PORT is the port to listen on
// and SERVER_THREAD_COUNT the number of requests that are served at a time, where --listen and --slots are not given. The compilers
// that build and dev run get the whole environment. Nothing else is read, but for what
// the Go runtime reads: GOMEMLIMIT, GOGC and GOMAXPROCS are the operator's. The server sets no soft memory limit, because
// the linear memories, which are most of what it holds, are not on the Go heap and would not count.
package main
