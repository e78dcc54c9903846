//go:build !race

package server

// slowdown is 1 without the race detector.
const slowdown = 1
