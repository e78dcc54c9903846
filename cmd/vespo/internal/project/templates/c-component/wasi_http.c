#include "wasi_http.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Functions of the interfaces, as the canonical ABI lowers them. A result that is not one number goes to the last parameter. */
#define TYPES(name) __attribute__((import_module("wasi:http/types@0.2.0"), import_name(name)))
#define STREAMS(name) __attribute__((import_module("wasi:io/streams@0.2.0"), import_name(name)))
#define POLL(name) __attribute__((import_module("wasi:io/poll@0.2.0"), import_name(name)))

struct area { _Alignas(8) uint32_t word[12]; };
struct entry { const char *name; size_t name_length; const char *value; size_t value_length; };

TYPES("[method]incoming-request.method") void request_method(int32_t request, struct area *result);
TYPES("[method]incoming-request.path-with-query") void request_path(int32_t request, struct area *result);
TYPES("[method]incoming-request.consume") void request_consume(int32_t request, struct area *result);
TYPES("[method]incoming-body.stream") void body_stream(int32_t body, struct area *result);
TYPES("[static]fields.from-list") void fields_from_list(const struct entry *entries, size_t length, struct area *result);
TYPES("[constructor]outgoing-response") int32_t response_new(int32_t fields);
TYPES("[method]outgoing-response.set-status-code") int32_t response_set_status(int32_t response, int32_t status);
TYPES("[method]outgoing-response.body") void response_body(int32_t response, struct area *result);
TYPES("[method]outgoing-body.write") void body_write(int32_t body, struct area *result);
TYPES("[static]outgoing-body.finish") void body_finish(int32_t body, int32_t has_trailers, int32_t trailers, struct area *result);
TYPES("[static]response-outparam.set")
void outparam_set(int32_t out, int32_t is_error, int32_t value, int32_t, int64_t, int32_t, int32_t, int32_t, int32_t);
TYPES("[resource-drop]incoming-request") void request_drop(int32_t request);
TYPES("[resource-drop]incoming-body") void incoming_body_drop(int32_t body);
STREAMS("[method]input-stream.blocking-read") void stream_read(int32_t stream, int64_t limit, struct area *result);
STREAMS("[resource-drop]input-stream") void input_drop(int32_t stream);
STREAMS("[method]output-stream.check-write") void stream_check(int32_t stream, struct area *result);
STREAMS("[method]output-stream.write") void stream_write(int32_t stream, const void *data, size_t length, struct area *result);
STREAMS("[method]output-stream.blocking-flush") void stream_flush(int32_t stream, struct area *result);
STREAMS("[method]output-stream.subscribe") int32_t stream_subscribe(int32_t stream);
STREAMS("[resource-drop]output-stream") void output_drop(int32_t stream);
POLL("[method]pollable.block") void poll_block(int32_t pollable);
POLL("[resource-drop]pollable") void poll_drop(int32_t pollable);

enum { MAX_FIELDS = 64 };

struct response {
	int32_t out, body, stream;
	int status;
	bool sent, gone;
	size_t fields;
	struct entry field[MAX_FIELDS];
};

/* The host allocates strings and lists with it. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
	(void)old_size;
	(void)align;
	void *new = realloc(old, size);
	if (!new && size)
		abort();
	return new;
}

static char *string_of(const char *text, size_t length) {
	char *copy = cabi_realloc(NULL, 0, 1, length + 1);
	memcpy(copy, text, length);
	copy[length] = 0;
	return copy;
}

static char *method_of(int32_t request) {
	static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
	struct area r;
	request_method(request, &r);
	unsigned which = r.word[0] & 0xff;
	if (which < sizeof names / sizeof *names)
		return string_of(names[which], strlen(names[which]));
	return string_of((const char *)r.word[1], r.word[2]);
}

static char *path_of(int32_t request) {
	struct area r;
	request_path(request, &r);
	return r.word[0] & 0xff ? string_of((const char *)r.word[1], r.word[2]) : string_of("/", 1);
}

static int32_t input, input_body; /* of the body that is read; 0 before */

long request_read(struct request *request, void *buf, size_t limit) {
	struct area r;
	if (!input) {
		request_consume(request->handle, &r);
		if (r.word[0] & 0xff)
			return -1;
		input_body = r.word[1];
		body_stream(input_body, &r);
		if (r.word[0] & 0xff)
			return -1;
		input = r.word[1];
	}
	stream_read(input, limit, &r);
	if (r.word[0] & 0xff)
		return (r.word[1] & 0xff) == 1 ? 0 : -1; /* closed, or failed */
	memcpy(buf, (const void *)r.word[1], r.word[2]);
	free((void *)r.word[1]);
	return r.word[2];
}

void response_status(struct response *response, int status) { response->status = status; }

void response_header(struct response *response, const char *name, const char *value) {
	if (response->fields < MAX_FIELDS)
		response->field[response->fields++] = (struct entry){name, strlen(name), value, strlen(value)};
}

/* Sends the status and the header fields. */
static void send(struct response *response) {
	struct area r;
	response->sent = true;
	fields_from_list(response->field, response->fields, &r);
	if (r.word[0] & 0xff)
		abort(); /* a name or a value is not valid */
	int32_t answer = response_new(r.word[1]);
	response_set_status(answer, response->status);
	response_body(answer, &r);
	response->body = r.word[1];
	outparam_set(response->out, 0, answer, 0, 0, 0, 0, 0, 0);
	body_write(response->body, &r);
	response->stream = r.word[1];
}

int response_write(struct response *response, const void *data, size_t length) {
	struct area r;
	if (!response->sent)
		send(response);
	const char *next = data;
	while (length > 0 && !response->gone) {
		stream_check(response->stream, &r);
		if (r.word[0] & 0xff) {
			response->gone = true;
			break;
		}
		size_t ready = r.word[3] ? length : r.word[2];
		if (ready == 0) {
			int32_t pollable = stream_subscribe(response->stream);
			poll_block(pollable);
			poll_drop(pollable);
			continue;
		}
		size_t piece = ready < length ? ready : length;
		stream_write(response->stream, next, piece, &r);
		response->gone = r.word[0] & 0xff;
		next += piece;
		length -= piece;
	}
	return response->gone ? -1 : 0;
}

__attribute__((export_name("wasi:http/incoming-handler@0.2.0#handle"))) void incoming_handler_handle(int32_t handle_, int32_t out) {
	struct area r;
	struct request request = {handle_, method_of(handle_), path_of(handle_)};
	struct response response = {.out = out, .status = 200};
	handle(&request, &response);
	if (!response.sent)
		send(&response);
	if (!response.gone)
		stream_flush(response.stream, &r);
	output_drop(response.stream);
	body_finish(response.body, 0, 0, &r);
	if (input) {
		input_drop(input);
		incoming_body_drop(input_body);
		input = 0;
	}
	free(request.method);
	free(request.path);
	request_drop(request.handle);
}
