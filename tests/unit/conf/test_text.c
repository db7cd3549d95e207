#include "conf/text.h"
#include "support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void assert_buf(struct gnt_buf *b, const char *expected)
{
    assert_int_equal(gnt_buf_put(b, gnt_slice("", 1)), GNT_OK);
    assert_string_equal((const char *)gnt_buf_slice(b).data, expected);
    gnt_buf_fini(b);
}

static void put_appends_or_changes_nothing(void **state)
{
    (void)state;
    struct gnt_buf b = {NULL, 0, 0, 0};
    assert_int_equal(gnt_text_put(&b, "%d-%s", 7, "x"), GNT_OK);
    assert_int_equal(gnt_text_put(&b, "%s", ""), GNT_OK);
    assert_int_equal(gnt_text_put(&b, "!"), GNT_OK);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_text_put(&b, "%1000s", "wide"), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_buf(&b, "7-x!");
}

static void wrap_breaks_at_spaces(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at, indent, width;
        const char *lines;
    } rows[] = {
        {"", 0, 0, 10, "\n"},
        {"one two", 0, 0, 10, "one two\n"},
        {"one two thr", 0, 0, 10, "one two\nthr\n"},
        {"one two thr", 0, 0, 11, "one two thr\n"},
        {"one two three", 4, 2, 10, "one\n  two\n  three\n"},
        {"unbreakable word", 0, 0, 5, "unbreakable\nword\n"},
        {"first\nsecond", 0, 2, 40, "first\n  second\n"},
        {"first\n\nsecond", 0, 2, 40, "first\n\n  second\n"},
        {"  spaces   between ", 0, 0, 40, "spaces between\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gnt_buf b = {NULL, 0, 0, 0};
        assert_int_equal(gnt_text_wrap(&b, rows[i].text, rows[i].at, rows[i].indent, rows[i].width),
                         GNT_OK);
        assert_buf(&b, rows[i].lines);
    }
}

static void nearest_word(void **state)
{
    (void)state;
    static const char *const words[] = {"1.0", "listeners", "limits", "log", "data", "workers"};
    static const struct {
        const char *typed, *meant;
    } rows[] = {
        {"listenrs", "listeners"},
        {"listener", "listeners"},
        {"lsiteners", "listeners"},
        {"Listeners", "listeners"},
        {"limit", "limits"},
        {"lgo", "log"},
        {"worker", "workers"},
        {"wor", "workers"},
        {"date", "data"},
        {"parrots", NULL},
        {"", NULL},
        {"x", NULL},
        {"entities", NULL},
        {"1.4", NULL}, /* a number is not misspelt */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gnt_nearest near = gnt_nearest(rows[i].typed);
        for (size_t w = 0; w < sizeof words / sizeof words[0]; w++)
            gnt_nearest_offer(&near, words[w]);
        if (rows[i].meant) {
            assert_non_null(near.word);
            assert_string_equal(near.word, rows[i].meant);
        } else {
            assert_null(near.word);
        }
    }
}

static void nearest_ignores_huge_words(void **state)
{
    (void)state;
    char huge[2000];
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    struct gnt_nearest near = gnt_nearest(huge);
    gnt_nearest_offer(&near, "a");
    gnt_nearest_offer(&near, huge);
    assert_null(near.word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_appends_or_changes_nothing),
        cmocka_unit_test(wrap_breaks_at_spaces),
        cmocka_unit_test(nearest_word),
        cmocka_unit_test(nearest_ignores_huge_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
