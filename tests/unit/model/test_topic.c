#include "model/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

struct row {
    const char *text;
    size_t max_levels;
    bool valid;
};

static void names(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"sport/tennis/player1", 0, true},
        {"/", 0, true},
        {"/finance", 0, true},
        {"a//b", 0, true},
        {"ACCOUNTS", 0, true},
        {"Accounts payable", 0, true}, /* [MQTT5 4.7.3]: spaces are fine */
        {"$SYS/broker/uptime", 0, true},
        {"\xc3\xa4/\xe2\x82\xac/\xf0\x9f\x8c\xa1", 0, true},
        {"a(b", 0, true},
        {"a[b", 0, true},
        {"a$b", 0, true},
        {"", 0, false}, /* [MQTT-4.7.3-1] */
        {"+", 0, false},
        {"#", 0, false},
        {"a/+/b", 0, false}, /* [MQTT-3.3.2-2] */
        {"a+", 0, false},
        {"a/#", 0, false},
        {"a#b", 0, false},
        {"\xff", 0, false},
        {"a/\xc3", 0, false},
        {"a/\xed\xa0\x80", 0, false}, /* a surrogate */
        {"a/\xc0\xaf", 0, false},     /* a slash in too many bytes */
        {"a/b/c", 3, true},
        {"a/b/c/", 3, false},
        {"a/b/c/d", 3, false},
        {"///", 4, true},
        {"////", 4, false},
        {"a", 1, true},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (gnt_topic_name_valid(gnt_slice_str(rows[i].text), rows[i].max_levels) != rows[i].valid)
            fail_msg("name \"%s\": not %s", rows[i].text, rows[i].valid ? "valid" : "invalid");
    assert_false(gnt_topic_name_valid(gnt_slice("a\0b", 3), 0)); /* [MQTT-4.7.3-2] */
    assert_false(gnt_topic_name_valid(gnt_slice(NULL, 0), 0));
}

static void filters(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"sport/tennis/player1", 0, true},
        {"#", 0, true}, /* the examples of [MQTT5 4.7.1.2] and [MQTT5 4.7.1.3] */
        {"sport/tennis/#", 0, true},
        {"sport/tennis#", 0, false},
        {"sport/tennis/#/ranking", 0, false},
        {"+", 0, true},
        {"+/tennis/#", 0, true},
        {"sport+", 0, false},
        {"sport/+/player1", 0, true},
        {"/+", 0, true},
        {"+/", 0, true},
        {"+/+", 0, true},
        {"+/#", 0, true},
        {"#/", 0, false},
        {"##", 0, false},
        {"++", 0, false},
        {"+#", 0, false},
        {"#+", 0, false},
        {"+a", 0, false},
        {"a/+b/c", 0, false},
        {"a/b+/c", 0, false},
        {"#a", 0, false},
        {"/#", 0, true},
        {"a//+", 0, true},
        {"", 0, false},
        {"a(b", 0, true}, /* what killed a broker that made regular expressions of filters */
        {"a[b", 0, true},
        {"a.b", 0, true},
        {"a$b", 0, true},
        {"$SYS/#", 0, true},
        {"a/\xfe", 0, false},
        {"a/+/#", 3, true},
        {"a/+/#", 2, false},
        {"+/+/+/+", 3, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (gnt_topic_filter_valid(gnt_slice_str(rows[i].text), rows[i].max_levels) !=
            rows[i].valid)
            fail_msg("filter \"%s\": not %s", rows[i].text, rows[i].valid ? "valid" : "invalid");
    assert_false(gnt_topic_filter_valid(gnt_slice("a/\0", 3), 0));
    assert_false(gnt_topic_filter_valid(gnt_slice(NULL, 0), 0));
}

