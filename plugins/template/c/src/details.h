// What an operator may write in a location's details. Knows neither WIT nor HTTP.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// A collection of a WebDAV server.
typedef struct server {
    bool https;
    // `host:port`, the port always there.
    char *authority;
    // Begins and ends with a slash.
    char *path;
} server_t;

// Reads `endpoint` out of the JSON of a location's details. Answers what is wrong with it, or NULL.
const char *server_parse(server_t *server, const char *details, size_t length);

// `https://host:port` and a path of this server, which begins with a slash. The caller frees it.
char *server_url(const server_t *server, const char *path);

void server_free(server_t *server);

// The text in the top-level member `name` of a JSON object, ending with NUL. NULL when there is no such member, when it
// is no text, or when it has a NUL in it. The caller frees it.
char *json_text(const char *json, size_t length, const char *name);
