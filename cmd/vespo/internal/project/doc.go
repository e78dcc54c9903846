// Package project creates, compiles and watches directories with the sources of a service.
//
// The files of a project determine its toolchain: go.mod or *.go, Cargo.toml, a package.json that
// depends on assemblyscript or componentize-js, *.c, in this order. A file vespo.json that names the toolchain takes
// precedence. TinyGo projects, which look like Go projects, have one. It may also have flags for the compiler,
// the prefix to deploy under and fields of the service. There are no further settings: the server takes any
// module, so a project that needs another command can be built by hand.
//
// A new Go project contains the guest SDK, from sdk.txtar. The SDK
// cannot be embedded from its own directory, which is another Go module.
package project
