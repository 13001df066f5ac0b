// Where the file of a write is, and what its locator says. Knows neither WIT nor HTTP.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The bytes of one write.
typedef struct stored {
    char write_id[33];
    uint64_t size;
} stored_t;

// Accepts what the contract allows as a write id and nothing else: it becomes part of a path.
bool stored_new(stored_t *stored, const uint8_t *write_id, size_t length, uint64_t size);

// The longest locator of this plugin, in bytes.
#define LONGEST_LOCATOR 64

// Writes a locator into `buffer`, which has LONGEST_LOCATOR bytes; answers its length.
size_t stored_write(const stored_t *stored, uint8_t *buffer);

// Whether the bytes are a locator that `stored_write` wrote.
bool stored_read(stored_t *stored, const uint8_t *locator, size_t length);

// The file, as a path below the location's collection. The caller frees it.
char *stored_file(const stored_t *stored);

// Its collection: one of 256, so that none grows beyond what a server lists. The caller frees it.
char *stored_collection(const stored_t *stored);

// Where the file is until it is whole. The caller frees it.
char *stored_unfinished(const stored_t *stored);
