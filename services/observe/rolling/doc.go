// Package rolling keeps statistics of the last hour for each service and version in memory: requests, failures, outcomes,
// latencies, guest time, bytes and memory, over several windows and as a series of points.
//
// # Cost
//
// [Rolling.Listen] adds to a few atomic counters of the request's version: it takes no lock, allocates nothing, and
// services share nothing but an immutable map. The counters only grow. Every [Interval], [Rolling.Roll] stores what they
// have gained since: that is a slice of time. Slices of an Interval are kept for [Points] of them, and those of a minute
// for an hour. Windows and series are computed from slices when they are read.
//
// A version without requests has no slices. Slices keep latencies in sparse form, so a version that is busy all the time holds some 40 KiB;
// 160 KiB is the most that it can hold. At most [MaxVersions] of a service are kept.
//
// Latencies are counted in buckets whose bounds grow by an eighth or less. Quantiles are interpolated within a bucket, so
// they differ from the true ones by at most an eighth.
//
// # Services
//
// Services come with their first request that a route has served, and go by [Rolling.Forget], or at the next Roll if the
// catalogue does not have them. No text of a client is kept.
//
// # Locks
//
// Rolling.mu guards the set of services and their slices. It is held by Roll, by reads and for the first request of a
// version.
package rolling
