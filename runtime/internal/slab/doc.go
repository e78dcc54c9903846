// Package slab manages equally sized slots of memory, one for the linear memory of each
// guest, in one reservation made at the start.
//
// The reservation is the limit of guest memory: slots times slot size, known before the first
// request. A slot costs only address space until a guest writes to it. Package snapshot manages
// the contents of slots: it maps images over them and wipes them. There are no guard regions
// between slots: compiled guests check every access against the length of their memory.
//
// Lock order: Slab.mu is a leaf; no other lock is taken while it is held.
package slab
