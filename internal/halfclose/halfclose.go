// Package halfclose closes the writing side of a connection while the other side is still read.
package halfclose

import "errors"

// CloseWrite closes the writing side of a connection, such as one of TCP or TLS. It returns
// errors.ErrUnsupported if the connection cannot do that.
func CloseWrite(conn any) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
