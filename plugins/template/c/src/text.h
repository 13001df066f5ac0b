// Strings that end with NUL and live on the heap. Without stdio, whose files a plugin has no use for and which would
// make the component import a file system.
#pragma once

#include <stddef.h>
#include <stdint.h>

// One string of several, the last of which is followed by NULL. The caller frees it. Ends the instance when there is no
// memory.
char *text_join(const char *first, ...) __attribute__((sentinel));

// A copy of as many bytes as there are before NUL, at most `length`. The caller frees it.
char *text_copy(const char *bytes, size_t length);

// Room for a number in decimal digits.
typedef struct digits {
    char text[21];
} digits_t;

digits_t text_digits(uint64_t number);
