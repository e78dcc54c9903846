/*
 * Counts the lines, words and bytes of a POSTed body of any size, like wc.
 *
 * The guest implements http-wasm (https://http-wasm.io/http-handler-abi/) without any library, not even C's own. It needs
 * no initialisation.
 */
#include <stdint.h>

#define IMPORT(name) __attribute__((import_module("http_handler"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

enum kind { REQUEST = 0, RESPONSE = 1 };

IMPORT(get_method) uint32_t get_method(char *buf, uint32_t limit);
IMPORT(read_body) uint64_t read_body(enum kind kind, char *buf, uint32_t limit);
IMPORT(set_status_code) void set_status_code(uint32_t status);
IMPORT(set_header_value)
void set_header_value(enum kind kind, const char *name, uint32_t name_len, const char *value, uint32_t value_len);
IMPORT(write_body) void write_body(enum kind kind, const char *body, uint32_t len);

/* Expands to a string literal and its length. */
#define TEXT(literal) literal, sizeof(literal) - 1

struct counts {
	uint64_t lines, words, bytes;
	int in_word;
};

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void count(struct counts *counts, const char *piece, uint32_t len) {
	for (uint32_t i = 0; i < len; i++) {
		int space = is_space(piece[i]);
		counts->lines += piece[i] == '\n';
		counts->words += counts->in_word && space;
		counts->in_word = !space;
	}
	counts->bytes += len;
}

/* Writes a number in decimal digits. */
static void write_number(uint64_t n) {
	char digits[20]; /* enough for 2^64 - 1 */
	char *first = digits + sizeof digits;
	do {
		*--first = '0' + n % 10;
		n /= 10;
	} while (n > 0);
	write_body(RESPONSE, first, digits + sizeof digits - first);
}

/* The buffer is static, because a guest serves one request at a time. */
static char piece[8192];

/* Called for each request. The result 0 means that the request is answered. */
EXPORT(handle_request) uint64_t handle_request(void) {
	set_header_value(RESPONSE, TEXT("content-type"), TEXT("text/plain; charset=utf-8"));
	if (get_method(piece, sizeof piece) != 4 || piece[0] != 'P' || piece[1] != 'O' || piece[2] != 'S' || piece[3] != 'T') {
		set_status_code(405);
		set_header_value(RESPONSE, TEXT("allow"), TEXT("POST"));
		write_body(RESPONSE, TEXT("POST a text\n"));
		return 0;
	}
	struct counts counts = {0};
	for (int ended = 0; !ended;) {
		uint64_t got = read_body(REQUEST, piece, sizeof piece); /* end << 32 | length */
		count(&counts, piece, (uint32_t)got);
		ended = got >> 32 != 0;
	}
	write_number(counts.lines);
	write_body(RESPONSE, TEXT(" "));
	write_number(counts.words + counts.in_word);
	write_body(RESPONSE, TEXT(" "));
	write_number(counts.bytes);
	write_body(RESPONSE, TEXT("\n"));
	return 0;
}

/* Called after a request that was passed on, which does not happen here. Hosts other than Vespo require the export. */
EXPORT(handle_response) void handle_response(uint32_t context, uint32_t is_error) {
	(void)context;
	(void)is_error;
}
