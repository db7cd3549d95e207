/* Pass-phrases from files, variables and words. */
#include "pki/secret.h"
#include "support/alloc_fault.h"
#include "support/place.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_file(const struct place *p, const char *text, char source[160])
{
    char path[140];
    (void)snprintf(path, sizeof path, "%s/secret", p->base);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    (void)snprintf(source, 160, "file:%s", path);
}

static void test_first_line_of_a_file(void **state)
{
    static const struct {
        const char *text, *secret;
    } rows[] = {{"one two\n", "one two"}, {"a\nb\n", "a"}, {"win\r\n", "win"},
                {"no end", "no end"},     {"\n", ""},      {"", ""},
                {"0123456", "0123456"}};
    char source[160], out[8];
    struct gnt_pki_why why;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        write_file(*state, rows[i].text, source);
        assert_int_equal(gnt_secret_read(source, out, sizeof out, &why), GNT_OK);
        assert_string_equal(out, rows[i].secret);
    }
    write_file(*state, "01234567", source);
    assert_int_equal(gnt_secret_read(source, out, sizeof out, &why), GNT_TOOBIG);
    assert_non_null(strstr(why.text, "longer than 7 bytes"));
    write_file(*state, "abc", source);
    for (int at = 0, err = GNT_NOMEM; err == GNT_NOMEM; at++) {
        gnt_alloc_fail_at(at);
        err = gnt_secret_read(source, out, sizeof out, &why);
        gnt_alloc_fail_at(-1);
        assert_true(err == GNT_OK || err == GNT_NOMEM);
    }
    assert_string_equal(out, "abc");
}

static void test_words_and_variables(void **state)
{
    (void)state;
    char out[8];
    struct gnt_pki_why why;
    assert_int_equal(gnt_secret_read("pass:a:b", out, sizeof out, &why), GNT_OK);
    assert_string_equal(out, "a:b");
    assert_int_equal(setenv("GNT_SECRET", "deep", 1), 0);
    assert_int_equal(gnt_secret_read("env:GNT_SECRET", out, sizeof out, &why), GNT_OK);
    assert_string_equal(out, "deep");
    static const struct {
        const char *source, *words;
        gnt_err err;
    } bad[] = {
        {"env:GNT_NOWHERE", "no environment variable GNT_NOWHERE", GNT_INVALID},
        {"pass:12345678", "longer than 7 bytes", GNT_TOOBIG},
        {"file:/nowhere/at/all", "/nowhere/at/all: ", GNT_NOTFOUND},
        {"secret", "expected file:FILE, env:NAME or pass:TEXT", GNT_INVALID},
        {"", "got ''", GNT_INVALID},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(gnt_secret_read(bad[i].source, out, sizeof out, &why), bad[i].err);
        assert_non_null(strstr(why.text, bad[i].words));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_line_of_a_file, place_setup, place_teardown),
        cmocka_unit_test(test_words_and_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
