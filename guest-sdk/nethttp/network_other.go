//go:build !wasip1 || tinygo

package nethttp

// refuseNetwork does nothing: a program that is not a guest, such as a test, has a network.
func refuseNetwork() {}
