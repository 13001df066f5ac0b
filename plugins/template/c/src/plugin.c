// newplugin: objects as files on a WebDAV server, written from the contract alone.
//
// Each write is a file of its own, named by its write id, and reaches its name by a MOVE: nothing is ever overwritten,
// nothing half-written is ever seen, and a key may be any text. Bodies are handed on unread, so their bytes never enter
// this plugin. What a function is given it frees; what it answers the host frees.
#include "dav.h"
#include "place.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

// What `open` made, for the calls that follow.
static server_t SERVER;

static const header_t NO_HEADERS[] = {{NULL, NULL}};

// The largest object of S3.
#define LARGEST ((uint64_t)5 << 40)

// ---- Pure functions

void exports_storage_describe(exports_storage_description_t *description) {
    memset(description, 0, sizeof *description);
    exports_storage_field_t *endpoint = calloc(1, sizeof *endpoint);
    if (endpoint == NULL) {
        abort();
    }
    plugin_string_dup(&endpoint->path, "endpoint");
    plugin_string_dup(&endpoint->kind, "string");
    plugin_string_dup(&endpoint->role, "endpoint");
    plugin_string_dup(&endpoint->help, "The collection that holds the files, as http://host:port/path.");
    endpoint->required = true;
    plugin_string_dup(&description->name, "newplugin");
    plugin_string_dup(&description->version, "0.1.0");
    // Without the multipart interface there are no parts.
    description->limits.max_put = LARGEST;
    description->limits.max_metadata = UINT32_MAX;
    description->fields = (exports_storage_list_field_t){endpoint, 1};
    // Each write is a file of its own.
    description->keeps_overwritten = true;
}

// Takes over a string of ours, for the host to free.
static plugin_string_t given(char *text) {
    return (plugin_string_t){(uint8_t *)text, strlen(text)};
}

void exports_storage_validate(exports_storage_validation_request_t *request, exports_storage_validation_t *validation) {
    memset(validation, 0, sizeof *validation);
    validation->keeps_overwritten = true;
    server_t server = {0};
    const char *wrong = server_parse(&server, (const char *)request->details.ptr, request->details.len);
    void *one = malloc(wrong != NULL ? sizeof(exports_storage_problem_t) : sizeof(plugin_string_t));
    if (one == NULL) {
        abort();
    }
    if (wrong != NULL) {
        exports_storage_problem_t *problem = one;
        plugin_string_dup(&problem->path, "endpoint");
        plugin_string_dup(&problem->message, wrong);
        plugin_string_dup(&problem->fix, "write http://host:port/path");
        validation->problems = (exports_storage_list_problem_t){problem, 1};
    } else {
        plugin_string_t *origin = one;
        *origin = given(server_url(&server, ""));
        validation->egress = (plugin_list_string_t){origin, 1};
        validation->target = given(server_url(&server, server.path));
    }
    server_free(&server);
    exports_storage_validation_request_free(request);
}

// ---- Lifecycle

bool exports_storage_open(exports_storage_open_request_t *request, exports_storage_open_response_t *response,
                          types_failure_t *failure) {
    memset(response, 0, sizeof *response);
    const char *wrong = server_parse(&SERVER, (const char *)request->details.ptr, request->details.len);
    exports_storage_open_request_free(request);
    return wrong == NULL || fail(failure, "invalid", wrong);
}

/// Sends again what finds the place locked: another request for the same one is under way.
static bool send_insistently(const char *method, const char *path, answer_t *answer, types_failure_t *failure) {
    static const uint64_t PAUSES[] = {10, 50, 200, 0};
    for (size_t tried = 0;; tried++) {
        if (!dav_send(&SERVER, method, path, NO_HEADERS, NULL, answer, failure)) {
            return false;
        }
        if (answer->status != 423 || PAUSES[tried] == 0) {
            return true;
        }
        answer_close(answer);
        clock_wait_for(PAUSES[tried] * 1000000);
    }
}

static bool make_collection(const char *path, types_failure_t *failure) {
    answer_t answer;
    if (!send_insistently("MKCOL", path, &answer, failure)) {
        return false;
    }
    // 405: it is there already.
    if (answer.status / 100 != 2 && answer.status != 405) {
        return refuse(failure, "MKCOL", &answer);
    }
    answer_close(&answer);
    return true;
}

bool exports_storage_check(exports_storage_check_request_t *request, exports_storage_check_response_t *response,
                           types_failure_t *failure) {
    static const header_t SHALLOW[] = {{"depth", "0"}, {NULL, NULL}};
    memset(response, 0, sizeof *response);
    bool thorough = request->thorough;
    exports_storage_check_request_free(request);
    answer_t answer;
    if (!dav_send(&SERVER, "PROPFIND", "", SHALLOW, NULL, &answer, failure)) {
        return false;
    }
    if (answer.status == 404 && thorough) {
        answer_close(&answer);
        if (!make_collection("", failure) || !dav_send(&SERVER, "PROPFIND", "", SHALLOW, NULL, &answer, failure)) {
            return false;
        }
    }
    if (answer.status == 404) {
        answer_close(&answer);
        return fail(failure, "unavailable", "the collection is missing, and is made at the next start");
    }
    if (answer.status != 207) {
        return refuse(failure, "PROPFIND", &answer);
    }
    answer_close(&answer);
    return true;
}

