// A guest for wasi:http/handler@0.3.0 that also uses interfaces of WASI 0.2 and preview 1.
#include "guest.h"

#define CLOCK2 "wasi:clocks/monotonic-clock@0.2.12"
#define STREAMS2 "wasi:io/streams@0.2.12"

typedef struct { uint8_t error; _Alignas(4) uint8_t code; handle e; } stream_result;

IMPORT(CLOCK2, "now") uint64_t now2(void);
IMPORT(CLOCK2, "subscribe-duration") handle subscribe2(uint64_t);
IMPORT("wasi:io/poll@0.2.12", "[method]pollable.block") void block2(handle);
IMPORT("wasi:io/poll@0.2.12", "[resource-drop]pollable") void pollable_drop2(handle);
IMPORT("wasi:cli/stderr@0.2.12", "get-stderr") handle stderr2(void);
IMPORT(STREAMS2, "[method]output-stream.blocking-write-and-flush") void write2(handle, const void *, size_t, stream_result *);
IMPORT(STREAMS2, "[resource-drop]output-stream") void output_drop2(handle);
IMPORT("wasi:clocks/monotonic-clock@0.3.0", "now") uint64_t now3(void);
IMPORT("wasi_snapshot_preview1", "fd_write") int fd_write(int, const text *, size_t, size_t *);
IMPORT("wasi_snapshot_preview1", "clock_time_get") int clock_time_get(int, uint64_t, uint64_t *);
IMPORT("wasi_snapshot_preview1", "random_get") int random_get(void *, size_t);

#define HEAP (1 << 12)
#include "../../testdata/allocator.h"

static handle set, out, out_trailers, timer;
static uint64_t begin;

static void block(void) { // within a call
	handle p = subscribe2(1000 * 1000);
	block2(p);
	pollable_drop2(p);
}

static void print(void) {
	stream_result r;
	handle o = stderr2();
	write2(o, "by 0.2\n", 7, &r);
	need(!r.error);
	output_drop2(o);
	text line = {"by preview 1\n", 13};
	size_t n;
	need(fd_write(2, &line, 1, &n) == 0 && n == 13);
}

int handle_request(handle request) {
	begin = now2();
	uint64_t by3 = now3(), by1;
	need(clock_time_get(1, 0, &by1) == 0);
	need(begin <= by3 && now2() >= by3); // one clock
	uint64_t r[2] = {0};
	need(random_get(r, sizeof r) == 0 && (r[0] || r[1]));
	request_drop(request);
	print();
	uint64_t s = stream_new(), t = trailers_new();
	made m;
	out = s >> 32, out_trailers = t >> 32;
	response_new(fields_new(), 1, (handle)s, (handle)t, &m);
	task_return(0, m.message, 0, 0, 0, 0, 0, 0);
	need(stream_write(out, "first ", 6) == 6 << 4);
	block();
	set = set_new();
	int w = clock_wait(5 * 1000 * 1000);
	need((w & 15) == 1);
	timer = w >> 4;
	block(); // while the other timer runs
	join(timer, set);
	return WAIT | set << 4;
}

int on_event(int code, int waitable, int payload) {
	need(code == 1 && waitable == timer && payload == 2);
	need(now2() - begin >= 6 * 1000 * 1000);
	need(stream_write(out, "last\n", 5) == 5 << 4);
	stream_drop_writable(out);
	result ok = {0};
	need(trailers_write(out_trailers, &ok) == COMPLETED);
	trailers_drop_writable(out_trailers);
	block(); // after the response
	print();
	return EXIT;
}
