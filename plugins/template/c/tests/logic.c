// Tests of the logic, natively: what details say, where files are, what locators say.
#include "details.h"
#include "place.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int FAILED;

static void check(bool held, const char *what) {
    if (!held) {
        FAILED++;
        printf("FAILED: %s\n", what);
    }
}

static bool same(char *text, const char *expected) {
    bool same = text != NULL && strcmp(text, expected) == 0;
    free(text);
    return same;
}

#define WRITE_ID "0123456789abcdef0123456789abcdef"

static stored_t stored(uint64_t size) {
    stored_t stored = {{0}, 0};
    check(stored_new(&stored, (const uint8_t *)WRITE_ID, 32, size), "a write id is taken");
    return stored;
}

static void a_write_has_a_file_of_its_own(void) {
    stored_t write = stored(5);
    check(same(stored_file(&write), "ef/" WRITE_ID), "the file");
    check(same(stored_collection(&write), "ef/"), "its collection");
    check(same(stored_unfinished(&write), WRITE_ID ".unfinished"), "where it is until it is whole");
}

static void what_is_no_write_id_names_no_file(void) {
    static const char *const ILLEGAL[] = {"", "../../etc/passwd", "0123456789ABCDEF0123456789ABCDEF", WRITE_ID "0"};
    for (size_t index = 0; index < sizeof ILLEGAL / sizeof *ILLEGAL; index++) {
        stored_t write;
        check(!stored_new(&write, (const uint8_t *)ILLEGAL[index], strlen(ILLEGAL[index]), 0), ILLEGAL[index]);
    }
}

static void a_locator_reads_as_what_was_stored(void) {
    static const uint64_t SIZES[] = {0, 9, 10, (uint64_t)5 << 40};
    for (size_t index = 0; index < sizeof SIZES / sizeof *SIZES; index++) {
        stored_t write = stored(SIZES[index]), read;
        uint8_t locator[LONGEST_LOCATOR];
        size_t length = stored_write(&write, locator);
        check(stored_read(&read, locator, length), "a locator is read");
        check(read.size == write.size && strcmp(read.write_id, write.write_id) == 0, "as it was written");
        check(!stored_read(&read, locator, 33), "one that is cut is refused");
        locator[0]++;
        check(!stored_read(&read, locator, length), "one of another format is refused");
    }
}

// What is wrong with an endpoint, or the URL of its collection.
static char *parsed(const char *details) {
    server_t server = {0};
    const char *wrong = server_parse(&server, details, strlen(details));
    char *said = wrong == NULL ? server_url(&server, server.path) : text_join(wrong, NULL);
    server_free(&server);
    return said;
}

static void an_endpoint_is_a_collection_of_a_server(void) {
    check(same(parsed("{\"endpoint\": \"http://127.0.0.1:8080/a/b\"}"), "http://127.0.0.1:8080/a/b/"), "with a path");
    check(same(parsed("{\"endpoint\":\"https://h\"}"), "https://h:443/"), "with nothing but a name");
    check(same(parsed("{\"endpoint\": \"http://[::1]:80//\"}"), "http://[::1]:80/"), "of IPv6");
}

static void mistakes_of_an_endpoint_are_found(void) {
    static const char *const WRONG[] = {
        "",           "{}",          "[]",           "{\"endpoint\": 7}",  "{\"endpoint\": \"ftp://h\"}",
        "http://",    "http://:80",  "http://h:x",   "http://h:0",         "http://h:65536",
        "http://h/?", "http://h/#x", "http://u@h/p", "http://h/a b",       "http://h\\u0000/",
        "http://[::", "http://[::1]x"};
    for (size_t index = 0; index < sizeof WRONG / sizeof *WRONG; index++) {
        char *details = strncmp(WRONG[index], "http", 4) == 0
                            ? text_join("{\"endpoint\": \"", WRONG[index], "\"}", NULL)
                            : text_join(WRONG[index], NULL);
        server_t server = {0};
        check(server_parse(&server, details, strlen(details)) != NULL, WRONG[index]);
        server_free(&server);
        free(details);
    }
}

static void a_member_is_found_among_others(void) {
    static const char JSON[] = "{ \"a\": {\"wanted\": \"no\", \"x\": [\"}\", 1, {}]}, \"b\\\"\": \"q\\\\\\\"},\", \"n\": -1.5e3,"
                               "\"wanted\" : \"\\u0041\\u00e4\\u20ac\\ud83d\\ude00\\n/\", \"z\": null}";
    check(same(json_text(JSON, strlen(JSON), "wanted"), "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n/"), "escapes are undone");
    check(json_text(JSON, strlen(JSON), "z") == NULL, "null is no text");
    check(json_text(JSON, strlen(JSON), "absent") == NULL, "what is not there");
}

// Copied to the end of an allocation, so that the sanitizer sees any read beyond it.
static void what_is_cut_off_is_read_to_its_end_and_no_further(void) {
    static const char JSON[] = "{\"a\": [\"\\\"\"], \"wanted\": \"\\ud83d\\ude00\\\\\"}";
    for (size_t length = 0; length < strlen(JSON); length++) {
        char *cut = malloc(length == 0 ? 1 : length);
        memcpy(cut, JSON, length);
        char *text = json_text(cut, length, "wanted");
        check(text == NULL || length == strlen(JSON) - 1, "a member that is cut off is none");
        free(text);
        free(cut);
    }
}

int main(void) {
    a_write_has_a_file_of_its_own();
    what_is_no_write_id_names_no_file();
    a_locator_reads_as_what_was_stored();
    an_endpoint_is_a_collection_of_a_server();
    mistakes_of_an_endpoint_are_found();
    a_member_is_found_among_others();
    what_is_cut_off_is_read_to_its_end_and_no_further();
    printf("%s\n", FAILED == 0 ? "all well" : "not well");
    return FAILED == 0 ? 0 : 1;
}