void exports_storage_namespace(exports_storage_namespace_request_t *request,
                               exports_storage_namespace_response_t *response) {
    memset(response, 0, sizeof *response);
    // No two writes share a place, so the buckets of one server never meet.
    char *target = server_url(&SERVER, SERVER.path);
    char *bucket = text_copy((const char *)request->bucket.ptr, request->bucket.len);
    response->namespace_ = given(text_join(target, "#", bucket, "/", NULL));
    free(target);
    free(bucket);
    exports_storage_namespace_request_free(request);
}

// ---- Objects

static bool read_locator(const types_locator_t *locator, stored_t *stored, types_failure_t *failure) {
    return stored_read(stored, locator->ptr, locator->len) || fail(failure, "invalid", "no locator of this plugin");
}

static types_locator_t locator_of(const stored_t *stored) {
    types_locator_t locator = {malloc(LONGEST_LOCATOR), 0};
    if (locator.ptr == NULL) {
        abort();
    }
    locator.len = stored_write(stored, locator.ptr);
    return locator;
}

// The size of a write's file: `not-found` when there is none.
static bool size_of(const stored_t *stored, uint64_t *size, types_failure_t *failure) {
    answer_t answer;
    char *file = stored_file(stored);
    bool answered = dav_send(&SERVER, "HEAD", file, NO_HEADERS, NULL, &answer, failure);
    free(file);
    if (!answered) {
        return false;
    }
    char *length = answer_header(&answer, "content-length");
    if (answer.status != 200 || length == NULL) {
        free(length);
        return refuse(failure, "HEAD", &answer);
    }
    *size = strtoull(length, NULL, 10);
    free(length);
    answer_close(&answer);
    return true;
}

static bool present(const stored_t *stored, types_failure_t *failure) {
    uint64_t size = 0;
    if (!size_of(stored, &size, failure)) {
        return false;
    }
    return size == stored->size || fail(failure, "changed", "the file has another size than what was stored");
}

// Gives a whole file its name, in a collection that may have to be made first.
static bool finish(const stored_t *stored, const char *unfinished, types_failure_t *failure) {
    char *file = stored_file(stored);
    char *collection = stored_collection(stored);
    char *path = text_join(SERVER.path, file, NULL);
    char *destination = server_url(&SERVER, path);
    const header_t headers[] = {{"destination", destination}, {"overwrite", "F"}, {NULL, NULL}};
    answer_t answer;
    bool answered = dav_send(&SERVER, "MOVE", unfinished, headers, NULL, &answer, failure);
    // 409 is the standard's word for a collection that is missing; some servers say 403 or 404.
    if (answered && (answer.status == 403 || answer.status == 404 || answer.status == 409)) {
        answer_close(&answer);
        answered = make_collection(collection, failure) &&
                   dav_send(&SERVER, "MOVE", unfinished, headers, NULL, &answer, failure);
    }
    free(file);
    free(collection);
    free(path);
    free(destination);
    if (!answered) {
        return false;
    }
    if (answer.status == 404 || answer.status == 409 || answer.status == 412) {
        // The file was there a moment ago: nothing is known of the object's place.
        answer_close(&answer);
        return fail(failure, "unavailable", "the file could not be moved to its place");
    }
    if (answer.status / 100 != 2) {
        return refuse(failure, "MOVE", &answer);
    }
    answer_close(&answer);
    return true;
}

// Unread, the body's bytes never enter the plugin, and the call is as cheap for 5 GiB as for 5 bytes.
static bool upload(const stored_t *stored, const char *unfinished, exports_storage_stream_u8_t body,
                   types_failure_t *failure) {
    digits_t length = text_digits(stored->size);
    const header_t headers[] = {{"content-length", length.text}, {NULL, NULL}};
    answer_t answer;
    bool answered = dav_send(&SERVER, "PUT", unfinished, headers, &body, &answer, failure);
    if (!answered) {
        return false;
    }
    if (answer.status / 100 != 2) {
        return refuse(failure, "PUT", &answer);
    }
    answer_close(&answer);
    return finish(stored, unfinished, failure);
}

