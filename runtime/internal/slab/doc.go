// Package slab hands out equal slots of memory, one for each guest's linear memory, from one reservation made at start.
//
// The reservation is the server's memory ceiling: slots times slot size, known before the first request. A slot costs
// address space until a guest writes to it; what a slot contains is the business of package snapshot, which maps
// images over slots and wipes them. No guard regions lie between slots: compiled guests check every access against the
// length of their memory.
//
// Locks: Slab.mu is a leaf; nothing is called with it held.
package slab
