// Package component reads WebAssembly components and returns the core module in them, the guest, for the rewriter.
//
// A component wires core modules to imported and exported interfaces. In what the usual tools make, one core module has the
// program, and small ones only connect it: a shim of trampolines, a fixup that fills the shim's table, and
// the adapter of WASI preview 1. A program of several modules (dynamic libraries) is fused into one, by package fuse.
//
// [Decode] evaluates the component as a host would, but without running code. It follows each export to the guest's
// function, and each import of the guest to the function that it is lowered from. Names and
// numbers of the tools mean nothing here: code and tables of the small modules are read. Then Decode writes the guest
// again, with these names. V is the version, 0.2 for 0.2.N and 0.3 for 0.3.N with its release candidates.
//
//	import  wasi:http/types@V  [method]fields.get        canon lower of the interface's function
//	import  wasi:http/types@V  [async-lower]...          the same, lowered with the option async
//	import  wasi:http/types@V  [resource-drop]fields     canon resource.drop of the interface's resource
//	import  wasi_snapshot_preview1  fd_write             a function of the adapter: the host has it
//	import  vespo:canon  [async]stream.read<u8>          a built-in, with the structure of the type that it is for
//	import  $root  name                                  canon lower of a function that the component imports by itself
//	export  wasi:http/incoming-handler@V#handle          the core function of canon lift
//	export  [async-lift]wasi:http/handler@V#handle       the same, lifted with the option async
//	export  [callback][async-lift]...                    its callback
//	export  cabi_post_wasi:http/incoming-handler@V#handle  its post-return
//	export  cabi_realloc                                 the allocator in the canonical options
//	export  _initialize                                  what a small module calls after the instantiation, or the export of this name;
//	                                                     a fused program has a start function instead
//	export  memory                                       the linear memory
//
// Other exports are dropped. All canonical options must name the guest's memory and one allocator of the guest, with
// strings in UTF-8. Decode refuses what it does not recognise, with the reason and what to do.
//
// The built-ins of WASI 0.3 are decoded in canon.go and named in builtin.go. Those of threads are refused.
//
// # Limits
//
// Definitions are evaluated once for each use of the type or component around them. Their number, size and nesting
// are limited, so that a component costs no more than a core module of its size. So are the names that the guest gets:
// many imports or exports can share a long one.
package component
