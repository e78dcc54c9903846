package usage

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/vespo-dev/vespo/services/observe/tally"
)

// Sums are what requests cost together.
type Sums struct {
	Requests  uint64
	Failed    uint64        // answered with a status of 500 or above, or broken off by the server
	GuestTime time.Duration // time in guests
	Work      int64         // units of work of guests
	Memory    Memory        // written by guests
	BytesIn   int64         // of bodies
	BytesOut  int64
}

// Memory is memory held for a time, in KiB times microseconds.
type Memory int64

// MiBSeconds returns m in MiB times seconds.
func (m Memory) MiBSeconds() float64 { return float64(m) / (1 << 10) / 1e6 }

// Add adds other sums.
func (s *Sums) Add(o *Sums) {
	s.Requests += o.Requests
	s.Failed += o.Failed
	s.GuestTime += o.GuestTime
	s.Work += o.Work
	s.Memory += o.Memory
	s.BytesIn += o.BytesIn
	s.BytesOut += o.BytesOut
}

// minus subtracts earlier sums.
func (s *Sums) minus(o *Sums) {
	s.Requests -= o.Requests
	s.Failed -= o.Failed
	s.GuestTime -= o.GuestTime
	s.Work -= o.Work
	s.Memory -= o.Memory
	s.BytesIn -= o.BytesIn
	s.BytesOut -= o.BytesOut
}

// load returns the counters. They may be of slightly different times.
func load(c *tally.Counters) Sums {
	return Sums{
		Requests:  c.Count(),
		Failed:    c.Failed.Load(),
		GuestTime: time.Duration(c.GuestNanos.Load()),
		Work:      c.Work.Load(),
		Memory:    Memory(c.Memory.Load()),
		BytesIn:   c.BytesIn.Load(),
		BytesOut:  c.BytesOut.Load(),
	}
}

// encode returns the form of sums in the file: one varint for each field.
func (s *Sums) encode() (out []byte) {
	for _, n := range [...]uint64{s.Requests, s.Failed, uint64(s.GuestTime), uint64(s.Work), uint64(s.Memory), uint64(s.BytesIn), uint64(s.BytesOut)} {
		out = binary.AppendUvarint(out, n)
	}
	return out
}

var errRow = errors.New("usage: a row of the file is damaged")

// decodeSums reads sums from the file. Fields of later versions may follow.
func decodeSums(b []byte) (s Sums, err error) {
	var fields [7]uint64
	for i := range fields {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return Sums{}, errRow
		}
		fields[i], b = n, b[size:]
	}
	return Sums{
		Requests:  fields[0],
		Failed:    fields[1],
		GuestTime: time.Duration(fields[2]),
		Work:      int64(fields[3]),
		Memory:    Memory(fields[4]),
		BytesIn:   int64(fields[5]),
		BytesOut:  int64(fields[6]),
	}, nil
}
