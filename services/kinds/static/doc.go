// Package static implements the service kind that serves the files of a directory. A
// [Document] names the directory, below the server's root, and the fallback for missing pages.
//
// The directory is held open as an os.Root, so no path or link leads out of it. If the
// directory is replaced, the new one is opened instead; each request sees only one of them.
// resolve validates a path first, and refuses segments that mean something else to a file
// system than to a URL. Files are opened without blocking, checked through their descriptor,
// and sent by http.ServeContent with the conditions and ranges of RFC 9110, sections 13 and 14.
//
// A deployment starts no goroutine, and is immutable except for its directory. It
// holds open the directory and one file per request.
package static
