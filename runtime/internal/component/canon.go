package component

// String encodings of canonical options.
const (
	encodingUTF8 = iota
	encodingUTF16
	encodingLatin1
)

var encodingNames = [...]string{"UTF-8", "UTF-16", "Latin-1 or UTF-16"}

// options are canonical options. Those that are not set are nil.
type options struct {
	at                                    int // offset
	encoding                              byte
	async                                 bool
	memory, realloc, postReturn, callback *coreItem
}

// builtin is a canonical built-in function other than resource.drop. WASI 0.3 has most of them.
type builtin struct {
	op      byte // its code in the binary format
	at      int
	typ     *Type // of stream and future built-ins, the stream or future; of task.return, the result; nil if there is none
	async   bool  // of subtask.cancel and the cancel built-ins of streams and futures
	cancel  bool  // of those that wait: cancellable
	index   uint32
	memory  *coreItem
	table   *coreItem
	options options
}

// Codes of canonical definitions.
const (
	canonLift              = 0x00
	canonLower             = 0x01
	canonResourceNew       = 0x02
	canonResourceDrop      = 0x03
	canonResourceRep       = 0x04
	canonTaskCancel        = 0x05
	canonSubtaskCancel     = 0x06
	canonResourceDropAsync = 0x07
	canonBackpressureSet   = 0x08
	canonTaskReturn        = 0x09
	canonContextGet        = 0x0a
	canonContextSet        = 0x0b
	canonThreadYield       = 0x0c
	canonSubtaskDrop       = 0x0d
	canonStreamNew         = 0x0e
	canonStreamRead        = 0x0f
	canonStreamWrite       = 0x10
	canonStreamCancelRead  = 0x11
	canonStreamCancelWrite = 0x12
	canonStreamDropRead    = 0x13
	canonStreamDropWrite   = 0x14
	canonFutureNew         = 0x15
	canonFutureRead        = 0x16
	canonFutureWrite       = 0x17
	canonFutureCancelRead  = 0x18
	canonFutureCancelWrite = 0x19
	canonFutureDropRead    = 0x1a
	canonFutureDropWrite   = 0x1b
	canonErrorContextNew   = 0x1c
	canonErrorContextDebug = 0x1d
	canonErrorContextDrop  = 0x1e
	canonWaitableSetNew    = 0x1f
	canonWaitableSetWait   = 0x20
	canonWaitableSetPoll   = 0x21
	canonWaitableSetDrop   = 0x22
	canonWaitableJoin      = 0x23
	canonBackpressureInc   = 0x24
	canonBackpressureDec   = 0x25
	canonThreadIndex       = 0x26
	canonThreadNew         = 0x27
	canonThreadSwitchTo    = 0x28
	canonThreadSuspend     = 0x29
	canonThreadResumeLater = 0x2a
	canonThreadYieldTo     = 0x2b
	canonThreadSpawnRef    = 0x40
	canonThreadSpawn       = 0x41
	canonParallelism       = 0x42
)

// canon evaluates a canonical definition.
func (d *decoder) canon(s *scope, r *reader) {
	pos := r.pos
	switch op := r.byte(); {
	case r.err != nil:
	case op == canonLift:
		s.lift(r, pos)
	case op == canonLower:
		if zero := r.byte(); zero != 0 {
			r.fail(invalid(pos, "form %#02x of canon lower", zero))
		}
		f := at(r, s.funcs, r.u32(), "function")
		s.coreFunc(&coreItem{lowered: &lowering{f, s.options(r)}})
	case op == canonResourceDrop || op == canonResourceDropAsync:
		s.coreFunc(&coreItem{dropped: &Type{Form: FormResource, Resource: s.resource(r)}})
	default:
		b := &builtin{op: op, at: pos}
		s.readBuiltin(r, b)
		s.coreFunc(&coreItem{builtin: b})
	}
}

func (s *scope) coreFunc(it *coreItem) {
	s.core[coreSortFunc] = append(s.core[coreSortFunc], it)
}

