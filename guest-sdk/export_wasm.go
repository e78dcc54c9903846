//go:build wasip1

package guest

// handleRequest is called by the host for each request. It returns 1 if the host has to call the next handler, and 0 if
// the request is answered.
//
//go:wasmexport handle_request
func handleRequest() uint64 {
	serve(registered)
	if passed {
		return 1
	}
	return 0
}

// handleResponse is called by the host after the next handler. Hosts require the export even if it is not used.
//
//go:wasmexport handle_response
func handleResponse(context, isError uint32) { serveResponse(isError != 0) }

// Flags of randomSources.
const (
	secretsFromHost  = 1 // crypto/rand reads from the host
	generatorsSeeded = 2 // the generator of math/rand is reseeded for each request
)

// randomSources returns the kinds of random numbers that a snapshot does not repeat. The host calls it once, after
// initialisation. A guest without this export that draws random numbers during initialisation gets a new instance for
// each request instead of a snapshot.
//
//go:wasmexport vespo_random
func randomSources() uint32 {
	if Reseeds() {
		return secretsFromHost | generatorsSeeded
	}
	return secretsFromHost
}
