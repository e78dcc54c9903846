#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define TEXT(s) ((text){s, sizeof s - 1})

typedef int32_t handle;
typedef struct { const char *at; size_t length; } text;
typedef struct { text *at; size_t length; } texts;
typedef struct { uint8_t some; text text; } option;
typedef struct { bool failed; int code, status; uint64_t bytes; uint32_t sum; } outcome;

static char heap[1 << 18];
static size_t used;

void *EXPORT("cabi_realloc") cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
	(void)old, (void)old_size;
	used = (used + align - 1) & ~(align - 1);
	if (used + size > sizeof heap) __builtin_trap();
	used += size;
	return heap + used - size;
}

static void need(bool ok) { if (!ok) __builtin_trap(); }

// add counts bytes of a response.
static void add(outcome *o, const char *at, size_t n) {
	o->bytes += n;
	while (n--) o->sum = o->sum * 31 + (uint8_t)*at++;
}
