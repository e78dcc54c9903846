package storetest

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// clock is the time of a test.
type clock interface {
	Now() time.Time
	pass(d time.Duration)
	test(t *testing.T, f func(*testing.T)) // runs a test
}

// bubble is the time of synctest.
type bubble struct{}

func (bubble) Now() time.Time                          { return time.Now() }
func (bubble) pass(d time.Duration)                    { <-time.After(d) }
func (bubble) test(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// Clock is a time that stands still unless a test moves it.
type Clock struct {
	millis atomic.Int64 // of the Unix time
}

// NewClock returns a Clock that stands at the present.
func NewClock() *Clock {
	c := new(Clock)
	c.millis.Store(time.Now().UnixMilli())
	return c
}

// Now returns the time, in whole milliseconds.
func (c *Clock) Now() time.Time { return time.UnixMilli(c.millis.Load()) }

// Pass moves the time.
func (c *Clock) Pass(d time.Duration) { c.millis.Add(d.Milliseconds()) }

func (c *Clock) pass(d time.Duration)                    { c.Pass(d) }
func (c *Clock) test(t *testing.T, f func(t *testing.T)) { f(t) }
