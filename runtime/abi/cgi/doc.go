// Package cgi serves guests that are CGI commands: WASI programs whose _start reads the request from the environment and
// from standard input, and prints the answer. Any language that can print makes such a guest; in Go, net/http/cgi does.
//
// The rules are those of RFC 3875 (CGI/1.1) and of WAGI (github.com/deislabs/wagi, docs/environment_variables.md): the
// argument is the script's name, unlike WAGI's, which has the parts of the query too; Authorization, Connection and Proxy are not passed on.
// Where they leave room:
//
//   - A request body streams in if its length is known. Otherwise it is read whole first, because the command has to be told.
//   - The header block ends with an empty line; carriage returns are ignored. It is bounded by abi.MaxHeaderBytes.
//   - One of Content-Type, Location and Status is needed; an answer without any is the outcome "bad answer", as is a line
//     that is not a field and a status outside of 200 to 599. Location without Status means 302.
//   - The body streams: what the guest prints goes out with its next pause, when abi.HoldBytes have gathered, or at its end.
//   - Standard error goes to the log, line by line.
//   - A command that ends with a code other than 0 has failed, also after it has printed a full answer.
package cgi
