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
