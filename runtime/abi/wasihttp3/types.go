package wasihttp3

import "github.com/vespo-dev/vespo/runtime/abi/concurrent"

// Elements of streams and futures, as the decoder of components names them.
const (
	fieldsName    = "own<" + typesModule + "#fields>"
	responseName  = "own<" + typesModule + "#response>"
	errorCodeName = "http-error-code"
)

// resultBytes and resultAlign are the layout of a result whose error is an error-code, for results of at most 32 bytes.
const (
	resultBytes   = 40
	resultAlign   = 8
	resultPayload = 8 // offset
)

func bytesType() concurrent.Type {
	return concurrent.Type{Elem: "u8", Size: 1, Align: 1, Plain: true}
}

// trailersType is the type of the future that ends a body.
func trailersType() concurrent.Type {
	return concurrent.Type{
		Future: true,
		Elem:   "result<option<" + fieldsName + ">," + errorCodeName + ">",
		Size:   resultBytes,
		Align:  resultAlign,
	}
}

// sentType is the type of the future that tells whether a message was sent or received.
func sentType() concurrent.Type {
	return concurrent.Type{
		Future: true,
		Elem:   "result<_," + errorCodeName + ">",
		Size:   resultBytes,
		Align:  resultAlign,
	}
}

// elementTypes returns the types whose built-ins guests can import.
func elementTypes() []concurrent.Type {
	return []concurrent.Type{
		bytesType(),
		trailersType(),
		sentType(),
		{Align: 1, Plain: true},
		{Future: true, Align: 1, Plain: true},
	}
}
