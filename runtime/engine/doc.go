// Package engine compiles modules and runs their instances. It is the only owner of a wazero.Runtime.
//
// An Engine has one slab of equally sized slots. Compile rewrites and compiles a module. Modules that differ in data
// alone share their compiled code.
// Prepare runs the guest's initialisation once and captures the snapshot. Instantiate binds
// a new instance in that state to a free slot. Call runs one exported function and returns
// its Outcome. Reset restores the instance to the snapshot in place.
//
// An Instance must be used by one goroutine at a time. Everything else is safe for concurrent use.
//
// Host functions are Go functions that get the Instance and wazero's parameter stack. They find the state
// of the current request in Instance.Exchange and Instance.System, which the ABI sets before the call.
package engine
