// Package remote holds the commands that manage a running server, and the client of its management API.
package remote
