// Bindings for WASI 0.3.0, written by hand. The handler is lifted without the option async, so that it can wait anywhere.
#include "common.h"

#define TYPES "wasi:http/types@0.3.0"

// result<own<T>, error-code> and result<option<trailers>, error-code>
typedef struct { _Alignas(8) uint8_t error; _Alignas(8) union { uint8_t code; uint8_t some; handle response; }; char rest[28]; } result;
typedef struct { handle message, sent; } made;
typedef struct { handle contents, trailers; } body;
typedef struct { handle request, contents, trailers; } message;

enum { COMPLETED, DROPPED, CANCELLED, BLOCKED = -1 };

IMPORT(TYPES, "[constructor]fields") handle fields_new(void);
IMPORT(TYPES, "[resource-drop]fields") void fields_drop(handle);
IMPORT(TYPES, "[method]fields.append") void fields_append(handle, const char *, size_t, const char *, size_t, uint8_t result[20]);
IMPORT(TYPES, "[method]fields.get") void fields_get(handle, const char *, size_t, texts *);
IMPORT(TYPES, "[method]request.get-path-with-query") void path_of(handle, option *);
IMPORT(TYPES, "[method]request.get-headers") handle request_headers(handle);
IMPORT(TYPES, "[static]request.new") void request_new(handle fields, int some, handle contents, handle trailers, int options, handle, made *);
IMPORT(TYPES, "[method]request.set-method") int set_method(handle, int, const char *, size_t);
IMPORT(TYPES, "[method]request.set-path-with-query") int set_path(handle, int, const char *, size_t);
IMPORT(TYPES, "[method]request.set-scheme") int set_scheme(handle, int, int, const char *, size_t);
IMPORT(TYPES, "[method]request.set-authority") int set_authority(handle, int, const char *, size_t);
IMPORT(TYPES, "[static]response.new") void response_new(handle fields, int some, handle contents, handle trailers, made *);
IMPORT(TYPES, "[static]response.consume-body") void response_consume(handle, handle, body *);
IMPORT(TYPES, "[method]response.get-status-code") int response_status(handle);
IMPORT(TYPES, "[method]response.set-status-code") int set_status(handle, int);
IMPORT(TYPES, "[stream-new-0][static]request.new") uint64_t stream_new(void);
IMPORT(TYPES, "[stream-write-0][static]request.new") int stream_write(handle, const void *, size_t);
IMPORT(TYPES, "[stream-drop-writable-0][static]request.new") void stream_drop_writable(handle);
IMPORT(TYPES, "[future-new-1][static]request.new") uint64_t trailers_new(void);
IMPORT(TYPES, "[async-lower][future-write-1][static]request.new") int trailers_write(handle, const result *);
IMPORT(TYPES, "[stream-read-1][static]response.consume-body") int stream_read(handle, void *, size_t);
IMPORT(TYPES, "[future-new-0][static]response.consume-body") uint64_t verdict_new(void);
IMPORT(TYPES, "[async-lower][future-write-0][static]response.consume-body") int verdict_write(handle, const result *);
IMPORT("wasi:http/client@0.3.0", "[async-lower]send") int client_send(handle, result *);
IMPORT("$root", "[waitable-set-new]") handle set_new(void);
IMPORT("$root", "[waitable-set-wait]") int set_wait(handle, int event[2]);
IMPORT("$root", "[waitable-join]") void join(handle, handle);

static const result none; // no error, no trailers

static int append(handle fields, text name, text value) {
	uint8_t r[20];
	fields_append(fields, name.at, name.length, value.at, value.length, r);
	return r[0] ? 1 + r[4] : 0;
}

#include "fields.h"

static message message_new(handle fields, bool body) {
	uint64_t s = body ? stream_new() : 0, t = trailers_new();
	made m;
	request_new(fields, body, (handle)s, (handle)t, 0, 0, &m);
	return (message){m.message, s >> 32, t >> 32};
}

static outcome message_send(message m, const char *at, size_t length) {
	static result answer;
	int r = client_send(m.request, &answer);
	if (m.contents) {
		while (length > 0) {
			int w = stream_write(m.contents, at, length);
			at += w >> 4, length -= w >> 4;
			if ((w & 15) == DROPPED) break;
		}
		stream_drop_writable(m.contents);
	}
	trailers_write(m.trailers, &none);
	if ((r & 15) != 2) {
		handle set = set_new();
		join(r >> 4, set);
		int event[2];
		need(set_wait(set, event) == 1 && event[0] == r >> 4 && event[1] == 2);
	}
	if (answer.error) return (outcome){.failed = true, .code = answer.code};
	outcome o = {.status = response_status(answer.response)};
	uint64_t verdict = verdict_new();
	body b;
	response_consume(answer.response, (handle)verdict, &b);
	need(verdict_write(verdict >> 32, &none) == COMPLETED);
	static char piece[1 << 14];
	for (int n = 0; (n & 15) == COMPLETED;) {
		n = stream_read(b.contents, piece, sizeof piece);
		add(&o, piece, n >> 4);
	}
	return o;
}

static handle response(handle fields) {
	uint64_t t = trailers_new();
	made m;
	response_new(fields, 0, 0, (handle)t, &m);
	trailers_write(t >> 32, &none);
	return m.message;
}

static void wait_for_nothing(void) {
	int event[2];
	set_wait(set_new(), event);
}

static void statuses(void (*tell)(uint64_t)) {
	handle r = response(fields_new());
	static const int all[] = {200, 418, 599, 99, 600, 1000};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) tell(set_status(r, all[i]));
}

static result *respond(handle fields) {
	static result r;
	r.response = response(fields);
	return &r;
}
