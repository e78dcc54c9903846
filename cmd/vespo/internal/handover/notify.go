package handover

import (
	"fmt"
	"net"
	"os"
)

// Notify tells systemd that this process serves, if systemd has started it or its predecessor. In a service of the type
// notify, it is the main process from then on.
func Notify() error {
	path := os.Getenv(envNotify)
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell systemd that the server is ready: %w", err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "MAINPID=%d\nREADY=1\n", os.Getpid()); err != nil {
		return fmt.Errorf("tell systemd that the server is ready: %w", err)
	}
	return nil
}
