// Requests to a WebDAV server, through the host.
#pragma once

#include "../gen/plugin.h"
#include "details.h"

typedef struct header {
    const char *name, *value;
} header_t;

// Status and headers, with a body that nobody read yet.
typedef struct answer {
    uint16_t status;
    http_own_response_t response;
} answer_t;

// Sends a request for a path below the server's collection, and waits until the answer's headers are here: any status
// is an answer. `headers` end with one without a name. `body` is handed on unread, NULL for none. The answer has to be
// given to `answer_close` or `answer_body`. False when there was none; then `failure` says why.
bool dav_send(const server_t *server, const char *method, const char *path, const header_t *headers,
              const http_stream_u8_t *body, answer_t *answer, types_failure_t *failure);

// A header's first value as a string that the caller frees. NULL when there is none.
char *answer_header(const answer_t *answer, const char *name);

// Hands the body on, unread. Closes the answer.
http_stream_u8_t answer_body(answer_t *answer);

// Drops the body.
void answer_close(answer_t *answer);

// Fills in a failure that the host frees; a code that may pass says when to try again. Always false, to be returned.
bool fail(types_failure_t *failure, const char *code, const char *message);

// The failure that a status stands for. Closes the answer. Always false.
bool refuse(types_failure_t *failure, const char *method, answer_t *answer);
