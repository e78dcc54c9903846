// Command gocmd prints a CGI response: the smallest CGI guest in Go.
package main

import "os"

func main() {
	os.Stdout.WriteString("Content-Type: text/plain\n\nhello from a command\n")
}
