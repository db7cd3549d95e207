/* LIKE against a slow and simple matcher, and against patterns made to take long. */
#include "support/unit.h"

#include "base/random.h"
#include "filter/like.h"

#include <stdio.h>
#include <stdlib.h>

static bool matches(struct gnt_slice pattern, const char *escape, struct gnt_slice text)
{
    uint8_t *copy = malloc(pattern.size + 1);
    const char *why = NULL;
    assert_non_null(copy);
    memcpy(copy, pattern.data, pattern.size);
    size_t size = pattern.size;
    assert_int_equal(gnt_like_compile(copy, &size, gnt_slice_str(escape), &why), GNT_OK);
    assert_true(size <= pattern.size);
    bool found = gnt_like_matches(gnt_slice(copy, size), text);
    free(copy);
    return found;
}

/* ---- The slow one: from [SQL-92 8.5], character by character */

static size_t character(struct gnt_slice s)
{
    size_t n = 1;
    while (n < s.size && (s.data[n] & 0xc0) == 0x80)
        n++;
    return n;
}

static bool slow(struct gnt_slice p, char escape, struct gnt_slice t)
{
    if (p.size == 0)
        return t.size == 0;
    bool escaped = p.data[0] == (uint8_t)escape && escape;
    if (escaped)
        p = gnt_slice_skip(p, 1);
    size_t n = character(p);
    struct gnt_slice rest = gnt_slice_skip(p, n);
    if (p.data[0] == '%' && !escaped)
        return slow(rest, escape, t) ||
               (t.size && slow(p, escape, gnt_slice_skip(t, character(t))));
    if (t.size == 0)
        return false;
    if (p.data[0] == '_' && !escaped)
        return slow(rest, escape, gnt_slice_skip(t, character(t)));
    return gnt_slice_starts(t, gnt_slice(p.data, n)) && slow(rest, escape, gnt_slice_skip(t, n));
}

/* Up to MAX of PIECES put together. */
static struct gnt_slice random_text(struct gnt_seeded *g, const char *const *pieces, size_t count,
                                    size_t max, char *out)
{
    size_t used = 0;
    for (size_t n = gnt_random_below(&g->door, max + 1); n; n--) {
        const char *piece = pieces[gnt_random_below(&g->door, count)];
        memcpy(out + used, piece, strlen(piece));
        used += strlen(piece);
    }
    return gnt_slice(out, used);
}

static void as_the_slow_one_says(void **state)
{
    static const char *const letters[] = {"a", "b", "%", "_", "!", "\xc3\xbc", "\xe2\x82\xac"};
    static const char *const signs[] = {"a",  "b",  "%",  "%",  "_",       "_",
                                        "!a", "!%", "!_", "!!", "\xc3\xbc"};
    const uint64_t seed = gnt_random_u64(&gnt_random_system);
    struct gnt_seeded g;
    size_t fit = 0;
    (void)state;
    gnt_seeded_init(&g, seed);
    for (size_t i = 0; i < 100000; i++) {
        char p[64], t[64];
        struct gnt_slice pattern = random_text(&g, signs, COUNT_OF(signs), 7, p);
        struct gnt_slice text = random_text(&g, letters, COUNT_OF(letters), 8, t);
        bool wanted = slow(pattern, '!', text);
        fit += wanted;
        if (matches(pattern, "!", text) != wanted)
            fail_msg("seed %llu: '%.*s' LIKE '%.*s'", (unsigned long long)seed, (int)text.size, t,
                     (int)pattern.size, p);
    }
    assert_true(fit > 1000 && fit < 99000);
}

/* ---- Time: that these come to an end is the test */

static char *repeated(const char *part, size_t times)
{
    char *text = malloc(strlen(part) * times + 1);
    assert_non_null(text);
    for (size_t i = 0; i < times; i++)
        memcpy(text + i * strlen(part), part, strlen(part));
    text[strlen(part) * times] = '\0';
    return text;
}

/* FRONT, PART several times, END. */
struct shape {
    const char *front, *part;
    size_t times;
    const char *end;
    bool wanted;
};

static struct gnt_slice drawn(const struct shape *shape)
{
    static char text[65536];
    char *parts = repeated(shape->part, shape->times);
    int size = snprintf(text, sizeof text, "%s%s%s", shape->front, parts, shape->end);
    free(parts);
    assert_true(size > 0 && (size_t)size < sizeof text);
    return gnt_slice(text, (size_t)size);
}

