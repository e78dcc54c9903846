// A guest for wasi:http/handler@0.3.0 whose handler is lifted without the option async: it returns its response.
#include "guest.h"

IMPORT("wasi:http/client@0.3.0", "send") void client_send_sync(handle, result *);
IMPORT("wasi:clocks/monotonic-clock@0.3.0", "wait-for") void clock_wait_sync(uint64_t);

result *EXPORT(HANDLER) handle_sync(handle request);
void EXPORT("cabi_post_" HANDLER) done(result *);

#define HEAP (1 << 16)
#include "../../testdata/allocator.h"

static uint32_t requests; // of this instance: each must find 0
static result answer, trailers;

static result *fail(uint8_t code) {
	answer.error = 1, answer.code = code;
	return &answer;
}

// respond returns a response with a body from outside, or with none or a body of its own.
static result *respond(int status, int some, handle contents, handle outside) {
	uint64_t own = outside ? 0 : trailers_new();
	made m;
	response_new(fields_new(), some, contents, outside ? outside : (handle)own, &m);
	need(response_set_status(m.message, status) == 0);
	sent_drop_readable(m.sent);
	if (own) need(trailers_write(own >> 32, &trailers) == BLOCKED); // it is read after the handler
	answer.error = 0, answer.response = m.message;
	return &answer;
}

static body consume(handle request) {
	uint64_t f = sent_new();
	body b;
	request_consume(request, (handle)f, &b);
	static const result ok;
	need(sent_write(f >> 32, &ok) == COMPLETED);
	return b;
}

static result *proxy(handle request) {
	handle h = request_headers(request);
	texts v;
	fields_get(h, "upstream", 8, &v);
	fields_drop(h);
	need(v.length == 1);
	body b = consume(request);
	made m;
	request_new(fields_new(), 1, b.contents, b.trailers, 0, 0, &m);
	need(request_set_method(m.message, 2, 0, 0) == 0);
	need(request_set_scheme(m.message, 1, 0, 0, 0) == 0);
	need(request_set_authority(m.message, 1, v.at[0].at, v.at[0].length) == 0);
	sent_drop_readable(m.sent);
	client_send_sync(m.message, &answer);
	return &answer;
}

result *handle_sync(handle request) {
	need(requests++ == 0);
	option path;
	request_path(request, &path);
	need(path.some && path.text.length > 1);
	switch (path.text.at[1]) {
	case 's': // sleep
		clock_wait_sync(20 * 1000 * 1000);
		// fall through
	case 'n': // nothing
		request_drop(request);
		return respond(204, 0, 0, 0);
	case 'p': { // pass
		body b = consume(request);
		return respond(200, 1, b.contents, b.trailers);
	}
	case 'o': { // own: a body that nothing can end
		request_drop(request);
		uint64_t s = stream_new();
		need(stream_write(s >> 32, "own", 3) == BLOCKED);
		return respond(200, 1, (handle)s, 0);
	}
	case 'f': // forward
		return proxy(request);
	case 'e': // error
		return fail(36);
	case 'w': // wrong
		answer.error = 0, answer.response = request;
		return &answer;
	case 'u': // unknown
		answer.error = 2;
		return &answer;
	case 'm': // misplaced
		return (result *)-8;
	}
	__builtin_trap();
}

void done(result *r) { need(r == &answer); }
