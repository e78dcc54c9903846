// Package project makes, compiles and watches directories with the sources of a service.
//
// What compiles a project follows from its files: go.mod or *.go, Cargo.toml, a package.json that asks for assemblyscript,
// *.c, in this order. A file vespo.json that names the toolchain comes before all of them; TinyGo's projects, which look like Go's, have one.
// There are no other settings: whoever needs another command runs it, as the server takes any module.
//
// A new Go project holds the guest SDK, which travels in sdk.txtar: it cannot be embedded where it lies, in a module of its own.
package project
