// Package tokens recognises the tokens of clients that manage a server. An Authority makes principals of them, for the
// management API and for all else that takes a token.
package tokens