func (s *scope) lift(r *reader, pos int) {
	if zero := r.byte(); zero != 0 {
		r.fail(invalid(pos, "form %#02x of canon lift", zero))
	}
	l := &lift{core: at(r, s.core[coreSortFunc], r.u32(), "core function"), options: s.options(r)}
	s.funcs = append(s.funcs, &function{typ: s.described(r, FormFunc, FormAsyncFunc), lift: l})
}

// options reads canonical options.
func (s *scope) options(r *reader) (o options) {
	o.at = r.pos
	for n := r.count("canonical options"); n > 0 && r.err == nil; n-- {
		pos := r.pos
		switch b := r.byte(); b {
		case 0, 1, 2:
			o.encoding = b
		case 3:
			o.memory = at(r, s.core[coreSortMemory], r.u32(), "core memory")
		case 4:
			o.realloc = s.function(r)
		case 5:
			o.postReturn = s.function(r)
		case 6:
			o.async = true
		case 7:
			o.callback = s.function(r)
		case 8, 9:
			r.fail(unsupportedAt(pos, "canonical options with garbage collected types are not supported: build without them"))
		default:
			r.fail(invalid(pos, "unknown canonical option %#02x", b))
		}
	}
	return o
}

func (s *scope) function(r *reader) *coreItem {
	return at(r, s.core[coreSortFunc], r.u32(), "core function")
}

// readBuiltin reads the operands of a built-in.
func (s *scope) readBuiltin(r *reader, b *builtin) {
	switch op := b.op; op {
	case canonResourceNew, canonResourceRep:
		b.typ = &Type{Form: FormResource, Resource: s.resource(r)}
	case canonTaskReturn:
		b.typ, b.options = s.results(r), s.options(r)
	case canonContextGet, canonContextSet:
		if t := r.byte(); t != 0x7f && t != 0x7e {
			r.fail(invalid(b.at, "context of the type %#02x", t))
		}
		b.index = r.u32()
	case canonSubtaskCancel:
		b.async = r.flag("the mark of async")
	case canonThreadYield, canonThreadSwitchTo, canonThreadSuspend, canonThreadYieldTo:
		b.cancel = r.flag("the mark of cancellable")
	case canonStreamNew, canonStreamDropRead, canonStreamDropWrite:
		b.typ = s.described(r, FormStream, FormStream)
	case canonFutureNew, canonFutureDropRead, canonFutureDropWrite:
		b.typ = s.described(r, FormFuture, FormFuture)
	case canonStreamRead, canonStreamWrite:
		b.typ, b.options = s.described(r, FormStream, FormStream), s.options(r)
	case canonFutureRead, canonFutureWrite:
		b.typ, b.options = s.described(r, FormFuture, FormFuture), s.options(r)
	case canonStreamCancelRead, canonStreamCancelWrite:
		b.typ, b.async = s.described(r, FormStream, FormStream), r.flag("the mark of async")
	case canonFutureCancelRead, canonFutureCancelWrite:
		b.typ, b.async = s.described(r, FormFuture, FormFuture), r.flag("the mark of async")
	case canonErrorContextNew, canonErrorContextDebug:
		b.options = s.options(r)
	case canonWaitableSetWait, canonWaitableSetPoll:
		b.cancel, b.memory = r.flag("the mark of cancellable"), at(r, s.core[coreSortMemory], r.u32(), "core memory")
	case canonTaskCancel, canonBackpressureSet, canonSubtaskDrop, canonErrorContextDrop, canonWaitableSetNew, canonWaitableSetDrop, canonWaitableJoin,
		canonBackpressureInc, canonBackpressureDec, canonThreadIndex, canonThreadResumeLater:
	case canonThreadNew, canonThreadSpawn:
		b.index, b.table = r.u32(), at(r, s.core[coreSortTable], r.u32(), "core table")
	case canonThreadSpawnRef:
		b.index = r.u32()
	case canonParallelism:
	default:
		r.fail(invalid(b.at, "unknown canonical definition %#02x", op))
	}
}
