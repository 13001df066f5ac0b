// Requests to a WebDAV server, through the host.
//
// Imports are lowered synchronously: a call that waits, waits here, and the host goes on meanwhile.
#include "dav.h"

#include "text.h"

#include <stdlib.h>
#include <string.h>

// ---- Futures that we have to fulfil
//
// A request takes a future of its trailers, a body one of how reading it went. Both have nothing to say, and each is
// read when the host comes to it, perhaps after the call has ended. A future must be written before it may be dropped:
// so what is not read yet stays in a set, and is dropped by a later call.

typedef struct promise {
    uint32_t writer;
    void (*drop)(uint32_t writer);
    struct promise *next;
} promise_t;

static promise_t *PROMISES;
static plugin_waitable_set_t UNREAD;

static void settle(void) {
    while (PROMISES != NULL) {
        plugin_event_t event;
        plugin_waitable_set_poll(UNREAD, &event);
        if (event.event == PLUGIN_EVENT_NONE) {
            return;
        }
        promise_t **link = &PROMISES;
        while (*link != NULL && (*link)->writer != event.waitable) {
            link = &(*link)->next;
        }
        promise_t *settled = *link;
        if (settled == NULL) {
            return;
        }
        *link = settled->next;
        plugin_waitable_join(settled->writer, 0);
        settled->drop(settled->writer);
        free(settled);
    }
}

static void promise(uint32_t writer, plugin_waitable_status_t written, void (*drop)(uint32_t writer)) {
    if (written != PLUGIN_WAITABLE_STATUS_BLOCKED) {
        drop(writer);
        return;
    }
    promise_t *unread = malloc(sizeof *unread);
    if (unread == NULL) {
        abort();
    }
    if (UNREAD == 0) {
        UNREAD = plugin_waitable_set_new();
    }
    *unread = (promise_t){writer, drop, PROMISES};
    PROMISES = unread;
    plugin_waitable_join(writer, UNREAD);
}

static http_future_result_option_own_trailers_error_code_t no_trailers(void) {
    // Read whenever the host comes to it, so not on the stack.
    static const http_result_option_own_trailers_error_code_t NONE;
    http_future_result_option_own_trailers_error_code_writer_t writer;
    http_future_result_option_own_trailers_error_code_t future =
        http_future_result_option_own_trailers_error_code_new(&writer);
    promise(writer, http_future_result_option_own_trailers_error_code_write(writer, &NONE),
            http_future_result_option_own_trailers_error_code_drop_writable);
    return future;
}

static http_future_result_void_error_code_t all_well(void) {
    static const http_result_void_error_code_t WELL;
    http_future_result_void_error_code_writer_t writer;
    http_future_result_void_error_code_t future = http_future_result_void_error_code_new(&writer);
    promise(writer, http_future_result_void_error_code_write(writer, &WELL),
            http_future_result_void_error_code_drop_writable);
    return future;
}

// ---- Requests

// What an import only looks at: nothing is copied.
static plugin_string_t lent(const char *text) {
    return (plugin_string_t){(uint8_t *)text, strlen(text)};
}

static http_own_fields_t fields_of(const header_t *headers, bool silent) {
    http_tuple2_field_name_field_value_t entries[8];
    size_t count = 0;
    for (; headers->name != NULL && count < 7; headers++) {
        plugin_string_t value = lent(headers->value);
        entries[count].f0 = lent(headers->name);
        entries[count++].f1 = (http_field_value_t){value.ptr, value.len};
    }
    if (silent) {
        // Not every server takes the empty chunked body that a DELETE or MOVE would get.
        entries[count].f0 = lent("content-length");
        entries[count++].f1 = (http_field_value_t){(uint8_t *)"0", 1};
    }
    http_list_tuple2_field_name_field_value_t list = {entries, count};
    http_own_fields_t fields;
    http_header_error_t error;
    if (!http_static_fields_from_list(&list, &fields, &error)) {
        // Every header is one of ours, and legal.
        abort();
    }
    return fields;
}

static http_method_t method_of(const char *name) {
    static const struct {
        const char *name;
        uint8_t tag;
    } KNOWN[] = {
        {"GET", HTTP_METHOD_GET}, {"HEAD", HTTP_METHOD_HEAD}, {"PUT", HTTP_METHOD_PUT}, {"DELETE", HTTP_METHOD_DELETE}};
    http_method_t method = {.tag = HTTP_METHOD_OTHER, .val.other = lent(name)};
    for (size_t index = 0; index < sizeof KNOWN / sizeof *KNOWN; index++) {
        if (strcmp(KNOWN[index].name, name) == 0) {
            method.tag = KNOWN[index].tag;
        }
    }
    return method;
}

