/*
 * Converts units: /units?value=21.5&from=c&to=f. A guest of the size that TinyGo, Rust and C make: most of the module is the regular
 * expressions and the numbers of C's library, which it needs.
 */
#include <regex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("http_handler"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

enum kind { REQUEST = 0, RESPONSE = 1 };

IMPORT(get_uri) uint32_t get_uri(char *buf, uint32_t limit);
IMPORT(set_status_code) void set_status_code(uint32_t status);
IMPORT(set_header_value)
void set_header_value(enum kind kind, const char *name, uint32_t name_len, const char *value, uint32_t value_len);
IMPORT(write_body) void write_body(enum kind kind, const char *body, uint32_t len);

/* A unit is factor * x + offset of the base unit of its kind. */
struct unit {
	const char *name;
	char kind;
	double factor, offset;
};

static struct unit units[] = {
	{"m", 'l', 1, 0}, {"km", 'l', 1e3, 0}, {"mi", 'l', 1609.344, 0}, {"ft", 'l', 0.3048, 0}, {"in", 'l', 0.0254, 0},
	{"kg", 'w', 1, 0}, {"lb", 'w', 0.45359237, 0}, {"oz", 'w', 0.028349523125, 0},
	{"k", 't', 1, 0}, {"c", 't', 1, 273.15}, {"f", 't', 5.0 / 9, 459.67 * 5 / 9},
};

#define COUNT (sizeof units / sizeof *units)

static regex_t query;

static int by_name(const void *a, const void *b) {
	return strcmp(((const struct unit *)a)->name, ((const struct unit *)b)->name);
}

/* Sorts the units and compiles the expression before the first request: both are in the snapshot. */
__attribute__((constructor)) static void prepare(void) {
	qsort(units, COUNT, sizeof *units, by_name);
	if (regcomp(&query, "[?]value=([-+0-9.eE]+)&from=([a-z]+)&to=([a-z]+)$", REG_EXTENDED) != 0)
		abort();
}

static struct unit *find(const char *name) {
	struct unit key = {.name = name};
	return bsearch(&key, units, COUNT, sizeof *units, by_name);
}

/* Copies a part of text that was matched. It is cut if it is longer than size - 1. */
static void part(char *to, size_t size, const char *text, regmatch_t m) {
	size_t len = m.rm_eo - m.rm_so;
	if (len > size - 1)
		len = size - 1;
	memcpy(to, text + m.rm_so, len);
	to[len] = 0;
}

static void answer(uint32_t status, const char *text) {
	static const char name[] = "content-type", value[] = "text/plain; charset=utf-8";
	set_status_code(status);
	set_header_value(RESPONSE, name, sizeof name - 1, value, sizeof value - 1);
	write_body(RESPONSE, text, strlen(text));
}

/* Called for each request. The result 0 means that the request is answered. */
EXPORT(handle_request) uint64_t handle_request(void) {
	static char uri[1024], value[32], from[8], to[8], text[128];
	regmatch_t parts[4];
	uint32_t len = get_uri(uri, sizeof uri - 1);

	if (len >= sizeof uri || regexec(&query, uri, 4, parts, 0) != 0) {
		answer(400, "ask with ?value=1.5&from=km&to=mi\n");
		return 0;
	}
	part(value, sizeof value, uri, parts[1]);
	part(from, sizeof from, uri, parts[2]);
	part(to, sizeof to, uri, parts[3]);
	const struct unit *a = find(from), *b = find(to);
	if (!a || !b || a->kind != b->kind) {
		answer(400, "these units are not known, or differ in kind\n");
		return 0;
	}
	double x = strtod(value, NULL);
	snprintf(text, sizeof text, "hello %g %s is %.2f %s\n", x, from, (a->factor * x + a->offset - b->offset) / b->factor, to);
	answer(200, text);
	return 0;
}
