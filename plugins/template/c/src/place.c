// Where the file of a write is, and what its locator says.
#include "place.h"

#include "text.h"

#include <string.h>

// The one format of locators so far: this byte, the write id, the size in decimal digits. A later one takes the next
// number, and this one is read for ever.
#define FORMAT 1

#define WRITE_ID 32

bool stored_new(stored_t *stored, const uint8_t *write_id, size_t length, uint64_t size) {
    if (length != WRITE_ID) {
        return false;
    }
    for (size_t index = 0; index < length; index++) {
        uint8_t letter = write_id[index];
        if (!((letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f'))) {
            return false;
        }
    }
    memcpy(stored->write_id, write_id, WRITE_ID);
    stored->write_id[WRITE_ID] = '\0';
    stored->size = size;
    return true;
}

size_t stored_write(const stored_t *stored, uint8_t *buffer) {
    digits_t size = text_digits(stored->size);
    size_t digits = strlen(size.text);
    buffer[0] = FORMAT;
    memcpy(buffer + 1, stored->write_id, WRITE_ID);
    memcpy(buffer + 1 + WRITE_ID, size.text, digits);
    return 1 + WRITE_ID + digits;
}

bool stored_read(stored_t *stored, const uint8_t *locator, size_t length) {
    // One digit at least, and no more than 19, which no 64 bits overflow.
    if (length < 1 + WRITE_ID + 1 || length > 1 + WRITE_ID + 19 || locator[0] != FORMAT) {
        return false;
    }
    uint64_t size = 0;
    for (size_t index = 1 + WRITE_ID; index < length; index++) {
        if (locator[index] < '0' || locator[index] > '9') {
            return false;
        }
        size = size * 10 + (locator[index] - '0');
    }
    return stored_new(stored, locator + 1, WRITE_ID, size);
}

char *stored_file(const stored_t *stored) {
    return text_join(stored->write_id + WRITE_ID - 2, "/", stored->write_id, NULL);
}

char *stored_collection(const stored_t *stored) {
    return text_join(stored->write_id + WRITE_ID - 2, "/", NULL);
}

char *stored_unfinished(const stored_t *stored) {
    return text_join(stored->write_id, ".unfinished", NULL);
}
