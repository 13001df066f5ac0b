// Reads a location's details.
#include "details.h"

#include "text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// ---- URLs

// Whether it is a port, and which.
static bool port_of(const char *text, size_t length, unsigned *port) {
    if (length == 0 || length > 5) {
        return false;
    }
    *port = 0;
    for (size_t index = 0; index < length; index++) {
        if (!isdigit((unsigned char)text[index])) {
            return false;
        }
        *port = *port * 10 + (unsigned)(text[index] - '0');
    }
    return *port > 0 && *port <= 65535;
}

static const char *url_parse(server_t *server, const char *url) {
    server->https = strncasecmp(url, "https://", 8) == 0;
    if (!server->https && strncasecmp(url, "http://", 7) != 0) {
        return "is no URL of http or https";
    }
    const char *host = url + (server->https ? 8 : 7);
    size_t length = strcspn(host, "/?#");
    const char *path = host + length;
    if (strpbrk(path, "?#") != NULL) {
        return "has a query or a fragment";
    }
    for (const char *letter = url; *letter != '\0'; letter++) {
        if (!isgraph((unsigned char)*letter) || *letter == '@' || *letter == '\\') {
            return "has characters that no host and path have";
        }
    }
    // An IPv6 address has colons of its own, within brackets.
    size_t named = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
    unsigned port = server->https ? 443 : 80;
    if (named == 0 || named > length || (named < length && host[named] != ':')) {
        return "names no host";
    }
    if (named < length && !port_of(host + named + 1, length - named - 1, &port)) {
        return "has no port behind the colon";
    }
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    char *name = text_copy(host, named), *folder = text_copy(path, end);
    server->authority = text_join(name, ":", text_digits(port).text, NULL);
    server->path = text_join(folder, "/", NULL);
    free(name);
    free(folder);
    return NULL;
}

const char *server_parse(server_t *server, const char *details, size_t length) {
    char *endpoint = json_text(details, length, "endpoint");
    if (endpoint == NULL) {
        return "is missing, or is no text";
    }
    const char *wrong = url_parse(server, endpoint);
    free(endpoint);
    return wrong;
}

char *server_url(const server_t *server, const char *path) {
    return text_join(server->https ? "https://" : "http://", server->authority, path, NULL);
}

void server_free(server_t *server) {
    free(server->authority);
    free(server->path);
    server->authority = server->path = NULL;
}

// ---- JSON
//
// The host has read the details before and writes them anew, so that what comes here is JSON: it is enough to find one
// member. What is no JSON after all ends as an absent member, never beyond the end.

typedef struct reader {
    const char *at, *end;
} reader_t;

static char peek(const reader_t *reader) {
    return reader->at < reader->end ? *reader->at : '\0';
}

static void skip_space(reader_t *reader) {
    while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL && *reader->at != '\0') {
        reader->at++;
    }
}

static bool take(reader_t *reader, char letter) {
    skip_space(reader);
    if (peek(reader) != letter) {
        return false;
    }
    reader->at++;
    return true;
}

static int hex_of(reader_t *reader) {
    int value = 0;
    for (int digit = 0; digit < 4; digit++) {
        char letter = peek(reader);
        if (!isxdigit((unsigned char)letter)) {
            return -1;
        }
        value = value * 16 + (isdigit((unsigned char)letter) ? letter - '0' : tolower((unsigned char)letter) - 'a' + 10);
        reader->at++;
    }
    return value;
}

static size_t write_utf8(char *to, unsigned point) {
    size_t more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const unsigned char FIRST[] = {0, 0xc0, 0xe0, 0xf0};
    to[0] = (char)(FIRST[more] | (point >> (6 * more)));
    for (size_t index = 1; index <= more; index++) {
        to[index] = (char)(0x80 | ((point >> (6 * (more - index))) & 0x3f));
    }
    return more + 1;
}

// What `\u` stands for: a point outside of the first plane has two halves. Negative when it is none.
static long point_of(reader_t *reader) {
    long point = hex_of(reader);
    if (point < 0xd800 || point > 0xdfff) {
        return point;
    }
    if (point > 0xdbff || peek(reader) != '\\' || reader->end - reader->at < 6 || reader->at[1] != 'u') {
        return -1;
    }
    reader->at += 2;
    long low = hex_of(reader);
    return low < 0xdc00 || low > 0xdfff ? -1 : 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
}

// Reads a string from its opening quote. NULL when it is none; the caller frees it.
static char *take_string(reader_t *reader) {
    if (!take(reader, '"')) {
        return NULL;
    }
    // Nothing gets longer when its escapes are undone.
    char *text = malloc((size_t)(reader->end - reader->at) + 1);
    if (text == NULL) {
        abort();
    }
    size_t length = 0;
    while (reader->at < reader->end && *reader->at != '"') {
        char letter = *reader->at++;
        if (letter != '\\') {
            text[length++] = letter;
            continue;
        }
        char escaped = peek(reader);
        reader->at += reader->at < reader->end;
        static const char NAMES[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
        const char *named = escaped == '\0' ? NULL : strchr(NAMES, escaped);
        long point = named != NULL ? MEANT[named - NAMES] : escaped == 'u' ? point_of(reader) : -1;
        if (point <= 0) {
            free(text);
            return NULL;
        }
        length += write_utf8(text + length, (unsigned)point);
    }
    text[length] = '\0';
    if (!take(reader, '"') || strlen(text) != length) {
        free(text);
        return NULL;
    }
    return text;
}

// Skips a value: to the comma or bracket that ends it on this level.
static void skip_value(reader_t *reader) {
    int depth = 0;
    bool quoted = false;
    for (; reader->at < reader->end; reader->at++) {
        char letter = *reader->at;
        if (quoted) {
            reader->at += letter == '\\' && reader->at + 1 < reader->end;
            quoted = letter != '"';
        } else if (depth == 0 && (letter == ',' || letter == '}')) {
            return;
        } else {
            quoted = letter == '"';
            depth += letter == '{' || letter == '[';
            depth -= letter == '}' || letter == ']';
        }
    }
}

char *json_text(const char *json, size_t length, const char *name) {
    reader_t reader = {json, json + length};
    if (!take(&reader, '{')) {
        return NULL;
    }
    do {
        char *member = take_string(&reader);
        bool wanted = member != NULL && strcmp(member, name) == 0;
        free(member);
        if (member == NULL || !take(&reader, ':')) {
            return NULL;
        }
        if (wanted) {
            return take_string(&reader);
        }
        skip_value(&reader);
    } while (take(&reader, ','));
    return NULL;
}
