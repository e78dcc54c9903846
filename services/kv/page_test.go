package kv

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPagesOfLargeValues bounds what is read for a page, whose entries have no values.
func TestPagesOfLargeValues(t *testing.T) {
	for name, present := range map[string]bool{"present": true, "expired": false} {
		t.Run(name, func(t *testing.T) {
			f := NewFiller(Query{Limit: MaxPage})
			added := 0
			for f.Add(Entry{Key: strconv.Itoa(added), SizeBytes: MaxValueBytes}, present) {
				added++
			}
			require.Equal(t, maxReadBytes/MaxValueBytes+1, added)
			require.Equal(t, strconv.Itoa(added-1), f.Page(false).Next)
		})
	}
}
