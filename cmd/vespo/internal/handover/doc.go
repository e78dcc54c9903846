// Package handover passes the listening sockets of a server to its successor: another process of the same program, or of
// a newer version of it. The kernel keeps the sockets and the connections that wait on them as long as either process
// has them, so clients notice nothing.
//
//	predecessor                     successor
//	Start        ─── process ────▶  Inherit: has the sockets
//	Await        ◀── "prepared" ──  Prepared: has read its flags
//	  stops accepting, releases
//	  the data directory
//	Proceed      ─── "go" ───────▶  Prepared returns
//	                                  opens the data directory, accepts
//	Await        ◀── "ready" ─────  Ready
//	  drains, and ends
//
// The same sockets can come from systemd (LISTEN_FDS), and systemd is told of a ready server and of the successor's
// process (NOTIFY_SOCKET).
//
// # Concurrency
//
// Sockets.mu is the only lock, and is a leaf.
package handover
