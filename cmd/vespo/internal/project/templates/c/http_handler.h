/*
 * The part of the http-wasm HTTP handler ABI that a service needs. The whole: https://http-wasm.io/http-handler-abi/
 *
 * Functions with buf and limit return the value's real length, and write nothing if that exceeds limit.
 */
#ifndef HTTP_HANDLER_H
#define HTTP_HANDLER_H

#include <stdint.h>

#define HTTP_IMPORT(name) __attribute__((import_module("http_handler"), import_name(#name)))
#define HTTP_EXPORT(name) __attribute__((export_name(#name)))

enum http_kind { HTTP_REQUEST = 0, HTTP_RESPONSE = 1 };
enum http_log_level { HTTP_DEBUG = -1, HTTP_INFO = 0, HTTP_WARN = 1, HTTP_ERROR = 2 };

HTTP_IMPORT(get_method) uint32_t http_get_method(char *buf, uint32_t limit);

/* The path and query as the client sent them. */
HTTP_IMPORT(get_uri) uint32_t http_get_uri(char *buf, uint32_t limit);

/* The values of a header, each ended by a NUL: count << 32 | length in bytes. */
HTTP_IMPORT(get_header_values)
uint64_t http_get_header_values(uint32_t kind, const char *name, uint32_t name_len, char *buf, uint32_t limit);

HTTP_IMPORT(set_header_value)
void http_set_header_value(uint32_t kind, const char *name, uint32_t name_len, const char *value, uint32_t value_len);

/* The next piece of the body: end << 32 | length, where end is 1 with or after the last piece. limit must not be 0. */
HTTP_IMPORT(read_body) uint64_t http_read_body(uint32_t kind, char *buf, uint32_t limit);

/* Status and headers of the answer are final with the first piece of its body. */
HTTP_IMPORT(write_body) void http_write_body(uint32_t kind, const char *body, uint32_t body_len);

HTTP_IMPORT(set_status_code) void http_set_status_code(uint32_t status);

HTTP_IMPORT(log) void http_log(int32_t level, const char *message, uint32_t message_len);

#endif
