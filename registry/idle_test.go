package registry_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

func TestDecideIdle(t *testing.T) {
	const idle, evict = 5 * time.Minute, 30 * time.Minute
	both := registry.IdlePolicy{Idle: idle, EvictCode: evict}
	used := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	warm := registry.Usage{LastUsed: used, Warm: 2, Compiled: true}
	cold := registry.Usage{LastUsed: used, Compiled: true}
	gone := registry.Usage{LastUsed: used}
	busy := registry.Usage{LastUsed: used, Warm: 2, Compiled: true, InFlight: 1}
	const never = -1
	for name, tc := range map[string]struct {
		usage  registry.Usage
		policy registry.IdlePolicy
		after  time.Duration // since used
		want   registry.Action
		again  time.Duration // since used; never: the zero time
	}{
		"just used":                         {warm, both, 0, registry.None, idle},
		"a moment before":                   {warm, both, idle - 1, registry.None, idle},
		"idle":                              {warm, both, idle, registry.ReleaseSlots, evict},
		"idle, released before":             {cold, both, idle, registry.None, evict},
		"idle for long":                     {cold, both, evict, registry.EvictCode, never},
		"idle for long, never released":     {warm, both, evict, registry.EvictCode, never},
		"idle for long, all given back":     {gone, both, evict, registry.None, never},
		"in flight":                         {busy, both, evict, registry.None, evict + idle},
		"the clock was set back":            {warm, both, -time.Hour, registry.None, idle - time.Hour},
		"policy: never":                     {warm, registry.IdlePolicy{}, evict, registry.None, never},
		"policy: negative":                  {warm, registry.IdlePolicy{Idle: -1, EvictCode: -1}, evict, registry.None, never},
		"policy: code stays, just used":     {warm, registry.IdlePolicy{Idle: idle}, 0, registry.None, idle},
		"policy: code stays":                {warm, registry.IdlePolicy{Idle: idle}, evict, registry.ReleaseSlots, never},
		"policy: code alone":                {warm, registry.IdlePolicy{EvictCode: evict}, idle, registry.None, evict},
		"policy: code alone, due":           {warm, registry.IdlePolicy{EvictCode: evict}, evict, registry.EvictCode, never},
		"policy: code before slots":         {warm, registry.IdlePolicy{Idle: evict, EvictCode: idle}, 0, registry.None, idle},
		"policy: code before slots, due":    {warm, registry.IdlePolicy{Idle: evict, EvictCode: idle}, idle, registry.EvictCode, never},
		"policy: both at once, code counts": {warm, registry.IdlePolicy{Idle: idle, EvictCode: idle}, idle, registry.EvictCode, never},
	} {
		t.Run(name, func(t *testing.T) {
			action, again := registry.DecideIdle(used.Add(tc.after), tc.usage, tc.policy)
			require.Equal(t, tc.want, action)
			if tc.again == never {
				require.Zero(t, again)
			} else {
				require.Equal(t, used.Add(tc.again), again)
			}
		})
	}
}
