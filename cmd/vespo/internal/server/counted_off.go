//go:build uncounted

package server

const counted = false
