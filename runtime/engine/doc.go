// Package engine compiles modules and runs their instances; it is the only owner of a wazero.Runtime.
//
// An Engine holds one slab of equally large slots. Compile rewrites and compiles a module; Prepare runs the guest's
// initialisation once and captures the snapshot; Instantiate binds a new instance in that state to a free slot; Call
// runs one exported function and says how it ended; Reset brings the instance back to the snapshot in place.
//
// An Instance is used by one goroutine at a time. Everything else here is safe for concurrent use.
//
// Host functions are plain Go functions that get the Instance and wazero's parameter stack. They find what belongs to
// the current request in Instance.Exchange and Instance.System, which the ABI sets before the call.
package engine