static void sizes(void **state)
{
    (void)state;
    uint8_t *long_one = malloc(GNT_TOPIC_MAX + 1);
    assert_non_null(long_one);
    memset(long_one, 'x', GNT_TOPIC_MAX + 1);
    assert_true(gnt_topic_name_valid(gnt_slice(long_one, GNT_TOPIC_MAX), 0));
    assert_true(gnt_topic_filter_valid(gnt_slice(long_one, GNT_TOPIC_MAX), 0));
    assert_false(gnt_topic_name_valid(gnt_slice(long_one, GNT_TOPIC_MAX + 1), 0));
    assert_false(gnt_topic_filter_valid(gnt_slice(long_one, GNT_TOPIC_MAX + 1), 0));
    memset(long_one, '/', GNT_TOPIC_MAX);
    assert_true(gnt_topic_name_valid(gnt_slice(long_one, GNT_TOPIC_MAX), 65536));
    assert_false(gnt_topic_name_valid(gnt_slice(long_one, GNT_TOPIC_MAX), 65535));
    free(long_one);
}

static void matching(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *name;
        bool match;
    } rows[] = {
        /* [MQTT5 4.7.1.2] */
        {"sport/tennis/player1/#", "sport/tennis/player1", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"sport/tennis/player1/#", "sport/tennis/player10", false},
        {"sport/#", "sport", true},
        {"sport/#", "sport/", true},
        {"#", "a", true},
        {"#", "/", true},
        {"#", "a/b/c", true},
        /* [MQTT5 4.7.1.3] */
        {"sport/tennis/+", "sport/tennis/player1", true},
        {"sport/tennis/+", "sport/tennis/player2", true},
        {"sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"sport/+", "sport", false},
        {"sport/+", "sport/", true},
        {"+/+", "/finance", true},
        {"/+", "/finance", true},
        {"+", "/finance", false},
        {"+/tennis/#", "sport/tennis", true},
        {"+/tennis/#", "sport/tennis/a/b", true},
        {"+/tennis/#", "sport/golf", false},
        /* [MQTT5 4.7.2] */
        {"#", "$SYS/monitor/Clients", false},
        {"+/monitor/Clients", "$SYS/monitor/Clients", false},
        {"+/#", "$SYS/monitor/Clients", false},
        {"+", "$SYS", false},
        {"$SYS/#", "$SYS/monitor/Clients", true},
        {"$SYS/#", "$SYS", true},
        {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
        {"a/+", "a/$x", true},
        {"a/#", "a/$x/y", true},
        {"/#", "/$x", true},
        /* [MQTT5 4.7.3] */
        {"ACCOUNTS", "Accounts", false},
        {"finance", "/finance", false},
        {"a", "a/", false},
        {"a/", "a", false},
        {"a//b", "a/b", false},
        {"/", "/", true},
        {"+/+", "/", true},
        {"+", "/", false},
        {"ab", "abc", false},
        {"abc", "ab", false},
        {"a\xcc\x8a", "\xc3\xa5", false}, /* no normalisation [MQTT-4.7.3-4] */
        /* what old brokers got wrong */
        {"a(b", "a(b", true},
        {"a[b", "a[b", true},
        {"a.b", "axb", false},
        {"a.b", "a.b", true},
        {"a$b", "a$b", true},
        {"a/+/c", "a/x/y/c", false},
        {"exact", "exact/no", false},
        {"exact", "not/exact", false},
        {"x/#", "x", true},
        {"a/+/c", "a//c", true},
        {"a/+/#", "a/", true},
        {"a/+/#", "a", false},
        {"a/+/+/#", "a//", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gnt_slice filter = gnt_slice_str(rows[i].filter), name = gnt_slice_str(rows[i].name);
        assert_true(gnt_topic_filter_valid(filter, 0));
        assert_true(gnt_topic_name_valid(name, 0));
        if (gnt_topic_matches(filter, name) != rows[i].match)
            fail_msg("\"%s\" and \"%s\": not %d", rows[i].filter, rows[i].name, rows[i].match);
    }
}

static void wildcards(void **state)
{
    (void)state;
    assert_true(gnt_topic_has_wildcard(gnt_slice_str("a/+/b")));
    assert_true(gnt_topic_has_wildcard(gnt_slice_str("#")));
    assert_false(gnt_topic_has_wildcard(gnt_slice_str("a/b")));
    assert_false(gnt_topic_has_wildcard(gnt_slice(NULL, 0)));
}

static void levels(void **state)
{
    (void)state;
    static const struct {
        const char *topic;
        size_t count;
        const char *level[4];
    } rows[] = {
        {"a", 1, {"a"}},
        {"/", 2, {"", ""}},
        {"a/", 2, {"a", ""}},
        {"/a", 2, {"", "a"}},
        {"ab/cd/e", 3, {"ab", "cd", "e"}},
        {"a//b/", 4, {"a", "", "b", ""}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gnt_slice rest = gnt_slice_str(rows[i].topic), level;
        size_t n = 0;
        for (; gnt_topic_next_level(&rest, &level); n++) {
            assert_true(n < rows[i].count);
            assert_true(gnt_slice_eq_str(level, rows[i].level[n]));
        }
        assert_int_equal(n, rows[i].count);
        assert_null(rest.data);
    }
}

static void shares(void **state)
{
    (void)state;
    static const struct {
        const char *filter;
        gnt_err err;
        const char *group, *inner;
    } rows[] = {
        {"$share/consumer1/sport/tennis/+", GNT_OK, "consumer1", "sport/tennis/+"},
        {"$share/consumer1//finance", GNT_OK, "consumer1", "/finance"},
        {"$share/g/#", GNT_OK, "g", "#"},
        {"$share/g//", GNT_OK, "g", "/"},
        {"$share/g/$share/h/a", GNT_OK, "g", "$share/h/a"},
        {"sport/tennis", GNT_NOTFOUND, NULL, NULL},
        {"$share", GNT_NOTFOUND, NULL, NULL},
        {"$shared/g/a", GNT_NOTFOUND, NULL, NULL},
        {"$SHARE/g/a", GNT_NOTFOUND, NULL, NULL},
        {"a/$share/g/a", GNT_NOTFOUND, NULL, NULL},
        {"$share/", GNT_INVALID, NULL, NULL},
        {"$share//a", GNT_INVALID, NULL, NULL},
        {"$share/g", GNT_INVALID, NULL, NULL},
        {"$share/g/", GNT_INVALID, NULL, NULL},
        {"$share/+/a", GNT_INVALID, NULL, NULL},
        {"$share/g#/a", GNT_INVALID, NULL, NULL},
        {"$share/#", GNT_INVALID, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gnt_share share = {0};
        gnt_err err = gnt_topic_share(gnt_slice_str(rows[i].filter), &share);
        if (err != rows[i].err)
            fail_msg("\"%s\": %s", rows[i].filter, gnt_err_text(err));
        if (err)
            continue;
        assert_true(gnt_slice_eq_str(share.group, rows[i].group));
        assert_true(gnt_slice_eq_str(share.filter, rows[i].inner));
    }
    struct gnt_share share;
    assert_int_equal(gnt_topic_share(gnt_slice(NULL, 0), &share), GNT_NOTFOUND);
}

/* Names are looked at by the word: what matters is seen at each place of each length, and its
 * neighbours in the code are not taken for it. */
static void each_place_of_a_name(void **state)
{
    (void)state;
    char name[41];
    for (size_t size = 1; size <= sizeof name; size++) {
        for (size_t at = 0; at < size; at++) {
            memset(name, 'x', size);
            for (int c = 1; c < 0x80; c++) {
                name[at] = (char)c;
                bool valid = c != '+' && c != '#';
                size_t levels = c == '/' ? 2 : 1;
                assert_int_equal(gnt_topic_name_valid(gnt_slice(name, size), levels), valid);
                if (levels == 2)
                    assert_false(gnt_topic_name_valid(gnt_slice(name, size), 1));
            }
            name[at] = 0;
            assert_false(gnt_topic_name_valid(gnt_slice(name, size), 0));
        }
        memset(name, '/', size);
        assert_true(gnt_topic_name_valid(gnt_slice(name, size), size + 1));
        assert_false(gnt_topic_name_valid(gnt_slice(name, size), size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),     cmocka_unit_test(filters),
        cmocka_unit_test(sizes),     cmocka_unit_test(matching),
        cmocka_unit_test(wildcards), cmocka_unit_test(levels),
        cmocka_unit_test(shares),    cmocka_unit_test(each_place_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
