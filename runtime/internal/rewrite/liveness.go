package rewrite

// liveness computes how long the local variables of a function live, in one pass over its body. A variable
// lives from its first mention to its last read. A variable that is read in a loop lives for the whole loop.
type liveness struct {
	spans []lifespan // by local variable
	reads []uint32   // local variables in the order they were read in open loops, unique between two loop ends
	stamp []int64
	clock int64
	open  []openLoop
	loops []int64 // by loop, in the order of their starts: number of variables read in it
}

// lifespan counts instructions, blocks (those in loops twice) and merges of control flow.
type lifespan struct {
	known                  bool
	last                   int // instruction
	fromBlock, toBlock     int64
	fromMeeting, toMeeting int64
}

// openLoop is an open block. Loops record where they began.
type openLoop struct {
	op             uint16
	loop           int // number of the loop, from 0
	reads          int
	block, meeting int64
	branched       bool
}

// scan reads the function in e and adds the cost of its variables.
func (l *liveness) scan(e *estimator, locals, params int) {
	if grow := locals - len(l.spans); grow > 0 {
		l.spans = append(l.spans, make([]lifespan, grow)...)
		l.stamp = append(l.stamp, make([]int64, grow)...)
	}
	spans := l.spans[:locals]
	clear(spans)
	l.reads, l.loops = l.reads[:0], l.loops[:0]
	for i := range params {
		spans[i].known = true
	}
	s := livenessScan{l: l, e: e, spans: spans, frames: append(l.open[:0], openLoop{op: opBlock})}
	r := &reader{bin: e.code, end: len(e.code)}
	var in instr
	for at := 1; len(s.frames) > 0 && r.err == nil && !e.over(); at++ {
		r.next(&in)
		s.instruction(r, &in, at)
	}
	l.open = s.frames
	for i := range spans {
		t := &spans[i]
		blocks, meetings := t.toBlock-t.fromBlock, t.toMeeting-t.fromMeeting
		if blocks > 0 {
			e.cost.MemoryBytes += liveMemory * blocks
			e.cost.Nanoseconds += liveTime * blocks
		}
		if meetings > 0 {
			e.cost.MemoryBytes += searchMemory * meetings
			e.cost.Nanoseconds += (searchTime - byteTime*searchMemory) * meetings
		}
	}
}

// lastRead returns the number of the last instruction that reads the variable.
func (l *liveness) lastRead(local uint32) int { return l.spans[local].last }

// loopReads returns the number of variables that a loop reads.
func (l *liveness) loopReads(loop int) int64 {
	if loop > len(l.loops) { // the scan ended early
		return 0
	}
	return l.loops[loop-1]
}

type livenessScan struct {
	l               *liveness
	e               *estimator
	spans           []lifespan
	frames          []openLoop
	open            int // number of open loops
	block, meetings int64
}

func (s *livenessScan) instruction(r *reader, in *instr, at int) {
	switch in.op {
	case opBlock, opLoop, opIf:
		s.begin(in)
	case opElse:
		s.blocks(1)
	case opEnd:
		s.end(at)
	case opBr, opBrIf:
		s.branched(in.x)
		s.blocks(2)
	case opBrTable:
		t := reader{bin: s.e.code, pos: in.operands, end: r.pos}
		for t.u32(); t.more(); {
			s.branched(t.u32())
		}
		s.blocks(int64(in.x) + 1)
	case opLocalGet:
		if int(in.x) < len(s.spans) {
			s.mention(&s.spans[in.x])
			s.read(&s.spans[in.x], at)
			if s.open > 0 {
				s.l.reads = append(s.l.reads, in.x)
			}
		}
	case opLocalSet, opLocalTee:
		if int(in.x) < len(s.spans) {
			t := &s.spans[in.x]
			if !t.known {
				t.known, t.fromBlock, t.fromMeeting = true, s.block, s.meetings
				t.toBlock, t.toMeeting = s.block, s.meetings
			}
		}
	}
}

// blocks adds n blocks. In loops they count twice, because they hold twice as many live values.
func (s *livenessScan) blocks(n int64) {
	if s.open > 0 {
		n *= 2
	}
	s.block += n
}

func (s *livenessScan) branched(label uint32) {
	if int(label) < len(s.frames) {
		s.frames[len(s.frames)-1-int(label)].branched = true
	}
}

// mention marks a variable that may be read before it is set. It lives from the beginning of the function.
func (s *livenessScan) mention(t *lifespan) { t.known = true }

func (s *livenessScan) read(t *lifespan, at int) {
	t.last, t.toBlock, t.toMeeting = at, s.block, s.meetings
}

func (s *livenessScan) begin(in *instr) {
	if in.op == opLoop {
		s.open++
		s.l.loops = append(s.l.loops, 0)
	}
	s.frames = append(s.frames, openLoop{op: in.op, loop: len(s.l.loops) - 1, reads: len(s.l.reads), block: s.block, meeting: s.meetings})
	s.blocks(1)
}

func (s *livenessScan) end(at int) {
	f := s.frames[len(s.frames)-1]
	s.frames = s.frames[:len(s.frames)-1]
	if f.op == opLoop {
		s.loopEnd(f, at)
	}
	if f.branched || f.op == opIf {
		s.meetings++
	}
	s.blocks(1)
}

// loopEnd extends the lives of the variables read in the loop to all of it.
func (s *livenessScan) loopEnd(f openLoop, at int) {
	l := s.l
	l.clock++
	keep := f.reads
	for _, local := range l.reads[f.reads:] {
		if l.stamp[local] == l.clock {
			continue
		}
		l.stamp[local] = l.clock
		l.reads[keep] = local
		keep++
		t := &s.spans[local]
		t.fromBlock, t.fromMeeting = min(t.fromBlock, f.block), min(t.fromMeeting, f.meeting)
		s.read(t, at)
	}
	s.e.cost.Nanoseconds += int64(len(l.reads) - f.reads)
	l.loops[f.loop] = int64(keep - f.reads)
	l.reads = l.reads[:keep]
	if s.open--; s.open == 0 {
		l.reads = l.reads[:0]
	}
}
