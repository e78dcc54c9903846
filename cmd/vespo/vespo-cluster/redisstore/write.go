package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engine"
	"github.com/vespo-dev/vespo/services/kv"
)

// Write implements kv.Stores.
func (s *Stores) Write(ctx context.Context, store string, changes []kv.Change) ([]kv.Result, error) {
	if err := errors.Join(ctx.Err(), kv.CheckName(store), kv.CheckChanges(changes, engine.Time(s.cfg.Now))); err != nil || len(changes) == 0 {
		return nil, err
	}
	found, err := s.run(ctx, s.scripts.write, store, s.writeArguments(store, changes)...)
	if err != nil {
		return nil, s.writeFailed(ctx, store, err)
	}
	list, _ := found.([]any)
	if len(list) == 0 {
		return nil, s.damaged(store, fmt.Errorf("the script has returned %T", found))
	}
	if list[0] != "ok" {
		return nil, engine.Refused(store, text(list, 0), text(list, 1), text(list, 2), text(list, 3))
	}
	if len(list) != 1+3*len(changes) {
		return nil, s.damaged(store, fmt.Errorf("the script has returned %d values", len(list)))
	}
	results := make([]kv.Result, 0, len(changes))
	for i := 1; i < len(list); i += 3 {
		version, err1 := strconv.ParseUint(text(list, i), 10, 64)
		number, err2 := strconv.ParseInt(text(list, i+2), 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, s.damaged(store, err)
		}
		results = append(results, kv.Result{Version: kv.Version(version), Existed: list[i+1] == int64(1), Number: number})
	}
	return results, nil
}

// writeArguments returns the ARGV of a write.
func (s *Stores) writeArguments(store string, changes []kv.Change) []any {
	q := s.cfg.Quotas
	args := make([]any, 0, 9+6*len(changes))
	args = append(args, s.now(), store, q.StoreBytes, q.StoreKeys, q.Bytes, q.Keys, q.Stores, kv.EntryOverheadBytes, engine.SweepKeys)
	for _, c := range changes {
		expected, expires := "", int64(0)
		if c.If != nil {
			expected = strconv.FormatUint(uint64(*c.If), 10)
		}
		if !c.Expires.IsZero() {
			expires = max(1, c.Expires.UnixMilli())
		}
		value := c.Value
		if c.Op == kv.OpAdd {
			value = strconv.AppendInt(nil, c.Delta, 10)
		}
		args = append(args, int(c.Op), c.Key, expected, expires, c.Metadata, value)
	}
	return args
}

// text returns an element of a reply as text.
func text(list []any, i int) string {
	if i >= len(list) {
		return ""
	}
	return fmt.Sprint(list[i])
}
