package wasihttp

import (
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// The modules that guests import.
const (
	typesName    = "wasi:http/types@0.2"
	outgoingName = "wasi:http/outgoing-handler@0.2"
)

func outgoingModule() engine.HostModule {
	return engine.HostModule{
		Name:  outgoingName,
		Funcs: []engine.HostFunc{define("handle", none, handleOutgoing, i32, i32, i32, i32)},
	}
}

func typesModule() engine.HostModule {
	m := engine.HostModule{Name: typesName}
	for _, list := range [][]engine.HostFunc{fieldFunctions(), incomingFunctions(), outgoingFunctions(), optionFunctions(), answerFunctions()} {
		m.Funcs = append(m.Funcs, list...)
	}
	return m
}

func fieldFunctions() []engine.HostFunc {
	return []engine.HostFunc{
		define("[constructor]fields", i32, newFields),
		define("[static]fields.from-list", none, fieldsFromList, i32, i32, i32),
		define("[method]fields.get", none, fieldsGet, i32, i32, i32, i32),
		define("[method]fields.has", i32, fieldsHas, i32, i32, i32),
		define("[method]fields.set", none, fieldsSet, i32, i32, i32, i32, i32, i32),
		define("[method]fields.delete", none, fieldsDelete, i32, i32, i32, i32),
		define("[method]fields.append", none, fieldsAppend, i32, i32, i32, i32, i32, i32),
		define("[method]fields.entries", none, fieldsEntries, i32, i32),
		define("[method]fields.clone", i32, fieldsClone, i32),
		canonical.DropFunc[*fields]("fields"),
	}
}

func incomingFunctions() []engine.HostFunc {
	return []engine.HostFunc{
		define("[method]incoming-request.method", none, requestMethod, i32, i32),
		define("[method]incoming-request.path-with-query", none, requestPath, i32, i32),
		define("[method]incoming-request.scheme", none, requestScheme, i32, i32),
		define("[method]incoming-request.authority", none, requestAuthority, i32, i32),
		define("[method]incoming-request.headers", i32, requestHeaders, i32),
		define("[method]incoming-request.consume", none, requestConsume, i32, i32),
		define("[method]incoming-response.status", i32, incomingStatus, i32),
		define("[method]incoming-response.headers", i32, incomingHeaders, i32),
		define("[method]incoming-response.consume", none, incomingContents, i32, i32),
		define("[method]incoming-body.stream", none, bodyContents, i32, i32),
		define("[static]incoming-body.finish", i32, finishIncoming, i32),
		define("[method]future-trailers.subscribe", i32, subscribeTrailers, i32),
		define("[method]future-trailers.get", none, getTrailers, i32, i32),
		define("[method]future-incoming-response.subscribe", i32, subscribeResponse, i32),
		define("[method]future-incoming-response.get", none, getResponse, i32, i32),
		define("http-error-code", none, httpErrorCode, i32, i32),
		canonical.DropFunc[*incomingRequest]("incoming-request"),
		canonical.DropFunc[*incomingResponse]("incoming-response"),
		canonical.DropFunc[*incomingBody]("incoming-body"),
		canonical.DropFunc[*futureTrailers]("future-trailers"),
		canonical.DropFunc[*futureResponse]("future-incoming-response"),
	}
}

func outgoingFunctions() []engine.HostFunc {
	return []engine.HostFunc{
		define("[constructor]outgoing-request", i32, newOutgoingRequest, i32),
		define("[method]outgoing-request.body", none, outgoingContents, i32, i32),
		define("[method]outgoing-request.method", none, outgoingMethod, i32, i32),
		define("[method]outgoing-request.set-method", i32, setMethod, i32, i32, i32, i32),
		define("[method]outgoing-request.path-with-query", none, outgoingPath, i32, i32),
		define("[method]outgoing-request.set-path-with-query", i32, setPath, i32, i32, i32, i32),
		define("[method]outgoing-request.scheme", none, outgoingScheme, i32, i32),
		define("[method]outgoing-request.set-scheme", i32, setScheme, i32, i32, i32, i32, i32),
		define("[method]outgoing-request.authority", none, outgoingAuthority, i32, i32),
		define("[method]outgoing-request.set-authority", i32, setAuthority, i32, i32, i32, i32),
		define("[method]outgoing-request.headers", i32, outgoingHeaders, i32),
		canonical.DropFunc[*outgoingRequest]("outgoing-request"),
	}
}

func optionFunctions() (all []engine.HostFunc) {
	for i, name := range []string{connectTimeout: "connect-timeout", firstByteTimeout: "first-byte-timeout", betweenBytesTimeout: "between-bytes-timeout"} {
		get, set := timeout(i)
		all = append(all,
			define("[method]request-options."+name, none, get, i32, i32),
			define("[method]request-options.set-"+name, i32, set, i32, i32, i64))
	}
	return append(all, define("[constructor]request-options", i32, newOptions), canonical.DropFunc[*requestOptions]("request-options"))
}

func answerFunctions() []engine.HostFunc {
	return []engine.HostFunc{
		define("[static]response-outparam.set", none, setResponse, i32, i32, i32, i32, i64, i32, i32, i32, i32),
		define("[method]response-outparam.send-informational", none, sendInformational, i32, i32, i32, i32),
		define("[constructor]outgoing-response", i32, newOutgoingResponse, i32),
		define("[method]outgoing-response.status-code", i32, responseStatus, i32),
		define("[method]outgoing-response.set-status-code", i32, setResponseStatus, i32, i32),
		define("[method]outgoing-response.headers", i32, responseHeaders, i32),
		define("[method]outgoing-response.body", none, responseBody, i32, i32),
		define("[method]outgoing-body.write", none, bodyStream, i32, i32),
		define("[static]outgoing-body.finish", none, finishBody, i32, i32, i32, i32),
		canonical.DropFunc[*outparam]("response-outparam"),
		canonical.DropFunc[*outgoingResponse]("outgoing-response"),
		canonical.DropFunc[*outgoingBody]("outgoing-body"),
	}
}
