// Command bench compares Vespo with other servers and prints tables. From the root of the repository:
//
//	go run ./bench
//
// Each server is a process of its own on a free port of the loopback interface. This process is the
// client of all of them. Servers that are compared take turns of a fraction of a second each, round after
// round, so that other load of the machine affects them equally. The tables show medians over the rounds
// and the spread of their middle half. Processor time is that of the server process, from its kernel
// clock: on a busy machine it is more reliable than requests per second, which depend on the client, too.
//
// The command needs Linux, for the processor time and the memory of other processes. It
// takes about five minutes if compiled code and built guests of an earlier run exist.
// "-tables" selects the measurements, the other flags their length.
//
// The table "price" compares hello on a server with metrics, statistics, sums for charging and logs, and on one that is built
// without them: no flag turns them off, as serving costs next to the same.
//
// The table "http2" compares hello over HTTP/2 without TLS with net/http, one stream on each connection. Both servers let clients begin
// with HTTP/2, and have net/http's defaults otherwise; Vespo bounds streams and unread bodies more tightly, which these requests do not reach.
//
// The table "start" has first requests at once after an eviction, and some seconds later, when the server has returned memory to the
// system. Its guest in C is built with clang, lld, wasi-libc and the runtime of clang for wasm32; without them it is absent.
//
// The table "density" has a hundred services of Go and a thousand small ones. The full scale of its goals is "-services 1000": ten
// minutes, and 4 GB of disk space.
//
// The table "components" builds the components of "vespo new" and measures them beside jco's server, Node.js and workerd. It
// wants npm, and the compilers of those components; the report names missing ones with the reason.
//
// The table "deploy" changes a line of a project under "vespo dev" and takes the time until the new answer, by parts.
//
// With "-report docs/benchmarks.md" the command measures the workloads of package work on Vespo, net/http, fasthttp, nginx, Node.js,
// workerd and others, and writes that page with its charts. A server that is missing, fails or hangs is absent from its table, with the
// reason; the page is written after each section, so an interrupted run leaves its results. The prose is in internal/report/page.md.tmpl.
//
// Goals are printed next to the measured values. A missed goal is not a failure: the exit
// code is 0 unless an error occurred.
package main
