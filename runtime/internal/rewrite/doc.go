// Package rewrite reads WebAssembly binaries and adds the
// code that the host needs to stop, limit and reset a guest.
//
// [Decode] reads a module, once: the result describes it, and returns an equivalent module with these changes:
//
//   - fuel checks and a limit on call depth
//   - short loops of their own where Go's compiler jumps through a table
//   - bulk memory instructions in chunks
//   - function references from globals
//   - a flag for refused memory growth
//   - exports of mutable globals and of the start function
//   - globals for context.get and context.set of WASI 0.3
//   - memory limits that leave the maximum to the host's allocator
//   - without its data, if the host applies it: modules that differ in data alone become the same module
//
// All functions are pure: they do not use wazero, and the output depends
// only on the input. RATIONALE.md has the reasons and the measurements.
//
// # Host requirements
//
// The rewritten module imports Options.YieldModule.YieldName, a function (kind i32) -> i64:
//
//   - [YieldFuel]: the fuel global fell below zero. The result becomes the new value of the fuel global. It
//     must not be negative. One unit of fuel stands for about 32
//     instructions, or fewer in tight loops. Hostile code can vary its duration from 1 to 100 ns, so the host
//     must adapt the refill to the time between two yields, and bound it.
//
// What a guest takes of the fuel global between two refills, added up, is its work. It depends on the execution alone:
// not on the refills, the time or the processor. [WorkUnit] is the version of its unit.
//   - [YieldStackOverflow]: the guest's calls are nested too deeply. The function must not return. If it does,
//     the guest traps with "unreachable".
//
// Before each top-level call the host sets Info.DepthExport to Options.StackBytes. It must not
// set it for calls into the guest that it makes while the guest waits for a host function.
//
// # Trust
//
// The input is hostile. Every count is checked against the remaining bytes. Every index
// in the code is checked against the guest's own definitions, so that a guest cannot
// refer to anything injected. Encodings that two decoders could read differently are
// refused. Types are not checked: the result must go through wazero's validation.
package rewrite
