//go:build !wasip1

package abi

import (
	"crypto/rand"
	"os"
	"sync"
)

// Host implements the host's functions outside WebAssembly.
type Host interface {
	EnableFeatures(features uint32) uint32
	Config(buf []byte) uint32
	LogEnabled(level int32) bool
	Log(level int32, message string)
	Method(buf []byte) uint32
	URI(buf []byte) uint32
	ProtocolVersion(buf []byte) uint32
	SourceAddr(buf []byte) uint32
	HeaderNames(kind Kind, buf []byte) uint64
	HeaderValues(kind Kind, name string, buf []byte) uint64
	SetHeader(kind Kind, name, value string)
	AddHeader(kind Kind, name, value string)
	RemoveHeader(kind Kind, name string)
	ReadBody(kind Kind, buf []byte) uint64
	WriteBody(kind Kind, body []byte)
	SetStatus(status uint32)
	Status() uint32
	SetMethod(method string)
	SetURI(uri string)
	Next() (failed bool) // called after the guest has passed the request on
}

var (
	request sync.Mutex // held during a request: as in WebAssembly, requests are served one at a time
	current Host       // host of the current request, nil between requests; guarded by request
	initial uint32     // features enabled during initialisation

	// Entry serves one request with the given handler, or with the registered one if handler is nil. It is set by package
	// guest, whose handler type cannot be named here.
	Entry func(handler any)
)

// ExitError is the panic value of Exit outside WebAssembly.
type ExitError struct{ Code uint32 }

func (e ExitError) Error() string { return "the guest has ended itself" }

// Serve makes the guest serve one request of h. It returns false if the guest exited. Concurrent calls wait for each
// other.
func Serve(h Host, handler any) (ok bool) {
	request.Lock()
	defer request.Unlock()
	current = h
	h.EnableFeatures(initial)
	defer func() {
		current = nil
		if v := recover(); v != nil {
			if _, exited := v.(ExitError); !exited {
				panic(v)
			}
		}
	}()
	Entry(handler)
	return true
}

// Current returns the host of the current request. It panics if there is no request.
func Current() Host {
	if current == nil {
		panic("guest: there is no request: outside of WebAssembly, handlers are called through package guesttest")
	}
	return current
}

func EnableFeatures(features uint32) uint32 {
	if current == nil {
		initial |= features
		return initial
	}
	return current.EnableFeatures(features)
}

func Config(buf []byte) uint32 {
	if current == nil {
		return 0
	}
	return current.Config(buf)
}

func LogEnabled(level int32) bool { return current == nil || current.LogEnabled(level) }

func Log(level int32, message string) {
	if current == nil {
		os.Stderr.WriteString(message + "\n")
		return
	}
	current.Log(level, message)
}

func Method(buf []byte) uint32                 { return Current().Method(buf) }
func URI(buf []byte) uint32                    { return Current().URI(buf) }
func ProtocolVersion(buf []byte) uint32        { return Current().ProtocolVersion(buf) }
func SourceAddr(buf []byte) uint32             { return Current().SourceAddr(buf) }
func HeaderNames(kind Kind, buf []byte) uint64 { return Current().HeaderNames(kind, buf) }
func SetHeader(kind Kind, name, value string)  { Current().SetHeader(kind, name, value) }
func AddHeader(kind Kind, name, value string)  { Current().AddHeader(kind, name, value) }
func RemoveHeader(kind Kind, name string)      { Current().RemoveHeader(kind, name) }
func ReadBody(kind Kind, buf []byte) uint64    { return Current().ReadBody(kind, buf) }
func WriteBody(kind Kind, body []byte)         { Current().WriteBody(kind, body) }
func WriteBodyString(kind Kind, body string)   { Current().WriteBody(kind, []byte(body)) }
func SetStatus(status uint32)                  { Current().SetStatus(status) }
func Status() uint32                           { return Current().Status() }
func SetMethod(method string)                  { Current().SetMethod(method) }
func SetURI(uri string)                        { Current().SetURI(uri) }
func HeaderValues(kind Kind, name string, buf []byte) uint64 {
	return Current().HeaderValues(kind, name, buf)
}

func requestFields(kind Kind, buf []byte) int64 {
	return Current().(Extension).RequestFields(kind, buf)
}

func Random(buf []byte) bool {
	_, err := rand.Read(buf)
	return err == nil
}

func Exit(code uint32) { panic(ExitError{code}) }
