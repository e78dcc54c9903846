// Package static is the kind of service that answers with the files of a directory.
package static
