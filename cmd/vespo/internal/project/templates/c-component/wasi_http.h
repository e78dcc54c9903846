/*
 * A request and its response, on the interfaces of wit/world.wit. The implementation is in wasi_http.c.
 */
#ifndef WASI_HTTP_H
#define WASI_HTTP_H

#include <stddef.h>
#include <stdint.h>

/* A request. The strings end with a NUL and are the request's own. */
struct request {
	int32_t handle;
	char *method; /* GET, POST, ... */
	char *path;   /* with the query */
};

struct response;

/* Reads the next piece of the body into buf. Returns its length, 0 at the end, or -1 if the body is broken off. */
long request_read(struct request *request, void *buf, size_t limit);

/* The status is 200 unless it is set before the first piece of the body. */
void response_status(struct response *response, int status);

/* Adds a header field, before the first piece of the body. The strings must stay as they are until then. */
void response_header(struct response *response, const char *name, const char *value);

/* Sends a piece of the body. Returns 0, or -1 if the client is gone. */
int response_write(struct response *response, const void *data, size_t length);

/* The service defines it. */
void handle(struct request *request, struct response *response);

#endif
