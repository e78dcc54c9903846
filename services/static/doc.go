// Package static is the kind of service that answers with the files of a directory. What is deployed is a [Document]: the directory, below
// the server's root, and what answers for pages that are not there.
//
// The directory is open, as an os.Root: whatever a path or a link says, the system follows it nowhere else. A directory that replaces it is opened
// in its place; a request sees one of both. What a path means is
// decided before (resolve), and refuses what a file system takes for something else than a URL does. Files are opened without waiting,
// looked at through their descriptor, and sent by http.ServeContent: conditions and ranges are those of RFC 9110, sections 13 and 14.
//
// A deployment starts no goroutine and is immutable, but for its directory. Open are the directory, and one file for each request.
package static
