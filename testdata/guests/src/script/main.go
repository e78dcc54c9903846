// Command script executes the lines of the request's body, so that a test can produce any response:
//
//	status 204            set the status
//	set NAME VALUE        set a response header; add NAME VALUE and remove NAME likewise
//	trailer NAME VALUE    set a response trailer
//	write TEXT            write TEXT and a newline to the body
//	fill N                write N bytes to the body
//	sleep 10ms            sleep
//	print TEXT            print a line to standard output; err TEXT to standard error; log TEXT by http-wasm's log
//	exit N                exit
//	panic TEXT            panic
//	next                  pass the request on when the script has ended
//	time                  write the wall clock in milliseconds
//	random                write 16 bytes from crypto/rand in hexadecimal
//	env                   write the environment and the arguments
//	open PATH             write the error of opening a file
package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

//go:wasmimport http_handler enable_features
func enableFeatures(features uint32) uint32

//go:wasmimport http_handler set_header_value
func setHeaderValue(kind uint32, name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32)

//go:wasmimport http_handler add_header_value
func addHeaderValue(kind uint32, name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32)

//go:wasmimport http_handler remove_header
func removeHeader(kind uint32, name unsafe.Pointer, nameLen uint32)

//go:wasmimport http_handler set_status_code
func setStatusCode(code uint32)

//go:wasmimport http_handler read_body
func readBody(kind uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler write_body
func writeBody(kind uint32, buf unsafe.Pointer, n uint32)

//go:wasmimport http_handler log
func hostLog(level int32, message unsafe.Pointer, n uint32)

const (
	response = 1
	trailers = 3

	featureTrailers = 4
)

func ptr(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }

func write(s string) { writeBody(response, ptr(s), uint32(len(s))) }

func field(f func(uint32, unsafe.Pointer, uint32, unsafe.Pointer, uint32), kind uint32, arg string) {
	name, value, _ := strings.Cut(arg, " ")
	f(kind, ptr(name), uint32(len(name)), ptr(value), uint32(len(value)))
}

func body() string {
	var all []byte
	buf := make([]byte, 4096)
	for {
		r := readBody(0, unsafe.Pointer(&buf[0]), uint32(len(buf)))
		all = append(all, buf[:uint32(r)]...)
		if r>>32 != 0 {
			return string(all)
		}
	}
}

func step(verb, arg string) (next bool) {
	number, _ := strconv.Atoi(arg)
	switch verb {
	case "status":
		setStatusCode(uint32(number))
	case "set":
		field(setHeaderValue, response, arg)
	case "add":
		field(addHeaderValue, response, arg)
	case "remove":
		removeHeader(response, ptr(arg), uint32(len(arg)))
	case "trailer":
		enableFeatures(featureTrailers)
		field(setHeaderValue, trailers, arg)
	case "write":
		write(arg + "\n")
	case "fill":
		write(strings.Repeat("f", number))
	case "sleep":
		d, _ := time.ParseDuration(arg)
		time.Sleep(d)
	case "print":
		fmt.Println(arg)
	case "err":
		fmt.Fprintln(os.Stderr, arg)
	case "log":
		hostLog(1, ptr(arg), uint32(len(arg)))
	case "exit":
		os.Exit(number)
	case "panic":
		panic(arg)
	case "next":
		return true
	case "time":
		write(strconv.FormatInt(time.Now().UnixMilli(), 10) + "\n")
	case "random":
		var b [16]byte
		rand.Read(b[:])
		write(hex.EncodeToString(b[:]) + "\n")
	case "env":
		write(fmt.Sprintf("%q %q\n", os.Environ(), os.Args))
	case "open":
		_, err := os.Open(arg)
		write(fmt.Sprint(err) + "\n")
	}
	return false
}

//go:wasmexport handle_request
func handleRequest() uint64 {
	next := uint64(0)
	for _, line := range strings.Split(body(), "\n") {
		verb, arg, _ := strings.Cut(line, " ")
		if step(verb, arg) {
			next = 1
		}
	}
	return next
}

//go:wasmexport handle_response
func handleResponse(uint32, uint32) {}

func main() {}