bool exports_storage_put(exports_storage_put_request_t *request, exports_storage_stream_u8_t body,
                         exports_storage_future_result_void_failure_t complete, types_stored_t *response,
                         types_failure_t *failure) {
    memset(response, 0, sizeof *response);
    // The body is handed on: the host cuts the request when the upload fails.
    exports_storage_future_result_void_failure_drop_readable(complete);
    stored_t stored, expected;
    bool legal = stored_new(&stored, request->write_id.ptr, request->write_id.len, request->size) ||
                 fail(failure, "invalid", "a write id is 32 lower-case hexadecimal digits");
    // A write's file is a place of its own, where nothing was before: only bytes can be expected somewhere else.
    if (legal && request->expect.tag == TYPES_EXPECTATION_BYTES) {
        legal = read_locator(&request->expect.val.bytes, &expected, failure) && present(&expected, failure);
    }
    exports_storage_put_request_free(request);
    if (!legal) {
        http_stream_u8_drop_readable(body);
        return false;
    }
    char *unfinished = stored_unfinished(&stored);
    bool done = upload(&stored, unfinished, body, failure);
    if (done) {
        response->locator = locator_of(&stored);
    } else {
        // Best effort: what stays behind is no object, only a file that nobody asks for.
        answer_t answer;
        types_failure_t ignored;
        if (dav_send(&SERVER, "DELETE", unfinished, NO_HEADERS, NULL, &answer, &ignored)) {
            answer_close(&answer);
        } else {
            types_failure_free(&ignored);
        }
    }
    free(unfinished);
    return done;
}

// Where the body of a 200 or 206 starts, and how many bytes it has.
static bool extent(const answer_t *answer, const stored_t *stored, exports_storage_get_response_t *response,
                   types_failure_t *failure) {
    char *length = answer_header(answer, "content-length");
    char *range = answer->status == 206 ? answer_header(answer, "content-range") : NULL;
    bool told = length != NULL && (answer->status == 200 || (range != NULL && strncmp(range, "bytes ", 6) == 0));
    if (told) {
        response->length = strtoull(length, NULL, 10);
        response->offset = range == NULL ? 0 : strtoull(range + 6, NULL, 10);
    }
    free(length);
    free(range);
    if (!told) {
        return fail(failure, "internal", "an answer that does not say what it holds");
    }
    return answer->status == 206 || response->length == stored->size ||
           fail(failure, "changed", "the file has another size than what was stored");
}

bool exports_storage_get(exports_storage_get_request_t *request, exports_storage_tuple2_get_response_stream_u8_t *response,
                         types_failure_t *failure) {
    memset(response, 0, sizeof *response);
    exports_storage_option_span_t span = request->span;
    stored_t stored;
    bool legal = read_locator(&request->locator, &stored, failure);
    exports_storage_get_request_free(request);
    if (!legal) {
        return false;
    }
    char *file = stored_file(&stored);
    digits_t first = text_digits(span.val.offset), last = text_digits(span.val.offset + span.val.length - 1);
    char *range = text_join("bytes=", first.text, "-", last.text, NULL);
    const header_t headers[] = {{span.is_some ? "range" : NULL, range}, {NULL, NULL}};
    answer_t answer;
    bool answered = dav_send(&SERVER, "GET", file, headers, NULL, &answer, failure);
    free(file);
    free(range);
    if (!answered) {
        return false;
    }
    if (answer.status != (span.is_some ? 206 : 200)) {
        return refuse(failure, "GET", &answer);
    }
    if (!extent(&answer, &stored, &response->f0, failure)) {
        answer_close(&answer);
        return false;
    }
    response->f1 = answer_body(&answer);
    return true;
}

bool exports_storage_head(exports_storage_head_request_t *request, exports_storage_head_response_t *response,
                          types_failure_t *failure) {
    memset(response, 0, sizeof *response);
    stored_t stored;
    bool there = read_locator(&request->locator, &stored, failure) && present(&stored, failure);
    exports_storage_head_request_free(request);
    if (there) {
        response->size = stored.size;
    }
    return there;
}

bool exports_storage_delete(exports_storage_delete_request_t *request, exports_storage_delete_response_t *response,
                            types_failure_t *failure) {
    memset(response, 0, sizeof *response);
    stored_t stored;
    bool legal = read_locator(&request->locator, &stored, failure);
    exports_storage_delete_request_free(request);
    if (!legal) {
        return false;
    }
    char *file = stored_file(&stored);
    answer_t answer;
    bool answered = send_insistently("DELETE", file, &answer, failure);
    free(file);
    if (!answered) {
        return false;
    }
    if (answer.status / 100 != 2 && answer.status != 404) {
        return refuse(failure, "DELETE", &answer);
    }
    answer_close(&answer);
    return true;
}

bool exports_storage_find(exports_storage_find_request_t *request, exports_storage_find_response_t *response,
                          types_failure_t *failure) {
    memset(response, 0, sizeof *response);
    stored_t stored;
    // Without a write id there is nothing to find: a name has no place of its own.
    bool asked = request->write_id.is_some;
    bool legal = !asked || stored_new(&stored, request->write_id.val.ptr, request->write_id.val.len, 0) ||
                 fail(failure, "invalid", "a write id is 32 lower-case hexadecimal digits");
    exports_storage_find_request_free(request);
    if (!asked || !legal) {
        return legal;
    }
    if (size_of(&stored, &stored.size, failure)) {
        response->found.is_some = true;
        response->found.val.size = stored.size;
        response->found.val.locator = locator_of(&stored);
        return true;
    }
    // Only what the server itself answered means that nothing is there.
    if (failure->code.len == 9 && memcmp(failure->code.ptr, "not-found", 9) == 0) {
        types_failure_free(failure);
        return true;
    }
    return false;
}
