// Package journal keeps the recent log of each service in bounded files: the output of guests, the records of requests and
// the events of the host. It serves history and followers.
//
// # Entries
//
// An [Entry] is one line of JSON. Its number N grows over all services and starts of the server, so that a reader can go
// on after the last one it has. Entries with the same RequestID belong to one request.
//
// # Serving comes first
//
// The listeners of [Journal.Of] and the handler of [Journal.Handler] put an entry into the inbox of its service and return: they
// wait neither for the disk nor for another service. [Journal.Run] takes the inboxes every [DrainInterval], numbers and writes
// the entries, and hands them to the followers. An inbox holds at most maxInboxItems entries. What does not fit, and what
// cannot be written, is lost; an entry of the host says how many entries were. Of the requests of a service,
// [RequestsPerSecond] are kept, and as many failed ones. The number of the others is kept; they
// take no lock.
//
// # Files
//
// Each service has a directory, and a directory has segments: files of whole lines that are only appended to, named by the
// number of their first entry. The oldest segment of a service goes when the service exceeds its size, and that of the
// service with the most when all together exceed theirs. After a crash, the last line of a segment can be torn, and after
// a power loss its end can have any content. Readers skip lines that are no entries, and a start of the server begins new
// segments. Nothing is fsynced: a log is not worth that.
//
// The log of a service goes with the service: [Journal.Forget], or within [RetainInterval] after a start.
//
// # Locks
//
// Journal.draining is held while entries are taken from inboxes and written; it comes first. Journal.mu guards the
// segments, the numbers and the set of followers, and is held during writes. Locks of inboxes and followers come last, and
// are held briefly: requests wait for that of one inbox alone.
package journal
