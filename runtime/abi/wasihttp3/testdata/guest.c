// A guest for wasi:http/handler@0.3.0 that does what the first word of the path says.
#include "guest.h"

#define HEAP (1 << 16)
#include "../../testdata/allocator.h"

static char buffer[1 << 14];
static size_t length(const char *s) { size_t n = 0; while (s[n]) n++; return n; }

static uint32_t requests; // of this instance: each must find 0
static handle set, in, out, in_trailers, out_trailers, sent, upstream;
static result verdict, got_trailers, answer;
static size_t pending, written;
static int (*next)(int, int, int);

static int wait(int (*then)(int, int, int)) { next = then; return WAIT | set << 4; }
static void add(handle fields, const char *name, const char *value) {
	uint8_t r[20];
	fields_append(fields, name, length(name), value, length(value), r);
	need(r[0] == 0);
}

// respond returns a response. Its body is written to out, its trailers to out_trailers.
static void respond(handle fields, int status, bool with_body) {
	uint64_t s = with_body ? stream_new() : 0, t = trailers_new();
	made m;
	out = s >> 32, out_trailers = t >> 32;
	response_new(fields, with_body, (handle)s, (handle)t, &m);
	need(response_set_status(m.message, status) == 0);
	sent = m.sent;
	task_return(0, m.message, 0, 0, 0, 0, 0, 0);
}

static void end(handle fields) {
	result r = {0};
	if (fields) r.trailers.some = 1, r.trailers.fields = fields;
	need(trailers_write(out_trailers, &r) == COMPLETED);
	trailers_drop_writable(out_trailers);
}

static int say(const char *s) {
	respond(fields_new(), 200, true);
	need(stream_write(out, s, length(s)) == (int)(length(s) << 4));
	stream_drop_writable(out);
	end(0);
	return EXIT;
}

static void consume(handle request) {
	uint64_t f = sent_new();
	body b;
	request_consume(request, (handle)f, &b);
	in = b.contents, in_trailers = b.trailers;
	result ok = {0};
	need(sent_write(f >> 32, &ok) == COMPLETED);
}

// Echo: reads and writes with as much overlap as one buffer allows. The trailers go back, too.
static int echo_write(void);
static int echo_trailers(int code, int waitable, int payload) {
	need(code == 4 && waitable == in_trailers && payload == COMPLETED);
	handle f = 0;
	if (!got_trailers.error && got_trailers.trailers.some) f = got_trailers.trailers.fields;
	end(f);
	return EXIT;
}
static int echo_done(void) {
	stream_drop_writable(out);
	stream_drop_readable(in);
	int r = trailers_read(in_trailers, &got_trailers);
	if (r == BLOCKED) { join(in_trailers, set); return wait(echo_trailers); }
	return echo_trailers(4, in_trailers, r);
}
static bool last;
static int echo_read(void);
static int on_read(int code, int waitable, int payload) {
	need(code == 2 && waitable == in);
	pending = (uint32_t)payload >> 4, written = 0, last = (payload & 15) == DROPPED;
	return echo_write();
}
static int on_write(int code, int waitable, int payload) {
	need(code == 3 && waitable == out && (payload & 15) == COMPLETED);
	written += (uint32_t)payload >> 4;
	return echo_write();
}
static int echo_write(void) {
	while (written < pending) {
		int r = stream_write(out, buffer + written, pending - written);
		if (r == BLOCKED) { join(out, set); return wait(on_write); }
		if ((r & 15) != COMPLETED) return EXIT;
		written += (uint32_t)r >> 4;
	}
	return last ? echo_done() : echo_read();
}
static int echo_read(void) {
	int r = stream_read(in, buffer, sizeof buffer);
	if (r == BLOCKED) { join(in, set); return wait(on_read); }
	return on_read(2, in, r);
}

// Proxy: sends the request on to the authority in the header field upstream.
static int relay(int code, int waitable, int payload) {
	if (code == 1) { need(waitable == upstream && payload == 2); join(upstream, 0); subtask_drop(upstream); }
	if (answer.error) { task_return(1, answer.code, 0, 0, 0, 0, 0, 0); return EXIT; }
	task_return(0, answer.response, 0, 0, 0, 0, 0, 0);
	return EXIT;
}
static handle first_byte(void) {
	uint8_t r[16];
	handle options = options_new();
	options_first(options, 1, 100 * 1000 * 1000, r);
	need(r[0] == 0);
	return options;
}
static handle between_bytes(void) {
	uint8_t r[16];
	handle options = options_new();
	options_between(options, 1, 100 * 1000 * 1000, r);
	need(r[0] == 0);
	return options;
}
static int proxy(handle request, text path, handle (*limits)(void), bool trailing) {
	handle h = request_headers(request);
	texts v;
	fields_get(h, "upstream", 8, &v);
	need(v.length == 1);
	variant method;
	request_method(request, &method);
	consume(request);
	handle fields = fields_new();
	add(fields, "via", "guest");
	uint64_t own = trailing ? trailers_new() : 0;
	made m;
	request_new(fields, 1, in, trailing ? (handle)own : in_trailers, limits != 0, limits ? limits() : 0, &m);
	need(request_set_method(m.message, method.kind, 0, 0) == 0);
	need(request_set_scheme(m.message, 1, 0, 0, 0) == 0);
	need(request_set_authority(m.message, 1, v.at[0].at, v.at[0].length) == 0);
	need(request_set_path(m.message, 1, path.at, path.length) == 0);
	sent_drop_readable(m.sent);
	fields_drop(h);
	int r = client_send(m.message, &answer);
	if (trailing) {
		out_trailers = own >> 32;
		handle f = fields_new();
		add(f, "checksum", "123");
		end(f);
	}
	if ((r & 15) == 2) return relay(0, 0, 0);
	upstream = r >> 4;
	join(upstream, set);
	return wait(relay);
}

