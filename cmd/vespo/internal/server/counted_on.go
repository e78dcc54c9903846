//go:build !uncounted

package server

// counted is false in a server that neither counts nor logs requests. Bench compares with it.
const counted = true
