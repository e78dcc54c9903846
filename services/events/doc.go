// Package events defines the store of accepted events: asynchronous invocations that wait for their turn or their next
// attempt. The store is in the data directory of a host, or in an engine that several hosts share.
//
// An event is run by the holder of its lease. When a lease ends without a result, the event is leased again, with another
// lease id, and the earlier one counts no more. So an event runs at least once, and ends once.
package events
