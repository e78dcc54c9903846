//go:build wasip1

package guest

// handleRequest is called by the host for each request. Result 0: the request is answered, no next handler shall be called; 1: it shall.
//
//go:wasmexport handle_request
func handleRequest() uint64 {
	serve(registered)
	if passed {
		return 1
	}
	return 0
}

// handleResponse is called after a next handler. Hosts want to see it exported.
//
//go:wasmexport handle_response
func handleResponse(context, isError uint32) { serveResponse(isError != 0) }

// Flags of randomSources.
const (
	secretsFromHost  = 1 // crypto/rand draws from the host in each request
	generatorsSeeded = 2 // the generator of math/rand is seeded anew for each request
)

// randomSources tells the host, once after the initialisation, which random numbers a snapshot does not repeat. A host that
// keeps snapshots gives other guests that draw random numbers while they are initialised a new instance for each request.
//
//go:wasmexport vespo_random
func randomSources() uint32 {
	if Reseeds() {
		return secretsFromHost | generatorsSeeded
	}
	return secretsFromHost
}
