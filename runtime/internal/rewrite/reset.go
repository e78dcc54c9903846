package rewrite

import "fmt"

// freshUse is the first instruction found that changes state which the host cannot restore.
type freshUse struct {
	instruction string // empty for none
	function    int
}

// noteState records instructions that change linear memory, and the first instruction
// that changes a table, drops a segment or sets a global that the host cannot write.
func (m *module) noteState(in *instr, function int) {
	m.writesMemory = m.writesMemory || changesMemory(in.op)
	if m.fresh.instruction != "" {
		return
	}
	if name := m.unwritable(in); name != "" {
		m.fresh = freshUse{name, function}
	}
}

// changesMemory reports whether an instruction can change the contents or the size of linear memory.
func changesMemory(op uint16) bool {
	switch op {
	case opMemoryGrow, opMemoryInit, opMemoryCopy, opMemoryFill, opV128Store:
		return true
	}
	return opI32Store <= op && op <= opI64Store32 || opV128Store8Lane <= op && op <= opV128Store64Lane
}

func (m *module) unwritable(in *instr) string {
	switch in.op {
	case opTableSet:
		return "table.set"
	case opTableGrow:
		return "table.grow"
	case opTableFill:
		return "table.fill"
	case opTableInit:
		return "table.init"
	case opTableCopy:
		return "table.copy"
	case opElemDrop:
		return "elem.drop"
	case opDataDrop:
		return "data.drop"
	case opGlobalSet:
		g := m.globals[in.x]
		if g.typ == V128 || g.typ.reference() {
			return fmt.Sprintf("global.set of a %s global", g.typ)
		}
	}
	return ""
}

// freshReason returns the reason why instances cannot be reset in place, or "" if they can.
func (m *module) freshReason() string {
	for _, g := range m.globals[:m.importedGlobals] {
		if g.mutable {
			return "imports a mutable global"
		}
	}
	if m.memory != nil && m.memory.Shared {
		return "has a shared memory"
	}
	if m.fresh.instruction == "" {
		return ""
	}
	return "uses " + m.fresh.instruction + " in " + m.describe(m.fresh.function)
}

// describe returns a function's index, and its name if it has one.
func (m *module) describe(function int) string {
	where := fmt.Sprintf("function %d", function)
	if name := m.functionName(function); name != "" {
		where += fmt.Sprintf(" (%q)", name)
	}
	return where
}
