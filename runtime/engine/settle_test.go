package engine

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSnapshotExport(t *testing.T) {
	e := open(t, Config{})
	o := ModuleOptions{Init: []string{"_initialize"}, Entries: []string{"get"}}
	m := compile(t, e, "settles", o)
	in := prepare(t, m)
	for range 2 {
		require.EqualValues(t, 1, call(t, in, 0, 0), "it is called once, before the snapshot")
		_, err := in.Reset()
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, call(t, prepare(t, m), 0, 0), "other instances start from the snapshot")

	o.Fresh = true
	require.Zero(t, call(t, prepare(t, compile(t, e, "settles", o)), 0, 0), "there is no snapshot")
}

func TestSnapshotExportThatFails(t *testing.T) {
	e := open(t, Config{})
	_, err := compile(t, e, "settles", ModuleOptions{Init: []string{"refuse"}}).Prepare(context.Background(), slot(t, e))
	var refused *ModuleError
	require.ErrorAs(t, err, &refused)
	require.Contains(t, err.Error(), "traps")
}