// Gate: passes the request on to the handler behind, at the rest of the path. With a body of its own if it has to.
static int gate(handle request, text path) {
	path.at += 5, path.length -= 5;
	need(request_set_path(request, 1, path.at, path.length) == 0);
	int r = next_handle(request, &answer);
	if ((r & 15) == 2) return relay(0, 0, 0);
	upstream = r >> 4;
	join(upstream, set);
	return wait(relay);
}
static int rewrite(handle request, text path) {
	path.at += 8, path.length -= 8;
	consume(request);
	handle fields = fields_new();
	add(fields, "x-gate", "open");
	made m;
	request_new(fields, 1, in, in_trailers, 0, 0, &m);
	need(request_set_method(m.message, 2, 0, 0) == 0);
	need(request_set_path(m.message, 1, path.at, path.length) == 0);
	sent_drop_readable(m.sent);
	int r = next_handle(m.message, &answer);
	if ((r & 15) == 2) return relay(0, 0, 0);
	upstream = r >> 4;
	join(upstream, set);
	return wait(relay);
}

static int trap_in_callback(int code, int waitable, int payload) { (void)code, (void)waitable, (void)payload; __builtin_trap(); }
static int awake(int code, int waitable, int payload) { need(code == 1 && waitable == upstream && payload == 2); return say("awake\n"); }
static int yielded(int code, int waitable, int payload) { need(!code && !waitable && !payload); return say("yielded\n"); }
static int never(int code, int waitable, int payload) { return say("never\n") + 0 * (code + waitable + payload); }
static int was_sent(int code, int waitable, int payload) { need(code == 4 && waitable == sent && payload == COMPLETED && !verdict.error); return EXIT; }

// Guests that go on after their response.
static void print(const char *s) {
	uint64_t to = stream_new();
	stderr_open((handle)to);
	need(stream_write(to >> 32, s, length(s)) == (int)(length(s) << 4));
	stream_drop_writable(to >> 32);
}
static int after(uint64_t ns, int (*then)(int, int, int)) {
	int r = clock_wait(ns);
	need((r & 15) == 1);
	upstream = r >> 4;
	join(upstream, set);
	return wait(then);
}
static int late(int code, int waitable, int payload) { need(code == 1 && waitable == upstream && payload == 2); print("late\n"); return EXIT; }
static uint64_t lingers;
static int linger(int code, int waitable, int payload) {
	need(code == 1 && waitable == upstream && payload == 2);
	need(stream_write(out, "last", 4) == 4 << 4);
	stream_drop_writable(out);
	end(0);
	return after(lingers, late);
}
static int yield_forever(int code, int waitable, int payload) { need(!code && !waitable && !payload); next = yield_forever; return YIELD; }
// Reads the request's body after the response.
static int on_rest(int code, int waitable, int payload) {
	static char rest[64];
	need(code == 2 && waitable == in && pending + (payload >> 4) < sizeof rest - 1);
	for (size_t i = 0; i < (uint32_t)payload >> 4; i++) rest[pending++] = buffer[i];
	if ((payload & 15) != DROPPED) {
		int r = stream_read(in, buffer, sizeof buffer);
		if (r == BLOCKED) { join(in, set); return wait(on_rest); }
		return on_rest(2, in, r);
	}
	rest[pending] = '\n';
	print(rest);
	return after(lingers, late);
}

static bool is(text path, const char *word) {
	size_t n = length(word);
	if (path.length < n + 1 || (path.length > n + 1 && path.at[n + 1] != '?' && path.at[n + 1] != '/')) return false;
	for (size_t i = 0; i < n; i++) if (path.at[i + 1] != word[i]) return false;
	return true;
}

