package wasip2

import (
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// accessDenied is the error-code by which all functions for sockets refuse.
const accessDenied = 1

// network is the resource that stands for the network, of which guests see nothing.
type network struct{}

// Drop implements canonical.Resource.
func (network) Drop() {}

// Renew implements canonical.Durable.
func (n network) Renew(*canonical.State) canonical.Resource { return n }

// socket is a resource that no guest has: none is ever made.
type socket interface {
	canonical.Resource
	socket()
}

// refuseSocket is a function that makes a resource: it returns result<own<T>, error-code> to its last parameter.
func (s *State) refuseSocket(result uint64) {
	if s.resolves != nil {
		s.resolves()
	}
	m := s.Area(result, 8, 4)
	m[0], m[4] = 1, accessDenied
}

// methods returns functions of a resource that no guest has. Each is a name and the types of its parameters, "i" and "I" for
// 32 and 64 bits. A name that ends in "!" has a result of 32 bits.
func methods(resource string, list ...string) (all []engine.HostFunc) {
	trap := func(s *State, p []uint64) { canonical.Get[socket](&s.Handles, p[0]) }
	for _, f := range list {
		name, types, _ := strings.Cut(f, " ")
		var params []engine.ValueType
		for _, t := range types {
			if t == 'I' {
				params = append(params, i64)
			} else {
				params = append(params, i32)
			}
		}
		result := none
		if name, returns := strings.CutSuffix(name, "!"); returns {
			all = append(all, define("[method]"+resource+"."+name, i32, trap, params...))
			continue
		}
		all = append(all, define("[method]"+resource+"."+name, result, trap, params...))
	}
	return append(all, canonical.DropFunc[socket](resource))
}

func socketModules() []engine.HostModule {
	return []engine.HostModule{
		module("wasi:sockets/instance-network", define("instance-network", i32, func(s *State, p []uint64) {
			p[0] = uint64(s.Handles.Add(network{}, 0))
		})),
		module("wasi:sockets/network",
			define("network-error-code", none, func(s *State, p []uint64) {
				canonical.Get[*Error](&s.Handles, p[0])
				s.Area(p[1], 2, 1)[0] = 0
			}, i32, i32),
			canonical.DropFunc[network]("network"),
		),
		module("wasi:sockets/ip-name-lookup", append(methods("resolve-address-stream", "resolve-next-address ii", "subscribe! i"),
			define("resolve-addresses", none, func(s *State, p []uint64) {
				canonical.Get[network](&s.Handles, p[0])
				s.Text(p[1], p[2], maxTextBytes)
				s.refuseSocket(p[3])
			}, i32, i32, i32, i32))...),
		module("wasi:sockets/tcp-create-socket", define("create-tcp-socket", none, createSocket, i32, i32)),
		module("wasi:sockets/udp-create-socket", define("create-udp-socket", none, createSocket, i32, i32)),
		module("wasi:sockets/tcp", methods("tcp-socket",
			"start-bind iiiiiiiiiiiiiii", "finish-bind ii", "start-connect iiiiiiiiiiiiiii", "finish-connect ii", "start-listen ii",
			"finish-listen ii", "accept ii", "local-address ii", "remote-address ii", "is-listening! i", "address-family! i",
			"set-listen-backlog-size iIi", "keep-alive-enabled ii", "set-keep-alive-enabled iii", "keep-alive-idle-time ii",
			"set-keep-alive-idle-time iIi", "keep-alive-interval ii", "set-keep-alive-interval iIi", "keep-alive-count ii",
			"set-keep-alive-count iii", "hop-limit ii", "set-hop-limit iii", "receive-buffer-size ii", "set-receive-buffer-size iIi",
			"send-buffer-size ii", "set-send-buffer-size iIi", "subscribe! i", "shutdown iii")...),
		module("wasi:sockets/udp", append(append(methods("udp-socket",
			"start-bind iiiiiiiiiiiiiii", "finish-bind ii", "stream iiiiiiiiiiiiiii", "local-address ii", "remote-address ii",
			"address-family! i", "unicast-hop-limit ii", "set-unicast-hop-limit iii", "receive-buffer-size ii",
			"set-receive-buffer-size iIi", "send-buffer-size ii", "set-send-buffer-size iIi", "subscribe! i"),
			methods("incoming-datagram-stream", "receive iIi", "subscribe! i")...),
			methods("outgoing-datagram-stream", "check-send ii", "send iiii", "subscribe! i")...)...),
	}
}

// maxTextBytes is the longest name that a guest can pass.
const maxTextBytes = 4 << 10

func createSocket(s *State, p []uint64) {
	canonical.Case(p[0], 2)
	s.refuseSocket(p[1])
}
