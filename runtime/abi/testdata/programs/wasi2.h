// Bindings for WASI 0.2.12, written by hand.
#include "common.h"

#define TYPES "wasi:http/types@0.2.12"
#define STREAMS "wasi:io/streams@0.2.12"

// result<own<T>, error-code> and option<result<result<own<T>, error-code>>>
typedef struct { uint8_t error; _Alignas(8) union { handle value; uint8_t code; }; char rest[28]; } result;
typedef struct { uint8_t some; _Alignas(8) uint8_t again; _Alignas(8) result value; } future;
typedef struct { uint8_t error; _Alignas(4) handle value; } own;
typedef struct { uint8_t error; _Alignas(4) union { text data; struct { uint8_t closed; handle error; } failed; }; } chunk;
typedef struct { uint8_t some; _Alignas(8) uint8_t code; char rest[31]; } code;

IMPORT(TYPES, "[constructor]fields") handle fields_new(void);
IMPORT(TYPES, "[resource-drop]fields") void fields_drop(handle);
IMPORT(TYPES, "[method]fields.append") void fields_append(handle, const char *, size_t, const char *, size_t, uint8_t result[2]);
IMPORT(TYPES, "[method]fields.get") void fields_get(handle, const char *, size_t, texts *);
IMPORT(TYPES, "[method]incoming-request.path-with-query") void path_of(handle, option *);
IMPORT(TYPES, "[method]incoming-request.headers") handle request_headers(handle);
IMPORT(TYPES, "[constructor]outgoing-request") handle request_new(handle);
IMPORT(TYPES, "[method]outgoing-request.set-method") int set_method(handle, int, const char *, size_t);
IMPORT(TYPES, "[method]outgoing-request.set-path-with-query") int set_path(handle, int, const char *, size_t);
IMPORT(TYPES, "[method]outgoing-request.set-scheme") int set_scheme(handle, int, int, const char *, size_t);
IMPORT(TYPES, "[method]outgoing-request.set-authority") int set_authority(handle, int, const char *, size_t);
IMPORT(TYPES, "[method]outgoing-request.body") void request_body(handle, own *);
IMPORT(TYPES, "[method]outgoing-body.write") void body_write(handle, own *);
IMPORT(TYPES, "[static]outgoing-body.finish") void body_finish(handle, int some, handle trailers, result *);
IMPORT(TYPES, "http-error-code") void error_code(handle, code *);
IMPORT(TYPES, "[method]future-incoming-response.subscribe") handle future_subscribe(handle);
IMPORT(TYPES, "[method]future-incoming-response.get") void future_get(handle, future *);
IMPORT(TYPES, "[method]incoming-response.status") int incoming_status(handle);
IMPORT(TYPES, "[method]incoming-response.consume") void incoming_consume(handle, own *);
IMPORT(TYPES, "[method]incoming-body.stream") void incoming_stream(handle, own *);
IMPORT(TYPES, "[constructor]outgoing-response") handle response_new(handle);
IMPORT(TYPES, "[method]outgoing-response.set-status-code") int set_status(handle, int);
IMPORT(TYPES, "[method]outgoing-response.body") void response_body(handle, own *);
IMPORT(TYPES, "[static]response-outparam.set") void outparam_set(handle, int, handle, int, int64_t, int, int, int, int);
IMPORT("wasi:http/outgoing-handler@0.2.12", "handle") void send(handle, int, handle, result *);
IMPORT("wasi:io/poll@0.2.12", "poll") void poll(const handle *, size_t, texts *);
IMPORT("wasi:io/poll@0.2.12", "[method]pollable.block") void block(handle);
IMPORT("wasi:io/poll@0.2.12", "[resource-drop]pollable") void pollable_drop(handle);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush") void stream_write(handle, const char *, size_t, chunk *);
IMPORT(STREAMS, "[method]input-stream.blocking-read") void stream_read(handle, uint64_t, chunk *);
IMPORT(STREAMS, "[resource-drop]output-stream") void output_drop(handle);
IMPORT(STREAMS, "[resource-drop]input-stream") void input_drop(handle);

typedef struct { handle request, body; } message;

static int append(handle fields, text name, text value) {
	uint8_t r[2];
	fields_append(fields, name.at, name.length, value.at, value.length, r);
	return r[0] ? 1 + r[1] : 0;
}

#include "fields.h"

static message message_new(handle fields, bool body) {
	message m = {request_new(fields), 0};
	if (body) {
		own o;
		request_body(m.request, &o);
		need(!o.error);
		m.body = o.value;
		request_body(m.request, &o);
		need(o.error); // only once
	}
	return m;
}

// upload writes the body. It returns whether it failed, and the error-code.
static bool upload(handle body, const char *at, size_t length, int *failed) {
	own stream;
	body_write(body, &stream);
	need(!stream.error);
	for (size_t n; length > 0; at += n, length -= n) {
		chunk c;
		stream_write(stream.value, at, n = length < 4096 ? length : 4096, &c);
		if (!c.error) continue;
		code e;
		need(c.failed.closed == 0);
		error_code(c.failed.error, &e);
		need(e.some);
		*failed = e.code;
		return true;
	}
	output_drop(stream.value);
	result r;
	body_finish(body, 0, 0, &r);
	if (r.error) *failed = r.code;
	return r.error;
}

static outcome message_send(message m, const char *at, size_t length) {
	result r;
	send(m.request, 0, 0, &r);
	if (r.error) return (outcome){.failed = true, .code = r.code};
	int failed;
	if (m.body && upload(m.body, at, length, &failed)) return (outcome){.failed = true, .code = failed};
	handle ready = future_subscribe(r.value);
	block(ready);
	pollable_drop(ready);
	future f;
	future_get(r.value, &f);
	need(f.some && !f.again);
	if (f.value.error) return (outcome){.failed = true, .code = f.value.code};
	outcome o = {.status = incoming_status(f.value.value)};
	own body, stream;
	incoming_consume(f.value.value, &body);
	need(!body.error);
	incoming_stream(body.value, &stream);
	need(!stream.error);
	for (chunk c;;) {
		size_t before = used;
		stream_read(stream.value, 1 << 16, &c);
		if (c.error) { need(c.failed.closed == 1); break; }
		add(&o, c.data.at, c.data.length);
		used = before;
	}
	input_drop(stream.value);
	return o;
}

static void wait_for_nothing(void) {
	texts ready;
	poll((const handle *)heap, 0, &ready);
}

static void statuses(void (*tell)(uint64_t)) {
	handle r = response_new(fields_new());
	static const int all[] = {200, 418, 599, 99, 600, 1000};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) tell(set_status(r, all[i]));
	own o;
	response_body(r, &o);
	need(!o.error);
	handle body = o.value;
	response_body(r, &o);
	need(o.error); // only once
	body_write(body, &o);
	need(!o.error);
	body_write(body, &o);
	need(o.error); // only once
}

static void respond(handle out, handle fields) {
	size_t silent = count(fields, TEXT("silent")), twice = count(fields, TEXT("twice"));
	if (silent) return;
	if (twice) outparam_set(out, 0, response_new(fields_new()), 0, 0, 0, 0, 0, 0);
	handle r = response_new(fields);
	own body;
	response_body(r, &body);
	outparam_set(out, 0, r, 0, 0, 0, 0, 0, 0);
	result done;
	body_finish(body.value, 0, 0, &done);
	need(!done.error);
}
