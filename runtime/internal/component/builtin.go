package component

import "fmt"

var builtinNames = map[byte]string{
	canonResourceNew:       "resource.new",
	canonResourceRep:       "resource.rep",
	canonTaskCancel:        "task.cancel",
	canonSubtaskCancel:     "subtask.cancel",
	canonBackpressureSet:   "backpressure.set",
	canonTaskReturn:        "task.return",
	canonContextGet:        "context.get",
	canonContextSet:        "context.set",
	canonThreadYield:       "thread.yield",
	canonSubtaskDrop:       "subtask.drop",
	canonStreamNew:         "stream.new",
	canonStreamRead:        "stream.read",
	canonStreamWrite:       "stream.write",
	canonStreamCancelRead:  "stream.cancel-read",
	canonStreamCancelWrite: "stream.cancel-write",
	canonStreamDropRead:    "stream.drop-readable",
	canonStreamDropWrite:   "stream.drop-writable",
	canonFutureNew:         "future.new",
	canonFutureRead:        "future.read",
	canonFutureWrite:       "future.write",
	canonFutureCancelRead:  "future.cancel-read",
	canonFutureCancelWrite: "future.cancel-write",
	canonFutureDropRead:    "future.drop-readable",
	canonFutureDropWrite:   "future.drop-writable",
	canonErrorContextNew:   "error-context.new",
	canonErrorContextDebug: "error-context.debug-message",
	canonErrorContextDrop:  "error-context.drop",
	canonWaitableSetNew:    "waitable-set.new",
	canonWaitableSetWait:   "waitable-set.wait",
	canonWaitableSetPoll:   "waitable-set.poll",
	canonWaitableSetDrop:   "waitable-set.drop",
	canonWaitableJoin:      "waitable.join",
	canonBackpressureInc:   "backpressure.inc",
	canonBackpressureDec:   "backpressure.dec",
	canonThreadIndex:       "thread.index",
	canonThreadNew:         "thread.new-indirect",
	canonThreadSwitchTo:    "thread.switch-to",
	canonThreadSuspend:     "thread.suspend",
	canonThreadResumeLater: "thread.resume-later",
	canonThreadYieldTo:     "thread.yield-to",
	canonThreadSpawnRef:    "thread.spawn-ref",
	canonThreadSpawn:       "thread.spawn-indirect",
	canonParallelism:       "thread.available-parallelism",
}

// importName returns the names that the guest imports a built-in by: its own name, with the type of a stream, a future
// or a result, such as "[async]stream.read<u8>". Whether there is one for this type is the host's to say.
func (b *builtin) importName() (module, name string, err error) {
	if b.op == canonResourceNew || b.op == canonResourceRep {
		return "", "", ownResource(b.typ.Resource)
	}
	name, ok := builtinNames[b.op]
	if !ok || unsupportedBuiltin(b.op) {
		return "", "", &Error{
			Kind:   ErrUnsupported,
			Offset: b.at,
			Detail: fmt.Sprintf("the built-in %s (threads within a request) is not supported: build without threads", name),
		}
	}
	switch b.op {
	case canonContextGet, canonContextSet:
		name += fmt.Sprintf("-%d", b.index)
	case canonStreamRead, canonStreamWrite, canonFutureRead, canonFutureWrite:
		if b.options.async {
			name = "[async]" + name
		}
	}
	return BuiltinModule, name + b.element(), nil
}

// unsupportedBuiltin reports whether a built-in switches stacks or needs shared memory.
func unsupportedBuiltin(op byte) bool { return op >= canonThreadIndex }

// element returns the type that a built-in is for, in angle brackets, or "".
func (b *builtin) element() string {
	t := b.typ
	if t == nil {
		return ""
	}
	if t.Form == FormStream || t.Form == FormFuture {
		if t = t.Fields[0].Type; t == nil {
			return ""
		}
	}
	return "<" + t.text() + ">"
}

func ownResource(res *Resource) error {
	name := "without a name"
	if res.Name != "" {
		name = quoted(res.Name)
	}
	return unsupported("the component defines a resource of its own (%s) and passes it to the host: export functions without resources, or the handler alone", name)
}
