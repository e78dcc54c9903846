// Bindings of a guest for wasi:http@0.3.0, written by hand: the canonical ABI's flat functions, by the names of wit-component.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define TYPES "wasi:http/types@0.3.0"
#define HANDLER "wasi:http/handler@0.3.0#handle"

typedef int32_t handle;
typedef struct { const char *at; size_t length; } text;
typedef struct { text *at; size_t length; } texts;
typedef struct { uint8_t kind; text other; } variant;
typedef struct { uint8_t some; text text; } option;
typedef struct { handle contents, trailers; } body;
typedef struct { handle message, sent; } made;

enum { EXIT, YIELD, WAIT };
enum { COMPLETED, DROPPED, CANCELLED, BLOCKED = -1 };

// result<_, error-code> and result<option<trailers>, error-code>
typedef struct { _Alignas(8) uint8_t error; _Alignas(8) union { uint8_t code; struct { uint8_t some; handle fields; } trailers; handle response; }; char rest[28]; } result;

IMPORT(TYPES, "[constructor]fields") handle fields_new(void);
IMPORT(TYPES, "[method]fields.append") void fields_append(handle, const char *, size_t, const char *, size_t, uint8_t result[20]);
IMPORT(TYPES, "[method]fields.get") void fields_get(handle, const char *, size_t, texts *);
IMPORT(TYPES, "[resource-drop]fields") void fields_drop(handle);
IMPORT(TYPES, "[method]request.get-path-with-query") void request_path(handle, option *);
IMPORT(TYPES, "[method]request.get-method") void request_method(handle, variant *);
IMPORT(TYPES, "[method]request.get-headers") handle request_headers(handle);
IMPORT(TYPES, "[method]request.set-method") int request_set_method(handle, int, const char *, size_t);
IMPORT(TYPES, "[method]request.set-path-with-query") int request_set_path(handle, int, const char *, size_t);
IMPORT(TYPES, "[method]request.set-scheme") int request_set_scheme(handle, int, int, const char *, size_t);
IMPORT(TYPES, "[method]request.set-authority") int request_set_authority(handle, int, const char *, size_t);
IMPORT(TYPES, "[static]request.new") void request_new(handle fields, int some, handle contents, handle trailers, int options, handle, made *);
IMPORT(TYPES, "[constructor]request-options") handle options_new(void);
IMPORT(TYPES, "[method]request-options.set-first-byte-timeout") void options_first(handle, int some, uint64_t, uint8_t result[16]);
IMPORT(TYPES, "[method]request-options.set-between-bytes-timeout") void options_between(handle, int some, uint64_t, uint8_t result[16]);
IMPORT(TYPES, "[static]request.consume-body") void request_consume(handle, handle, body *);
IMPORT(TYPES, "[resource-drop]request") void request_drop(handle);
IMPORT(TYPES, "[static]response.new") void response_new(handle fields, int some, handle contents, handle trailers, made *);
IMPORT(TYPES, "[static]response.consume-body") void response_consume(handle, handle, body *);
IMPORT(TYPES, "[method]response.get-status-code") int response_status(handle);
IMPORT(TYPES, "[method]response.set-status-code") int response_set_status(handle, int);
IMPORT(TYPES, "[resource-drop]response") void response_drop(handle);

IMPORT(TYPES, "[stream-new-0][static]response.new") uint64_t stream_new(void);
IMPORT(TYPES, "[async-lower][stream-read-1][static]request.consume-body") int stream_read(handle, void *, size_t);
IMPORT(TYPES, "[async-lower][stream-write-0][static]response.new") int stream_write(handle, const void *, size_t);
IMPORT(TYPES, "[stream-write-0][static]response.new") int stream_write_sync(handle, const void *, size_t);
IMPORT(TYPES, "[stream-cancel-read-1][static]request.consume-body") int stream_cancel_read(handle);
IMPORT(TYPES, "[stream-drop-readable-1][static]request.consume-body") void stream_drop_readable(handle);
IMPORT(TYPES, "[stream-drop-writable-0][static]response.new") void stream_drop_writable(handle);

IMPORT(TYPES, "[future-new-1][static]response.new") uint64_t trailers_new(void);
IMPORT(TYPES, "[async-lower][future-read-2][static]request.consume-body") int trailers_read(handle, result *);
IMPORT(TYPES, "[async-lower][future-write-1][static]response.new") int trailers_write(handle, const result *);
IMPORT(TYPES, "[future-drop-writable-1][static]response.new") void trailers_drop_writable(handle);
IMPORT(TYPES, "[future-drop-readable-2][static]request.consume-body") void trailers_drop_readable(handle);

IMPORT(TYPES, "[future-new-0][static]request.consume-body") uint64_t sent_new(void);
IMPORT(TYPES, "[async-lower][future-write-0][static]request.consume-body") int sent_write(handle, const result *);
IMPORT(TYPES, "[async-lower][future-read-2][static]response.new") int sent_read(handle, result *);
IMPORT(TYPES, "[future-drop-readable-2][static]response.new") void sent_drop_readable(handle);

IMPORT("wasi:http/client@0.3.0", "[async-lower]send") int client_send(handle, result *);
IMPORT("wasi:http/handler@0.3.0", "[async-lower]handle") int next_handle(handle, result *);
IMPORT("wasi:clocks/monotonic-clock@0.3.0", "[async-lower]wait-for") int clock_wait(uint64_t);

IMPORT("wasi:cli/stderr@0.3.0", "write-via-stream") handle stderr_open(handle stream);

IMPORT("[export]wasi:http/handler@0.3.0", "[task-return]handle") void task_return(int, int, int, int64_t, int, int, int, int);
IMPORT("$root", "[waitable-set-new]") handle set_new(void);
IMPORT("$root", "[waitable-join]") void join(handle, handle);
IMPORT("$root", "[subtask-drop]") void subtask_drop(handle);
IMPORT("$root", "[context-get-0]") int context_get(void);
IMPORT("$root", "[context-set-0]") void context_set(int);

int EXPORT("[async-lift]" HANDLER) handle_request(handle request);
int EXPORT("[callback][async-lift]" HANDLER) on_event(int code, int waitable, int payload);
