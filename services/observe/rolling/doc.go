// Package rolling keeps statistics of the last hour for each service and version in memory: requests, failures, outcomes,
// latencies, guest time, bytes and memory, over several windows and as a series of points.
//
// # Cost
//
// Requests cost nothing here: package tally counts them. Every [Interval], [Rolling.Roll] stores what the counters have gained
// since: that is a slice of time. Slices of an Interval are kept for [Points] of them, and those of a minute for an hour. Windows
// and series are computed from slices when they are read.
//
// A version without requests has no slices. Slices keep latencies in sparse form, so a version that is busy all the time holds some 40 KiB;
// 160 KiB is the most that it can hold. Those of at most [MaxVersions] of a service are kept.
//
// Latencies are counted in buckets whose bounds grow by 9 %. Quantiles are interpolated within a bucket, so they differ from
// the true ones by at most that.
//
// # Services
//
// Services come with their first request, and go when the catalogue does not have them.
//
// # Locks
//
// Rolling.mu guards all of it, and comes before the lock of the tally. Requests take neither.
package rolling