static bool unanswered(types_failure_t *failure, http_error_code_t *error) {
    bool denied = error->tag == HTTP_ERROR_CODE_HTTP_REQUEST_DENIED ||
                  error->tag == HTTP_ERROR_CODE_DESTINATION_IP_PROHIBITED ||
                  error->tag == HTTP_ERROR_CODE_TLS_CERTIFICATE_ERROR;
    char *message = text_join("no answer: error ", text_digits(error->tag).text, " of wasi:http", NULL);
    fail(failure, denied ? "denied" : "unavailable", message);
    free(message);
    http_error_code_free(error);
    return false;
}

bool dav_send(const server_t *server, const char *method, const char *path, const header_t *headers,
              const http_stream_u8_t *body, answer_t *answer, types_failure_t *failure) {
    settle();
    http_method_t verb = method_of(method);
    bool silent = body == NULL && verb.tag != HTTP_METHOD_GET && verb.tag != HTTP_METHOD_HEAD;
    http_stream_u8_t contents = body == NULL ? 0 : *body;
    http_tuple2_own_request_future_result_void_error_code_t made;
    http_static_request_new(fields_of(headers, silent), body == NULL ? NULL : &contents, no_trailers(), NULL, &made);
    // How sending went shows in the answer.
    http_future_result_void_error_code_drop_readable(made.f1);

    char *whole = text_join(server->path, path, NULL);
    plugin_string_t authority = lent(server->authority), target = lent(whole);
    http_scheme_t scheme = {.tag = server->https ? HTTP_SCHEME_HTTPS : HTTP_SCHEME_HTTP};
    http_borrow_request_t request = http_borrow_request(made.f0);
    bool legal = http_method_request_set_method(request, &verb) && http_method_request_set_scheme(request, &scheme) &&
                 http_method_request_set_authority(request, &authority) &&
                 http_method_request_set_path_with_query(request, &target);
    free(whole);
    if (!legal) {
        http_request_drop_own(made.f0);
        return fail(failure, "invalid", "the endpoint makes no legal request");
    }
    client_error_code_t error;
    if (!client_send(made.f0, &answer->response, &error)) {
        return unanswered(failure, &error);
    }
    answer->status = http_method_response_get_status_code(http_borrow_response(answer->response));
    return true;
}

// ---- Answers

char *answer_header(const answer_t *answer, const char *name) {
    http_own_headers_t headers = http_method_response_get_headers(http_borrow_response(answer->response));
    plugin_string_t wanted = lent(name);
    http_list_field_value_t values;
    http_method_fields_get(http_borrow_fields(headers), &wanted, &values);
    char *value = values.len == 0 ? NULL : text_copy((const char *)values.ptr[0].ptr, values.ptr[0].len);
    http_list_field_value_free(&values);
    http_fields_drop_own(headers);
    return value;
}

http_stream_u8_t answer_body(answer_t *answer) {
    http_tuple2_stream_u8_future_result_option_own_trailers_error_code_t body;
    http_static_response_consume_body(answer->response, all_well(), &body);
    http_future_result_option_own_trailers_error_code_drop_readable(body.f1);
    return body.f0;
}

void answer_close(answer_t *answer) {
    http_response_drop_own(answer->response);
}

// ---- Failures

bool fail(types_failure_t *failure, const char *code, const char *message) {
    memset(failure, 0, sizeof *failure);
    plugin_string_dup(&failure->code, code);
    plugin_string_dup(&failure->message, message);
    failure->retry_after.is_some = strcmp(code, "unavailable") == 0 || strcmp(code, "throttled") == 0;
    failure->retry_after.val = 200;
    return false;
}

static const char *code_of(uint16_t status) {
    switch (status) {
    case 401:
    case 403:
        return "denied";
    case 404:
    case 410:
        return "not-found";
    case 412:
        return "changed";
    case 413:
        return "too-large";
    case 416:
        return "invalid";
    // Somebody else writes there at this moment, or the server asks for less.
    case 423:
    case 429:
        return "throttled";
    case 507:
        return "no-space";
    default:
        return status >= 500 ? "unavailable" : "internal";
    }
}

bool refuse(types_failure_t *failure, const char *method, answer_t *answer) {
    char *message = text_join(method, " was answered with ", text_digits(answer->status).text, NULL);
    answer_close(answer);
    fail(failure, code_of(answer->status), message);
    free(message);
    return false;
}
