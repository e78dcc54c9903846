//go:build wasip1

package guest

// handleRequest is called by the host for each request. Result 0: the request is answered, no next handler shall be called.
//
//go:wasmexport handle_request
func handleRequest() uint64 {
	serve(registered)
	return 0
}

// handleResponse would be called after a next handler, which is never asked for. Hosts want to see it exported.
//
//go:wasmexport handle_response
func handleResponse(context, isError uint32) {}
