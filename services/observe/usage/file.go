package usage

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/services/internal/boltfile"
	"github.com/vespo-dev/vespo/services/observe/tally"
)

// The file has one bucket. The key of a row is its hour, its service, a NUL, the number of the version and the unit of
// work, so the rows of an hour are next to each other, and those of a service within it.
var (
	rows = []byte("hours")
)

const (
	hourBytes = 8 // hours since 1970, big endian
	tailBytes = 1 + 8 + 1
	openWait  = 5 * time.Second
	growBytes = 1 << 20
)

// rowKey is the key of a row.
type rowKey struct {
	hour    int64
	service string
	number  uint64
	unit    int
}

func (k rowKey) encode() []byte {
	out := append(hourKey(k.hour), k.service...)
	out = append(out, 0)
	out = binary.BigEndian.AppendUint64(out, k.number)
	return append(out, byte(k.unit))
}

func hourKey(hour int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(max(0, hour))) }

// serviceKey is the beginning of the keys of a service within an hour.
func serviceKey(hour int64, service string) []byte {
	return append(append(hourKey(hour), service...), 0)
}

func decodeKey(b []byte) (k rowKey, err error) {
	if len(b) < hourBytes+tailBytes || b[len(b)-tailBytes] != 0 {
		return k, errRow
	}
	tail := b[len(b)-tailBytes+1:]
	return rowKey{
		hour:    int64(binary.BigEndian.Uint64(b)),
		service: string(b[hourBytes : len(b)-tailBytes]),
		number:  binary.BigEndian.Uint64(tail),
		unit:    int(tail[8]),
	}, nil
}

// hourOf returns the hour of a time.
func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// timeOf returns the beginning of an hour.
func timeOf(hour int64) time.Time { return time.Unix(hour*3600, 0).UTC() }

// Open opens the file, or creates it. A damaged one is set aside, and a new one begun.
func Open(cfg Config) (*Ledger, error) {
	cfg.FileBytes = cmp.Or(cfg.FileBytes, FileBytes)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &Ledger{cfg: cfg, versions: map[*tally.Version]*version{}}
	err := boltfile.Guarded(func() error { return l.open() })
	if errors.Is(err, boltfile.ErrDamaged) || errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) || errors.Is(err, bolterrors.ErrVersionMismatch) {
		err = l.setAside(err)
	}
	if err != nil {
		return nil, fmt.Errorf("usage: %s: %w", cfg.Path, err)
	}
	return l, nil
}

// formatVersion is the version of the file's format.
const formatVersion = 1

func (l *Ledger) open() error {
	if err := boltfile.Check(l.cfg.Path); err != nil {
		return err
	}
	db, err := bbolt.Open(l.cfg.Path, durable.FileMode, &bbolt.Options{
		Timeout:      openWait,
		OpenFile:     regular.OpenFile,
		FreelistType: bbolt.FreelistMapType,
	})
	if err != nil {
		return err
	}
	db.AllocSize = growBytes
	err = db.Update(func(tx *bbolt.Tx) error {
		if err := boltfile.CheckFormat(tx, formatVersion); err != nil {
			return err
		}
		_, err := tx.CreateBucketIfNotExists(rows)
		return err
	})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	l.db = db
	return nil
}

// setAside renames a damaged file, and begins a new one.
func (l *Ledger) setAside(cause error) error {
	name := filepath.Base(l.cfg.Path)
	aside := fmt.Sprintf("%s.damaged-%d", name, l.cfg.Now().Unix())
	l.cfg.Log.Error("the usage of services is damaged: it is set aside, and begins anew", slog.String("file", aside), slog.Any("error", cause))
	dir := durable.Dir(filepath.Dir(l.cfg.Path))
	if err := errors.Join(dir.Rename(name, aside), dir.SyncDir(".")); err != nil {
		return errors.Join(cause, err)
	}
	return boltfile.Guarded(func() error { return l.open() })
}

// writeLocked adds all gains to the rows of the current hour, in one transaction.
func (l *Ledger) writeLocked(now time.Time) ([]gain, error) {
	gains := l.gainsLocked()
	if len(gains) == 0 {
		return nil, nil
	}
	hour := hourOf(now.Add(-Interval / 2))
	err := boltfile.Guarded(func() error {
		return l.db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(rows)
			for _, g := range gains {
				key := rowKey{hour: hour, service: g.of.counted.Service.Name, number: g.of.counted.Number, unit: l.cfg.Unit}.encode()
				sums := g.sums
				if before := b.Get(key); before != nil {
					old, err := decodeSums(before)
					if err != nil {
						return err
					}
					sums.Add(&old)
				}
				if err := b.Put(key, sums.encode()); err != nil {
					return err
				}
			}
			l.stats.fileBytes.Store(tx.Size())
			return nil
		})
	})
	if err == nil {
		l.stats.writes.Add(1)
	}
	return gains, err
}

// pruneLocked removes hours that are too old, and the oldest ones if the file is too large. It removes a few at a time.
func (l *Ledger) pruneLocked(now time.Time) error {
	oldest := hourOf(now.Add(-Keep))
	for range removals {
		free := int64(l.db.Stats().FreePageN) * int64(l.db.Info().PageSize)
		large := l.stats.fileBytes.Load()-free > l.cfg.FileBytes
		removed := false
		err := boltfile.Guarded(func() error {
			return l.db.Update(func(tx *bbolt.Tx) (err error) {
				removed, err = removeOldest(tx.Bucket(rows), oldest, large)
				return err
			})
		})
		if err != nil || !removed {
			return err
		}
		l.stats.removed.Add(1)
	}
	return nil
}

// removeOldest removes the oldest hour if it is before another one, or in any case.
func removeOldest(b *bbolt.Bucket, before int64, anyway bool) (removed bool, err error) {
	c := b.Cursor()
	first, _ := c.First()
	if first == nil {
		return false, nil
	}
	k, err := decodeKey(first)
	if err != nil || k.hour >= before && !anyway {
		return false, err
	}
	prefix := hourKey(k.hour)
	var keys [][]byte
	for key, _ := c.First(); key != nil && bytes.HasPrefix(key, prefix); key, _ = c.Next() {
		keys = append(keys, bytes.Clone(key))
	}
	for _, key := range keys {
		if err := b.Delete(key); err != nil {
			return false, err
		}
	}
	return true, nil
}
