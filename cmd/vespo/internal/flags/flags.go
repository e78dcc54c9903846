// Package flags holds the flags, and the types and limits of flags, that several commands share.
package flags

// MaxModuleBytes is the most that the limit on the size of a module can be.
const MaxModuleBytes = 1 << 30
