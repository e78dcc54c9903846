// The memory of a guest for tests, HEAP bytes, and need, which traps unless something holds.
static char heap[HEAP];
static size_t used;

void *EXPORT("cabi_realloc") cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
	(void)old, (void)old_size;
	used = (used + align - 1) & ~(align - 1);
	if (used + size > sizeof heap) __builtin_trap();
	used += size;
	return heap + used - size;
}

static void need(bool ok) { if (!ok) __builtin_trap(); }
