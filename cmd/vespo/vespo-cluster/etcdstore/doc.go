// Package etcdstore keeps a catalogue in etcd, for several hosts. Each service is a key, below PREFIX/catalogue/:
//
//	generation           the head: number and checksum of the catalogue; every commit replaces it
//	service/<route key>  a service with its versions
//	record/<name>        a record
//	staged/<id>/<n>      changes of a commit that is too large for one transaction
//	staged/<id>          marks such a commit as being written; it has a lease
//	aside/<revision>/... values that no commit has written, as they were when one replaced them; never deleted
//
// Besides, below PREFIX/, are hosts/, drained/, ticks/ (times of schedules), places/, and condemned/<digest>/<lease>: a blob that a host is
// about to delete from the object store.
//
// Values of the catalogue are JSON with a format, a version and a checksum; those of 32 KiB or more are compressed.
//
// # Commit
//
// A commit is one transaction, which replaces the head if it is at the revision of the base, together with the keys of the
// services that differ. Of several hosts with the same base one succeeds, and the others get registry.ErrStale.
//
// A commit of more than 100 keys or 1 MiB is staged: the changes are written to keys that no state includes, in several
// transactions. The one that replaces the head then makes it refer to them, and thereby makes all of them part of the
// catalogue. They are moved to their keys after that. If the host dies before it has moved them, readers find them where
// they are, and the next commit of any host moves them first. Chunks of a host that died before the commit are deleted when
// its lease has ended.
//
// A transaction without an answer may have been made, or may be made later. The store then writes the head again as it was
// before. If that succeeds, the transaction can never succeed any more; if not, the head has the ids of the last commits.
//
// # Watch
//
// The image of the keys is kept up to date by a watch that begins after the revision of the first read, so it misses
// nothing. A state is made only from an image whose entries have the sum that the head has. If the sum differs, or the
// watch is lost, or its revision was compacted, the whole catalogue is read again. Keys that change without a commit are
// reported, not served.
//
// # Concurrency
//
// Lock order: commitMu before mu. No request to etcd is made with mu held. The watch is one goroutine, from Load until Close.
package etcdstore