int handle_request(handle request) {
	if (requests++ || context_get()) return say("an earlier request is visible\n");
	context_set(7);
	set = set_new();
	option p;
	request_path(request, &p);
	if (is(p.text, "echo")) {
		consume(request);
		respond(fields_new(), 200, true);
		return echo_read();
	}
	if (is(p.text, "pass")) { // the host connects both bodies
		consume(request);
		made m;
		response_new(fields_new(), 1, in, in_trailers, &m);
		task_return(0, m.message, 0, 0, 0, 0, 0, 0);
		return EXIT;
	}
	if (is(p.text, "gate")) return gate(request, p.text);
	if (is(p.text, "rewrite")) return rewrite(request, p.text);
	if (is(p.text, "proxy")) return proxy(request, p.text, 0, false);
	if (is(p.text, "first")) return proxy(request, p.text, first_byte, false);
	if (is(p.text, "between")) return proxy(request, p.text, between_bytes, false);
	if (is(p.text, "trailing")) return proxy(request, p.text, 0, true);
	if (is(p.text, "sleep")) {
		int r = clock_wait(1000 * 1000);
		if ((r & 15) == 2) return say("awake\n");
		upstream = r >> 4;
		join(upstream, set);
		return wait(awake);
	}
	if (is(p.text, "yield")) { next = yielded; return YIELD; }
	if (is(p.text, "trailers")) {
		respond(fields_new(), 200, true);
		need(stream_write(out, "body", 4) == 4 << 4);
		stream_drop_writable(out);
		handle f = fields_new();
		add(f, "checksum", "123");
		end(f);
		int r = sent_read(sent, &verdict);
		need(r == COMPLETED || r == BLOCKED);
		if (r == COMPLETED) return EXIT;
		join(sent, set);
		return wait(was_sent);
	}
	if (is(p.text, "empty")) {
		handle f = fields_new();
		add(f, "x-kind", "empty");
		respond(f, 204, false);
		end(0);
		return EXIT;
	}
	if (is(p.text, "error")) { task_return(1, 36, 0, 0, 0, 0, 0, 0); return EXIT; }
	if (is(p.text, "internal")) { task_return(1, 38, 1, (int64_t)(uintptr_t)"out of tea", 10, 0, 0, 0); return EXIT; }
	if (is(p.text, "trap")) { next = trap_in_callback; return YIELD; }
	if (is(p.text, "nothing")) return wait(never);
	if (is(p.text, "forever")) { // its own response is sent when it has returned
		uint64_t t = trailers_new();
		made m;
		response_new(fields_new(), 0, 0, (handle)t, &m);
		sent = m.sent;
		need(sent_read(sent, &verdict) == BLOCKED);
		join(sent, set);
		return wait(never);
	}
	if (is(p.text, "linger") || is(p.text, "spin")) { // a response in two pieces, then 10 ms or an hour, or no waiting
		respond(fields_new(), 200, true);
		need(stream_write(out, "first ", 6) == 6 << 4);
		lingers = 10 * 1000 * 1000;
		variant method;
		request_method(request, &method);
		if (method.kind) lingers *= 360 * 1000;
		request_drop(request);
		if (is(p.text, "linger")) return after(1000 * 1000, linger);
		stream_drop_writable(out);
		end(0);
		return yield_forever(0, 0, 0);
	}
	if (is(p.text, "accept")) {
		lingers = 10 * 1000 * 1000;
		consume(request);
		say("accepted\n");
		return on_rest(2, in, 0);
	}
	if (is(p.text, "silent")) return EXIT;
	if (is(p.text, "twice")) { say("once\n"); return say("twice\n"); }
	if (is(p.text, "code")) return 9;
	if (is(p.text, "set")) return WAIT | 77 << 4;
	if (is(p.text, "leak")) { // neither the body nor the trailers end
		respond(fields_new(), 200, true);
		need(stream_write(out, "part", 4) == 4 << 4);
		return EXIT;
	}
	if (is(p.text, "cut")) { // the trailers are an error
		respond(fields_new(), 200, true);
		need(stream_write(out, "part", 4) == 4 << 4);
		stream_drop_writable(out);
		result r = {.error = 1, .code = 7};
		need(trailers_write(out_trailers, &r) == COMPLETED);
		return EXIT;
	}
	if (is(p.text, "status")) { // a status that no response has
		uint64_t t = trailers_new();
		made m;
		response_new(fields_new(), 0, 0, (handle)t, &m);
		need(response_set_status(m.message, 99) == 1 && response_set_status(m.message, 600) == 1);
		return say("refused\n");
	}
	if (is(p.text, "foreign")) { response_drop(12345); return say("never\n"); }
	if (is(p.text, "wrong")) { fields_drop(request); return say("never\n"); }
	if (is(p.text, "field")) { // forbidden and malformed fields
		uint8_t r[20];
		handle f = fields_new();
		fields_append(f, "connection", 10, "close", 5, r);
		need(r[0] == 1 && r[4] == 1);
		fields_append(f, "a b", 3, "x", 1, r);
		need(r[0] == 1 && r[4] == 0);
		fields_append(f, "x-a", 3, "x\r\ny", 4, r);
		need(r[0] == 1 && r[4] == 0);
		fields_append(request_headers(request), "x-a", 3, "x", 1, r);
		need(r[0] == 1 && r[4] == 2);
		return say("refused\n");
	}
	return say("hello from 0.3\n");
}

int on_event(int code, int waitable, int payload) {
	need(context_get() == 7);
	return next(code, waitable, payload);
}
