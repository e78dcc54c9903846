// Package cgi serves guests that are CGI commands: WASI programs whose _start
// reads the request from the environment and from standard input, and prints
// the response. Any language that can print works; in Go, use net/http/cgi.
//
// It follows RFC 3875 (CGI/1.1) and WAGI (github.com/deislabs/wagi, docs/environment_variables.md).
// Unlike WAGI, only the script name is an argument by default, not the parts of the query.
// Authorization, Connection and Proxy are not passed on. Where those documents leave room:
//
//   - A request body of known length streams in. A body of unknown length is read whole first, because CGI
//     passes the length in the environment.
//   - The header ends with an empty line; carriage returns are ignored. It is bounded by abi.MaxHeaderBytes.
//   - The header needs one of Content-Type, Location and Status. Without any of them, with a line that is not
//     a field, or with a status outside of 200 to 599, the outcome is "bad answer". Location without Status
//     means 302.
//   - The body streams: output is sent at the next pause of the guest, when abi.HoldBytes have accumulated,
//     or when the guest ends.
//   - Standard error goes to the log, line by line.
//   - A command that exits with a code other than 0 has failed, even if it has printed a complete response.
package cgi
