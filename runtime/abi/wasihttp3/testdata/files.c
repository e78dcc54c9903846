// A guest for wasi:http/handler@0.3.0 that uses wasi:filesystem@0.3.0. It answers in header fields, or with a file.
#include "guest.h"

#define FILES "wasi:filesystem/types@0.3.0"
#define METHOD(name) IMPORT(FILES, "[method]descriptor." name)
#define ASYNC(name) IMPORT(FILES, "[async-lower][method]descriptor." name)

typedef struct { uint8_t error; _Alignas(4) union { uint8_t code; handle file; }; char rest[12]; } opened;
typedef struct { uint8_t error; _Alignas(8) union { uint8_t code; uint64_t words[13]; }; } described;
typedef struct { handle stream, end; } streamed;
typedef struct { _Alignas(4) uint8_t type; char rest[12]; text name; } entry;
typedef struct { handle file; uint8_t flags; text path; uint8_t open, mode; } opening;

IMPORT("wasi:filesystem/preopens@0.3.0", "get-directories") void directories(struct { struct { handle file; text path; } *at; size_t length; } *);
METHOD("open-at") void open_at(handle, int flags, const char *, size_t, int open, int mode, opened *);
ASYNC("open-at") int open_async(const opening *, opened *);
ASYNC("stat") int stat(handle, described *);
ASYNC("is-same-object") int same(handle, handle, uint8_t *);
METHOD("get-type") void get_type(handle, opened *);
METHOD("read-via-stream") void read_file(handle, uint64_t offset, streamed *);
METHOD("read-directory") void read_directory(handle, streamed *);
METHOD("write-via-stream") handle write_file(handle, handle stream, uint64_t offset);
METHOD("create-directory-at") void create_directory(handle, const char *, size_t, opened *);
ASYNC("symlink-at") int symlink(const opening *, opened *);
IMPORT(FILES, "[resource-drop]descriptor") void drop(handle);
IMPORT(FILES, "[stream-read-0][method]descriptor.read-directory") int read_entries(handle, entry *, size_t);
IMPORT(FILES, "[stream-drop-readable-0][method]descriptor.read-directory") void drop_entries(handle);
IMPORT(FILES, "[future-read-1][method]descriptor.read-directory") int read_end(handle, opened *);
IMPORT(FILES, "[stream-new-0][method]descriptor.write-via-stream") uint64_t new_data(void);

result *EXPORT(HANDLER) handle_sync(handle request);

#define HEAP (1 << 18)
#include "../../testdata/allocator.h"

static handle fields, root;

static void add(const char *name, size_t length, text value) {
	uint8_t r[20];
	fields_append(fields, name, length, value.at, value.length, r);
	need(r[0] == 0);
}

static void number(uint64_t n) {
	char digits[20];
	size_t i = sizeof digits;
	do digits[--i] = '0' + n % 10; while (n /= 10);
	add("number", 6, (text){digits + i, sizeof digits - i});
}

static void code(opened *o) { number(o->error ? 100 + o->code : 0); }

static result *respond(int some, handle contents) {
	static result answer, trailers;
	uint64_t own = trailers_new();
	made m;
	response_new(fields, some, contents, (handle)own, &m);
	sent_drop_readable(m.sent);
	need(trailers_write(own >> 32, &trailers) == BLOCKED);
	answer.response = m.message;
	return &answer;
}

static opened open_file(text path, bool async) {
	opened o;
	opening all = {root, 1, path, 0, 1};
	if (async) need(open_async(&all, &o) == 2);
	else open_at(root, 1, path.at, path.length, 0, 1, &o);
	return o;
}

// list adds the names of a directory, three at a time, and how its stream has ended.
static void list(handle file) {
	streamed s;
	read_directory(file, &s);
	entry all[3];
	for (int r = 0; (r & 15) == COMPLETED;) {
		r = read_entries(s.stream, all, 3);
		for (int i = 0; i < r >> 4; i++) {
			number(all[i].type);
			add("name", 4, all[i].name);
		}
	}
	drop_entries(s.stream);
	opened end;
	read_end(s.end, &end);
	code(&end);
}

// refused tries to write.
static void refused(handle file) {
	uint64_t data = new_data();
	opened o;
	read_end(write_file(file, (handle)data, 0), &o);
	code(&o);
	create_directory(root, "new", 3, &o);
	code(&o);
	struct { handle file; text old, new; } link = {root, {"a", 1}, {"b", 1}};
	need(symlink((void *)&link, &o) == 2);
	code(&o);
}

result *handle_sync(handle request) {
	option path;
	request_path(request, &path);
	request_drop(request);
	need(path.some && path.text.length >= 3);
	struct { struct { handle file; text path; } *at; size_t length; } all;
	directories((void *)&all);
	need(all.length == 1);
	fields = fields_new();
	root = all.at[0].file;
	char what = path.text.at[1];
	text name = {path.text.at + 3, path.text.length - 3};
	if (name.length == 0) name = (text){".", 1};
	opened o = open_file(name, what != 'o');
	code(&o);
	if (o.error) return respond(0, 0);
	described d;
	switch (what) {
	case 'o': // open synchronously
	case 'r': { // read
		need(stat(o.file, &d) == 2 && !d.error);
		number(d.words[3]);
		streamed s;
		read_file(o.file, 1, &s);
		drop(o.file);
		return respond(1, s.stream);
	}
	case 'l': // list
		list(o.file);
		return respond(0, 0);
	case 'w': // write
		refused(o.file);
		return respond(0, 0);
	case 'e': { // the end of a file that cannot be read
		streamed s;
		read_file(o.file, 0, &s);
		opened end;
		read_end(s.end, &end);
		code(&end);
		return respond(1, s.stream);
	}
	case 't': { // type, and whether it is the same file when it is opened again
		opened again = open_file(name, false);
		uint8_t equal;
		need(same(o.file, again.file, &equal) == 2);
		number(equal);
		get_type(o.file, &o);
		number(o.code);
		return respond(0, 0);
	}
	case 'm': // many
		for (int i = 0; i < 200 && !o.error; i++) o = open_file(name, false);
		code(&o);
		return respond(0, 0);
	}
	__builtin_trap();
}
