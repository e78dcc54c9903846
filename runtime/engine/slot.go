package engine

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/vespo-dev/vespo/runtime/internal/slab"
)

// Slot is a cell of the slab that is reserved for an instance. It is wiped, unless it was left by another instance.
type Slot = slab.Slot

// AcquireSlot reserves a slot; false if all are taken. It does not wait.
func (e *Engine) AcquireSlot() (*Slot, bool) { return e.slab.Acquire() }

// ReleaseSlot returns an unused slot. If it cannot be wiped, it is never used again.
func (e *Engine) ReleaseSlot(slot *Slot) {
	if err := e.clean(slot); err != nil {
		e.cfg.Log.Error("a slot could not be released", slog.Any("error", err))
		return
	}
	e.slab.Release(slot)
}

// clean wipes a slot that another instance has left. After an error the slot must not be used.
func (e *Engine) clean(slot *Slot) error {
	if !slot.Dirty {
		return nil
	}
	return e.wipe(slot)
}

func (e *Engine) wipe(slot *Slot) error {
	if err := e.restorer.Wipe(slot.Bytes()); err != nil {
		// A slot that cannot be wiped may contain another tenant's data: it is never used again.
		return fmt.Errorf("engine: slot %d is lost: %w", slot.ID(), err)
	}
	slot.Dirty, slot.WrittenBytes = false, 0
	return nil
}

// Close closes the instance, wipes its slot and releases it.
func (in *Instance) Close() error {
	err := in.mod.Close(&in.context)
	return errors.Join(err, in.releaseSlot())
}

func (in *Instance) releaseSlot() error {
	if in.slot == nil {
		in.forget()
		return nil
	}
	if err := in.wipeSlot(); err != nil {
		return err
	}
	in.module.engine.slab.Release(in.slot)
	return nil
}

// Leave closes the instance and returns its slot for another one, which wipes it or maps a snapshot over it.
func (in *Instance) Leave() (*Slot, error) {
	err := in.mod.Close(&in.context)
	in.forget()
	return in.passSlotOn(), err
}

// passSlotOn returns the slot for another instance. This one has none any more.
func (in *Instance) passSlotOn() *Slot {
	slot := in.slot
	slot.Dirty, slot.WrittenBytes = true, int(in.memory.peak)
	in.slot = nil
	return slot
}

// leaveSlot closes the instance and wipes its slot, which the caller gets unless there is an error.
func (in *Instance) leaveSlot() error {
	err := in.mod.Close(&in.context)
	if wiped := in.wipeSlot(); wiped != nil || err == nil {
		return wiped
	}
	in.module.engine.slab.Release(in.slot)
	return err
}

func (in *Instance) wipeSlot() error {
	in.forget()
	return in.module.engine.wipe(in.slot)
}

// forget counts the instance as closed.
func (in *Instance) forget() {
	in.module.engine.instances.Add(-1)
	in.module.instances.Add(-1)
}
