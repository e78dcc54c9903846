package guest

// SwapHandler replaces the registered handler and returns the previous one.
func SwapHandler(h Handler) (previous Handler) {
	previous, registered = registered, h
	return previous
}

// SwapResponseHandler replaces the registered response handler and returns the previous one.
func SwapResponseHandler(h ResponseHandler) (previous ResponseHandler) {
	previous, responses = responses, h
	return previous
}
