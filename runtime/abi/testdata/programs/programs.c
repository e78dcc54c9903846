// A guest for both versions of WASI. It does what the first word of the path says, as public test programs do, and answers
// with numbers, in header fields: a status or 100 more than an error-code, or 1 for what was refused.
#ifdef WASI3
#include "wasi3.h"
#else
#include "wasi2.h"
#endif

static handle answer;

static void number(uint64_t n) {
	char digits[20];
	size_t i = sizeof digits;
	do digits[--i] = '0' + n % 10; while (n /= 10);
	need(append(answer, (text){"number", 6}, (text){digits + i, sizeof digits - i}) == 0);
}

static bool is(text t, const char *s) {
	size_t n = 0;
	for (; s[n]; n++) if (n == t.length || t.at[n] != s[n]) return false;
	return n == t.length;
}

static char large[1 << 20];

// begin returns a request to a server, with the method of this case.
static message begin(text authority, int method, bool body, const char *content_length) {
	handle fields = fields_new();
	if (content_length) need(append(fields, TEXT("content-length"), (text){content_length, 1}) == 0);
	message m = message_new(fields, body);
	need(set_method(m.request, method, 0, 0) == 0);
	need(set_scheme(m.request, 1, 0, 0, 0) == 0);
	need(set_authority(m.request, 1, authority.at, authority.length) == 0);
	need(set_path(m.request, 1, "/programs?a=b", 13) == 0);
	return m;
}

static void finish(message m, const char *body, size_t length) {
	outcome o = message_send(m, body, length);
	number(o.failed ? 100 + o.code : o.status);
	if (!o.failed) number(o.bytes), number(o.sum);
}

// names appends fields with names and values that are valid, invalid and forbidden.
static void names(void) {
	static const text all[][2] = {
		{TEXT("ok"), TEXT("v")}, {TEXT("Mixed-Case"), TEXT("\xff")}, {TEXT(""), TEXT("v")}, {TEXT("a b"), TEXT("v")}, {TEXT("a\n"), TEXT("v")},
		{TEXT("ok"), TEXT("a\nb")}, {TEXT("ok"), TEXT("a\0b")}, {TEXT("Connection"), TEXT("close")}, {TEXT("keep-alive"), TEXT("v")},
		{TEXT("Proxy-Connection"), TEXT("v")}, {TEXT("transfer-encoding"), TEXT("chunked")}, {TEXT("Upgrade"), TEXT("h2c")},
		{TEXT("host"), TEXT("v")}, {TEXT("http2-settings"), TEXT("v")},
	};
	handle fields = fields_new();
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) number(append(fields, all[i][0], all[i][1]));
}

// leak keeps handles of several types, in two requests that it does not send.
static void leak(text authority) {
	for (int i = 0; i < 1000; i++) fields_new();
	begin(authority, 2, true, 0), begin(authority, 0, false, 0);
}

static void serve(handle request, text word, text authority) {
	static int served; // by this instance
	if (is(word, "fresh")) number(served++);
	else if (is(word, "leak")) leak(authority), number(served++);
	else if (is(word, "foreign")) fields_drop(77);
	else if (is(word, "other")) fields_drop(request);
	else if (is(word, "again")) fields_drop(answer);
	else if (is(word, "nothing")) wait_for_nothing();
	else if (is(word, "get")) finish(begin(authority, 0, false, 0), 0, 0);
	else if (is(word, "post")) finish(begin(authority, 2, true, 0), "the body", 8);
	else if (is(word, "put")) finish(begin(authority, 3, true, 0), "", 0);
	else if (is(word, "large")) {
		for (size_t i = 0; i < sizeof large; i++) large[i] = i * 251;
		finish(begin(authority, 2, true, 0), large, sizeof large);
	} else if (is(word, "exact")) finish(begin(authority, 2, true, "8"), "the body", 8);
	else if (is(word, "short")) finish(begin(authority, 2, true, "9"), "the body", 8);
	else if (is(word, "long")) finish(begin(authority, 2, true, "4"), "the body", 8);
	else if (is(word, "no-path")) {
		message m = begin(authority, 0, false, 0);
		need(set_path(m.request, 0, 0, 0) == 0);
		finish(m, 0, 0);
	} else if (is(word, "no-authority")) {
		message m = begin(authority, 0, false, 0);
		need(set_authority(m.request, 0, 0, 0) == 0);
		finish(m, 0, 0);
	} else if (is(word, "scheme")) {
		message m = begin(authority, 0, false, 0);
		number(set_scheme(m.request, 1, 2, "WS", 2));
		finish(m, 0, 0);
	} else if (is(word, "parts")) {
		handle r = begin(authority, 0, false, 0).request;
		number(set_method(r, 9, "bad\nmethod", 10));
		number(set_method(r, 9, "PURGE", 5));
		number(set_scheme(r, 1, 2, "a b", 3));
		number(set_authority(r, 1, "localhost:99999", 15));
		number(set_authority(r, 1, "a b", 3));
		number(set_path(r, 1, "/a b", 4));
		number(set_path(r, 1, "no-slash", 8));
	} else if (is(word, "names")) names();
	else if (is(word, "immutable")) number(append(request_headers(request), TEXT("ok"), TEXT("v")));
	else if (is(word, "hidden")) number(count(request_headers(request), TEXT("host")));
	else if (is(word, "status")) statuses(number);
	else if (is(word, "silent") || is(word, "twice")) need(append(answer, word, TEXT("1")) == 0); // for respond
	else need(false);
}

// run serves a request and returns the header of its response.
static handle run(handle request) {
	answer = fields_new();
	text path = request_path(request), authority = first(request_headers(request), TEXT("upstream"));
	need(path.length > 1);
	serve(request, (text){path.at + 1, path.length - 1}, authority);
	return answer;
}

#ifdef WASI3
result *EXPORT("wasi:http/handler@0.3.0#handle") handle_request(handle request) { return respond(run(request)); }
#else
void EXPORT("wasi:http/incoming-handler@0.2.12#handle") handle_request(handle request, handle out) { respond(out, run(request)); }
#endif
