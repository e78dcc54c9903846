package pgstore

import (
	"context"
	"errors"
	"strconv"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engine"
	"github.com/vespo-dev/vespo/services/kv"
)

// Write implements kv.Stores.
func (s *Stores) Write(ctx context.Context, store string, changes []kv.Change) ([]kv.Result, error) {
	if err := errors.Join(ctx.Err(), kv.CheckName(store), kv.CheckChanges(changes, engine.Time(s.cfg.Now))); err != nil || len(changes) == 0 {
		return nil, err
	}
	var status string
	var details []string
	var versions, numbers []int64
	var existed []bool
	err := s.write(ctx, store, `SELECT * FROM @schema@.kv_write($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		s.writeArguments(store, changes), &status, &details, &versions, &existed, &numbers)
	if err != nil {
		return nil, err
	}
	if status != "ok" {
		return nil, refused(store, changes, status, details)
	}
	results := make([]kv.Result, 0, len(changes))
	for i := range changes {
		results = append(results, kv.Result{Version: kv.Version(versions[i]), Existed: existed[i], Number: numbers[i]})
	}
	return results, nil
}

// writeArguments returns the arguments of a write.
func (s *Stores) writeArguments(store string, changes []kv.Change) []any {
	q, n := s.cfg.Quotas, len(changes)
	quotas := []int64{q.StoreBytes, q.StoreKeys, q.Bytes, q.Keys, int64(q.Stores), kv.EntryOverheadBytes, engine.SweepKeys}
	ops, ifs, times, deltas := make([]int32, n), make([]*int64, n), make([]int64, n), make([]int64, n)
	keys, metas, vals := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	for i, c := range changes {
		ops[i], keys[i], deltas[i] = int32(c.Op), []byte(c.Key), c.Delta
		metas[i], vals[i] = []byte(c.Metadata), append([]byte{}, c.Value...)
		if c.If != nil {
			version := int64(min(*c.If, 1<<62)) // no key has a greater one
			ifs[i] = &version
		}
		if !c.Expires.IsZero() {
			times[i] = max(1, c.Expires.UnixMilli())
		}
	}
	return []any{s.now(), store, quotas, ops, keys, ifs, times, metas, vals, deltas}
}

// refused returns the error of a write that the function has refused. Its first detail is the number of a change, or a sum.
func refused(store string, changes []kv.Change, status string, details []string) error {
	details = append(details, "", "", "")
	if n, err := strconv.Atoi(details[0]); err == nil && n > 0 && n <= len(changes) && (status == "conflict" || status == "text" || status == "sum") {
		c := changes[n-1]
		details[0] = c.Key
		if status == "conflict" {
			details[2] = strconv.FormatUint(uint64(*c.If), 10)
		}
	}
	return engine.Refused(store, status, details...)
}
