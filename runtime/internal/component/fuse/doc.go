// Package fuse merges core modules that are linked to each other into one module with the same behaviour.
//
// Dynamic libraries share a memory, a table and globals: a main module defines them, the others import them, and fill
// their parts when they are instantiated. [Fuse] takes the modules in the order of their instantiation, and the source of each
// import. In the result, an import with a source in another module is a reference to it. Everything else
// is concatenated and numbered again. Constant expressions are evaluated, because a constant may only
// read imported globals.
//
// # Instantiation
//
// The fused module applies all active segments in the order of the modules, and then calls their start functions
// in the same order. Separate modules would apply segments of a later module after the start function of an earlier one. So a module
// with active segments after one with a start function is refused. Linkers put all start functions into the last module.
//
// # Refused
//
// Several memories, shared and 64-bit memories, imports whose type does not fit their source, tags, exceptions,
// threads, garbage collected types, and globals, tables and memories of the host.
//
// The input is hostile: each count and each index is checked. Types of instructions are not: the result must be validated.
package fuse
