// Package wasip3 implements the system interfaces of WASI 0.3 for components: clocks, random numbers, the environment,
// the standard streams and the files of mounts, which are read-only. There are no terminals.
//
// Source of the interfaces: the repositories of WebAssembly/WASI, wit-0.3.0.
package wasip3
