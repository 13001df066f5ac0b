// Puts strings together.
#include "text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static char *room(size_t length) {
    char *text = malloc(length + 1);
    if (text == NULL) {
        abort();
    }
    return text;
}

char *text_join(const char *first, ...) {
    va_list parts;
    size_t length = 0;
    va_start(parts, first);
    for (const char *part = first; part != NULL; part = va_arg(parts, const char *)) {
        length += strlen(part);
    }
    va_end(parts);
    char *text = room(length);
    char *end = text;
    va_start(parts, first);
    for (const char *part = first; part != NULL; part = va_arg(parts, const char *)) {
        size_t count = strlen(part);
        memcpy(end, part, count);
        end += count;
    }
    va_end(parts);
    *end = '\0';
    return text;
}

char *text_copy(const char *bytes, size_t length) {
    length = strnlen(bytes, length);
    char *text = room(length);
    memcpy(text, bytes, length);
    text[length] = '\0';
    return text;
}

digits_t text_digits(uint64_t number) {
    char backwards[20];
    size_t count = 0;
    do {
        backwards[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    digits_t digits;
    for (size_t index = 0; index < count; index++) {
        digits.text[index] = backwards[count - 1 - index];
    }
    digits.text[count] = '\0';
    return digits;
}