/* A piece of as many bytes as may be, found where it is. */
static void the_longest_piece(void **state)
{
    (void)state;
    char *text = repeated("ab", 40), *gaps = repeated("a_", 31);
    char pattern[128];
    snprintf(pattern, sizeof pattern, "%%%sab%%", gaps);
    assert_true(matches(gnt_slice_str(pattern), "", gnt_slice(text, 80)));
    assert_true(matches(gnt_slice_str(pattern), "", gnt_slice(text, 64)));
    assert_true(matches(gnt_slice_str(pattern), "", gnt_slice(text + 1, 65)));
    assert_false(matches(gnt_slice_str(pattern), "", gnt_slice(text, 63)));
    assert_false(matches(gnt_slice_str(pattern), "", gnt_slice(text + 1, 64)));
    free(text);
    free(gaps);
}

static void no_pattern_takes_long(void **state)
{
    static const struct shape shapes[] = {
        {"", "%a", 5000, "%", true},    {"", "%a", 5000, "%b", false},
        {"", "%a_", 5000, "%", true},   {"", "%_a", 5000, "%b%", false},
        {"", "%a%_", 4000, "b", false}, {"", "_", 10000, "%", true},
        {"", "%", 16000, "", true},     {"", "%aaaaaaaa_", 1500, "b%", false},
        {"", "a", 8000, "%b", false},   {"%_", "a", 62, "b%", false},
        {"%", "a", 8000, "b%", false},  {"%_", "a", 8000, "b", false},
    };
    const size_t size = 1 << 20;
    char *text = repeated("a", size);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(shapes); i++)
        if (matches(drawn(&shapes[i]), "", gnt_slice(text, size)) != shapes[i].wanted)
            fail_msg("%zu times '%s'", shapes[i].times, shapes[i].part);
    free(text);
}

static void a_piece_with_gaps_has_a_bound(void **state)
{
    static const struct shape shapes[] = {
        {"%_", "a", 63, "%", true},         {"%_", "a", 64, "%", false},
        {"%_", "\xc3\xbc", 32, "%", false}, {"%", "\xc3\xbc", 5000, "%", true},
        {"_", "\xc3\xbc", 5000, "%", true}, {"%_", "\xc3\xbc", 5000, "", true},
        {"_", "\xc3\xbc", 5000, "", true},  {"a%_", "a", 64, "%b", false},
        {"a%", "_", 64, "%b", true},        {"a%", "_", 65, "%b", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        uint8_t pattern[16384];
        struct gnt_slice text = drawn(&shapes[i]);
        const char *why = NULL;
        memcpy(pattern, text.data, text.size);
        gnt_err err = gnt_like_compile(pattern, &text.size, gnt_slice(NULL, 0), &why);
        assert_int_equal(err, shapes[i].wanted ? GNT_OK : GNT_INVALID);
        if (err)
            assert_string_equal(why, "has more than 64 bytes, with a _, between two %");
    }
}

/* A peer's text may be anything: no read goes past its end. */
static void text_that_is_not_utf8(void **state)
{
    static const char *const texts[] = {"\xff", "\x80", "\xc3", "a\xe2\x82", "\xfe\xff\x80\x80"};
    static const char *const signs[] = {"_", "%_", "_%", "%_%", "%a_%", "%_a%", "a_", "%a%", "%a"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        size_t size = strlen(texts[i]);
        char *exact = malloc(size);
        assert_non_null(exact);
        memcpy(exact, texts[i], size);
        for (size_t k = 0; k < COUNT_OF(signs); k++)
            (void)matches(gnt_slice_str(signs[k]), "", gnt_slice(exact, size));
        free(exact);
    }
    assert_true(matches(LITERAL("%"), "", LITERAL("a\0b")));
    assert_true(matches(LITERAL("a_b"), "", LITERAL("a\0b")));
    assert_true(matches(LITERAL("%_\0_%"), "", LITERAL("a\0b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_slow_one_says),  cmocka_unit_test(the_longest_piece),
        cmocka_unit_test(no_pattern_takes_long), cmocka_unit_test(a_piece_with_gaps_has_a_bound),
        cmocka_unit_test(text_that_is_not_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
