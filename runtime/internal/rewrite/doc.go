// Package rewrite reads WebAssembly binaries and injects what the host needs to stop, bound and reset a guest.
//
// [Inspect] reads a module and says what it is; [Rewrite] gives an equivalent module with fuel checks, a bound on call
// depth, chunked bulk memory instructions, references from globals, a flag for refused memory growth, exports for mutable globals and the start
// function, and limits that leave memory to the host's allocator. Both are pure: bytes in, bytes out, no wazero, the same
// output for the same input. RATIONALE.md beside this file has the reasons and the figures.
//
// # What the host has to do
//
// The rewritten module imports Options.YieldModule.YieldName, a function (kind i32) -> i64:
//
//   - [YieldFuel]: the fuel global fell below zero. The result becomes the new value of the fuel global; it must be
//     [MinRefill] at least, or the guest asks again and again. One unit of fuel stands for about 32 instructions, and in
//     tight loops for fewer; hostile code can make it 1 to 100 ns, so a host adapts the refill to the time between two yields
//     and bounds it.
//   - [YieldStackOverflow]: the guest's calls are nested too deeply. The function must not return (the guest traps with
//     "unreachable" if it does).
//
// Before each top-level call the host sets Info.DepthExport to Options.StackBytes. It leaves it alone for calls that it
// makes into the guest while the guest waits for a host function.
//
// # Trust
//
// The input is hostile. Every count is checked against the bytes that remain, every index in the code against the number
// of things the module itself defined, so that nothing injected can be named by the guest, and encodings that two readers
// could understand differently are refused. Types are not checked: the result must go through wazero's validation.
package rewrite
