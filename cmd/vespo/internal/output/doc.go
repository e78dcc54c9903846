// Package output writes the server's lines to standard output and standard error without blocking requests.
//
// A Writer keeps lines in a bounded buffer. One goroutine, from Open to Close, writes them to the file.
// When the file takes no data, because no process reads the pipe, the reader is gone or the disk is full,
// lines beyond the bound are dropped and counted. The count is reported when the file takes lines again.
//
// # Concurrency
//
// A Writer is safe for concurrent use. Its mutex is not held
// during a write to the file or a call of a function of Config.
package output
