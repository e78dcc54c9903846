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

#define HEAP (1 << 18)
#include "../allocator.h"

// add counts bytes of a response.
static void add(outcome *o, const char *at, size_t n) {
	o->bytes += n;
	while (n--) o->sum = o->sum * 31 + (uint8_t)*at++;
}
