package engine

import (
	"context"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// SnapshotExport is an optional export of guests, () -> (), called once before the snapshot is captured. It can collect
// garbage and prepare memory for requests.
const SnapshotExport = "vespo_snapshot"

// settle calls SnapshotExport if the guest has it and a snapshot will be captured.
func (in *Instance) settle(ctx context.Context, deadline time.Time) Outcome {
	if fresh, _ := in.module.Fresh(); fresh || !in.module.exports(SnapshotExport, nil) {
		return Outcome{}
	}
	return in.callExport(ctx, deadline, SnapshotExport, nil)
}

// callExport calls an export that is no entry.
func (in *Instance) callExport(ctx context.Context, deadline time.Time, name string, stack []uint64) Outcome {
	in.begin(ctx, deadline)
	err := in.mod.ExportedFunction(name).CallWithStack(&in.context, stack)
	return in.end(err)
}

// exports reports whether the module exports a function of this name with these results and no parameters.
func (m *Module) exports(name string, results []rewrite.ValueType) bool {
	return slices.ContainsFunc(m.info.Exports, func(e rewrite.Export) bool {
		return e.Name == name && e.Kind == rewrite.KindFunction && len(e.Signature.Params) == 0 && slices.Equal(e.Signature.Results, results)
	})
}
