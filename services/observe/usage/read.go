package usage

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/internal/boltfile"
)

// Period is a length of time by which sums are given, in UTC.
type Period string

// The periods.
const (
	Hour  Period = "hour"
	Day   Period = "day"
	Month Period = "month"
)

// Begin returns the beginning of the period of a time.
func (p Period) Begin(t time.Time) time.Time {
	t = t.UTC()
	switch p {
	case Month:
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	case Day:
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	}
	return t.Truncate(time.Hour)
}

// MaxRows is the most rows of an answer.
const MaxRows = 100_000

// ErrTooMany is returned if an answer would have more than MaxRows rows.
var ErrTooMany = errors.New("usage: too many rows")

// Query selects sums.
type Query struct {
	Service  string    // key of a service; empty: all
	Since    time.Time // the hour of this time, and later ones
	Until    time.Time // the hours that begin before this time
	By       Period
	Versions bool                      // a row for each version; otherwise they are added up
	Visible  func(service string) bool // nil: all are
}

// Row has the sums of a period.
type Row struct {
	Begin   time.Time // of the period, in UTC
	Service string
	Version uint64 // its number; 0 if versions are added up
	Unit    int    // version of the unit of work
	Sums    Sums
	Memory  float64 // of the sums, in MiB times seconds
}

// Read returns the sums, in the order of time, service and version. Requests up to now are included.
func (l *Ledger) Read(ctx context.Context, q Query) ([]Row, error) {
	_ = l.Flush() // logged; the sums on disk are the answer then
	l.flushing.Lock()
	db := l.db
	l.flushing.Unlock()
	if db == nil {
		return nil, errClosed
	}
	found := map[rowKey]*Row{}
	first, last := hourOf(q.Since), hourOf(q.Until.Add(time.Hour-1))
	for hour := first; hour < last; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := boltfile.Guarded(func() error {
			return db.View(func(tx *bbolt.Tx) (err error) {
				hour, err = q.read(tx.Bucket(rows), hour, last, found)
				return err
			})
		})
		if err != nil {
			return nil, err
		}
	}
	all := make([]Row, 0, len(found))
	for _, row := range found {
		all = append(all, *row)
	}
	slices.SortFunc(all, func(a, b Row) int {
		return cmp.Or(a.Begin.Compare(b.Begin), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Version, b.Version), a.Unit-b.Unit)
	})
	return all, nil
}

// rowsPerRead is about the number of rows that one transaction reads: long ones would make the file grow.
const rowsPerRead = 20_000

// read adds the rows of hours to found, and returns the next hour to read.
func (q *Query) read(b *bbolt.Bucket, hour, last int64, found map[rowKey]*Row) (next int64, err error) {
	c := b.Cursor()
	for n := 0; hour < last; {
		from := hourKey(hour)
		if q.Service != "" {
			from = serviceKey(hour, q.Service)
		}
		key, value := c.Seek(from)
		if key == nil {
			return last, nil
		}
		for ; key != nil && bytes.HasPrefix(key, from); key, value = c.Next() {
			if err := q.add(key, value, found); err != nil {
				return 0, err
			}
			n++
		}
		if key == nil {
			return last, nil
		}
		following, err := decodeKey(key)
		if err != nil {
			return 0, err
		}
		hour = max(hour+1, following.hour)
		if n++; n > rowsPerRead {
			break
		}
	}
	return hour, nil
}

// add adds a row.
func (q *Query) add(key, value []byte, found map[rowKey]*Row) error {
	k, err := decodeKey(key)
	if err != nil {
		return err
	}
	if q.Visible != nil && !q.Visible(k.service) {
		return nil
	}
	sums, err := decodeSums(value)
	if err != nil {
		return err
	}
	begin := q.By.Begin(timeOf(k.hour))
	k.hour = hourOf(begin)
	if !q.Versions {
		k.number = 0
	}
	row := found[k]
	if row == nil {
		if len(found) >= MaxRows {
			return ErrTooMany
		}
		row = &Row{Begin: begin, Service: k.service, Version: k.number, Unit: k.unit}
		found[k] = row
	}
	row.Memory += sums.Memory.MiBSeconds()
	row.Sums.Add(&sums)
	return nil
}
