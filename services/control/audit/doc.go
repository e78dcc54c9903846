// Package audit keeps the log of changes, with their authors, sources and results.
//
// A change has two entries. The first is written before the change is made, and the change is refused if that fails: no
// change is without a trace, also if the server is killed. The second has the result. It is written before the change is
// acknowledged, but its failure does not undo a change that is made. Serving needs none of this.
//
// Entries are lines of JSON in segments, which are files in one directory. Each is durable when Append returns. The oldest
// segments are removed beyond Config.Bytes. A crash can leave a part of a line, which readers skip.
//
// # Concurrency
//
// All methods of a Log are safe for concurrent use. Its mutex is held during the write of an entry.
package audit
