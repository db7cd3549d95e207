#include "conf/option.h"
#include "conf/scalar.h"
#include "support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct pet {
    char *name;
    uint8_t legs;
};

enum mood { CALM, CROSS };

struct zoo {
    bool open;
    uint8_t keepers;
    uint16_t seats;
    uint32_t food_bytes;
    uint64_t nap_ms;
    uint32_t visit_s;
    enum mood mood;
    char *sign;
    struct gnt_strings tags;
    struct {
        struct pet *items;
        size_t count;
    } pets;
};

static gnt_err no_tigers(const char *text, struct gnt_why *why)
{
    if (!strstr(text, "tiger"))
        return GNT_OK;
    gnt_why_set(why, "no tigers here");
    return GNT_INVALID;
}

static const struct gnt_option_word automatic[] = {{"auto", 0}, {NULL, 0}};
static const struct gnt_option_word moods[] = {
    {"calm", CALM}, {"quiet", CALM}, {"cross", CROSS}, {NULL, 0}};

static const struct gnt_option pet_rows[] = {
    {.path = "name",
     .kind = GNT_OPTION_STRING,
     GNT_OPTION_FIELD(struct pet, name),
     .min = 1,
     .check = no_tigers},
    {.path = "legs",
     .kind = GNT_OPTION_INTEGER,
     GNT_OPTION_FIELD(struct pet, legs),
     .fallback = "4",
     .max = 100},
};

static const struct gnt_option_table pet_table = GNT_OPTION_TABLE(struct pet, pet_rows);

enum { OPEN, KEEPERS, SEATS, FOOD, NAP, VISIT, MOOD, SIGN, TAGS, PETS, ROWS };

static const struct gnt_option rows[] = {
    [OPEN] = {.path = "open",
              .kind = GNT_OPTION_BOOL,
              GNT_OPTION_FIELD(struct zoo, open),
              .fallback = "true"},
    [KEEPERS] = {.path = "keepers",
                 .kind = GNT_OPTION_INTEGER,
                 GNT_OPTION_FIELD(struct zoo, keepers),
                 .fallback = "auto",
                 .min = 1,
                 .max = 64,
                 .words = automatic},
    [SEATS] = {.path = "seats",
               .kind = GNT_OPTION_INTEGER,
               GNT_OPTION_FIELD(struct zoo, seats),
               .max = 65535},
    [FOOD] = {.path = "food",
              .kind = GNT_OPTION_SIZE,
              GNT_OPTION_FIELD(struct zoo, food_bytes),
              .fallback = "64KiB",
              .min = 1024,
              .max = 268435455},
    [NAP] = {.path = "nap",
             .kind = GNT_OPTION_DURATION,
             GNT_OPTION_FIELD(struct zoo, nap_ms),
             .fallback = "10s",
             .max = 86400000},
    [VISIT] = {.path = "visit",
               .kind = GNT_OPTION_SECONDS,
               GNT_OPTION_FIELD(struct zoo, visit_s),
               .fallback = "2h",
               .max = 86400},
    [MOOD] = {.path = "mood",
              .kind = GNT_OPTION_WORD,
              GNT_OPTION_FIELD(struct zoo, mood),
              .fallback = "calm",
              .words = moods},
    [SIGN] = {.path = "sign",
              .kind = GNT_OPTION_STRING,
              GNT_OPTION_FIELD(struct zoo, sign),
              .fallback = "zoo",
              .min = 1,
              .max = 8},
    [TAGS] = {.path = "tags",
              .kind = GNT_OPTION_STRINGS,
              GNT_OPTION_FIELD(struct zoo, tags),
              .max = 3},
    [PETS] = {.path = "pets",
              .kind = GNT_OPTION_MAPS,
              GNT_OPTION_FIELD(struct zoo, pets),
              .items = &pet_table,
              .fallback = "rex",
              .max = 2},
};

static const struct gnt_option_table table = GNT_OPTION_TABLE(struct zoo, rows);

static void assert_text(int row, const struct zoo *zoo, const char *expected)
{
    struct gnt_buf b = {NULL, 0, 0, 0};
    assert_int_equal(gnt_option_text(&rows[row], zoo, &b), GNT_OK);
    assert_int_equal(gnt_buf_put(&b, gnt_slice("", 1)), GNT_OK);
    assert_string_equal((const char *)gnt_buf_slice(&b).data, expected);
    gnt_buf_fini(&b);
}

static void set(struct zoo *zoo, int row, const char *text)
{
    struct gnt_why why = {""};
    gnt_err err = gnt_option_set(&rows[row], zoo, gnt_slice_str(text), &why);
    assert_string_equal(why.text, "");
    assert_int_equal(err, GNT_OK);
}

static void defaults_come_from_the_table(void **state)
{
    (void)state;
    static const char *const texts[ROWS] = {
        "true", "auto", "0", "64KiB", "10s", "2h", "calm", "zoo", "[]", "[{name: rex}]",
    };
    struct zoo zoo;
    assert_int_equal(gnt_options_init(&table, &zoo), GNT_OK);
    assert_true(zoo.open);
    assert_int_equal(zoo.keepers, 0);
    assert_int_equal(zoo.food_bytes, 65536);
    assert_int_equal(zoo.nap_ms, 10000);
    assert_int_equal(zoo.visit_s, 7200);
    assert_string_equal(zoo.sign, "zoo");
    assert_int_equal(zoo.pets.count, 1);
    assert_int_equal(zoo.pets.items[0].legs, 4);
    for (int i = 0; i < ROWS; i++)
        assert_text(i, &zoo, texts[i]);
    gnt_options_fini(&table, &zoo);
    gnt_options_fini(&table, &zoo); /* a second time does nothing */
}

static void good_values(void **state)
{
    (void)state;
    static const struct {
        int row;
        const char *text, *shown;
    } good[] = {
        {OPEN, "off", "false"},
        {OPEN, "Yes", "true"},
        {KEEPERS, "64", "64"},
        {KEEPERS, "auto", "auto"},
        {SEATS, "65535", "65535"},
        {FOOD, "1024", "1KiB"},
        {FOOD, "1MiB", "1MiB"},
        {FOOD, "268435455", "268435455"},
        {NAP, "0", "0"},
        {NAP, "1d", "1d"},
        {NAP, "1500ms", "1500ms"},
        {VISIT, "60s", "1m"},
        {MOOD, "cross", "cross"},
        {MOOD, "quiet", "calm"},
        {SIGN, "12345678", "12345678"},
        {TAGS, "a", "[a]"},
        {TAGS, "", "[a, ]"},
        {PETS, "tom", "[{name: rex}, {name: tom}]"},
    };
    struct zoo zoo;
    assert_int_equal(gnt_options_init(&table, &zoo), GNT_OK);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        set(&zoo, good[i].row, good[i].text);
        assert_text(good[i].row, &zoo, good[i].shown);
    }
    zoo.pets.items[0].legs = 3; /* what is as usual is not shown, and this is not */
    assert_text(PETS, &zoo, "[{name: rex, legs: 3}, {name: tom}]");
    gnt_options_fini(&table, &zoo);
}

static void bad_values_change_nothing(void **state)
{
    (void)state;
    static const struct {
        int row;
        const char *text, *why;
    } bad[] = {
        {OPEN, "maybe", "expected true or false, got 'maybe'"},
        {KEEPERS, "0", "expected an integer from 1 to 64, got '0'"},
        {KEEPERS, "65", "expected an integer from 1 to 64, got '65'"},
        {KEEPERS, "-1", "expected an integer from 1 to 64 or auto, got '-1'"},
        {SEATS, "65536", "expected an integer from 0 to 65535, got '65536'"},
        {SEATS, "99999999999999999999999",
         "expected an integer from 0 to 65535, got '99999999999999999999999'"},
        {FOOD, "12 parrots", "expected a size such as 64KiB, 1MiB or 268435455, got '12 parrots'"},
        {FOOD, "1GiB", "expected a size from 1KiB to 268435455, got '1GiB'"},
        {FOOD, "", "expected a size such as 64KiB, 1MiB or 268435455, got ''"},
        {NAP, "10", "expected a duration such as 500ms, 10s, 5m, 2h or 7d, got '10'"},
        {NAP, "2d", "expected a duration from 0 to 1d, got '2d'"},
        {VISIT, "500ms",
         "expected a duration in whole seconds such as 10s, 5m, 2h or 7d, got '500ms'"},
        {MOOD, "cros", "expected calm or cross, got 'cros', did you mean 'cross'?"},
        {MOOD, "purple", "expected calm or cross, got 'purple'"},
        {MOOD, "\x1b[31m", "expected calm or cross, got '\\x1b[31m'"},
        {SIGN, "", "expected a text of 1 to 8 bytes, got 0"},
        {SIGN, "123456789", "expected a text of 1 to 8 bytes, got 9"},
        {SIGN, "\xff", "expected text in UTF-8 without NUL"},
        {PETS, "tiger", "no tigers here"},
        {PETS, "", "expected a text of 1 to 4096 bytes, got 0"},
    };
    struct zoo zoo, before;
    assert_int_equal(gnt_options_init(&table, &zoo), GNT_OK);
    assert_int_equal(gnt_options_init(&table, &before), GNT_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gnt_why why = {""};
        struct gnt_slice text = gnt_slice_str(bad[i].text);
        assert_int_equal(gnt_option_set(&rows[bad[i].row], &zoo, text, &why), GNT_INVALID);
        assert_string_equal(why.text, bad[i].why);
        for (int r = 0; r < ROWS; r++)
            assert_true(gnt_option_equal(&rows[r], &zoo, &before));
    }
    struct gnt_why why;
    assert_int_equal(gnt_option_set(&rows[SIGN], &zoo, gnt_slice("a\0b", 3), &why), GNT_INVALID);
    gnt_options_fini(&table, &zoo);
    gnt_options_fini(&table, &before);
}

static void lists_are_bounded(void **state)
{
    (void)state;
    struct zoo zoo;
    struct gnt_why why;
    assert_int_equal(gnt_options_init(&table, &zoo), GNT_OK);
    set(&zoo, TAGS, "a");
    set(&zoo, TAGS, "b");
    set(&zoo, TAGS, "c");
    assert_int_equal(gnt_option_set(&rows[TAGS], &zoo, gnt_slice_str("d"), &why), GNT_INVALID);
    assert_string_equal(why.text, "at most 3 items are allowed");
    assert_text(TAGS, &zoo, "[a, b, c]");
    gnt_option_list_clear(&rows[TAGS], &zoo);
    assert_int_equal(gnt_option_list_count(&rows[TAGS], &zoo), 0);

    void *item;
    assert_int_equal(gnt_option_list_add(&rows[PETS], &zoo, &item, &why), GNT_OK);
    assert_int_equal(((struct pet *)item)->legs, 4);
    assert_int_equal(gnt_option_list_add(&rows[PETS], &zoo, &item, &why), GNT_FULL);
    gnt_options_fini(&table, &zoo);
}

static void every_difference_is_seen(void **state)
{
    (void)state;
    static const char *const other[ROWS] = {
        "false", "3", "1", "1MiB", "1s", "1s", "cross", "other", "tag", "tom",
    };
    for (int i = 0; i < ROWS; i++) {
        struct zoo a, b;
        assert_int_equal(gnt_options_init(&table, &a), GNT_OK);
        assert_int_equal(gnt_options_init(&table, &b), GNT_OK);
        set(&b, i, other[i]);
        for (int r = 0; r < ROWS; r++)
            assert_int_equal(gnt_option_equal(&rows[r], &a, &b), r != i);
        gnt_options_fini(&table, &a);
        gnt_options_fini(&table, &b);
    }
    struct zoo a, b;
    assert_int_equal(gnt_options_init(&table, &a), GNT_OK);
    assert_int_equal(gnt_options_init(&table, &b), GNT_OK);
    b.pets.items[0].legs = 3;
    assert_false(gnt_option_equal(&rows[PETS], &a, &b));
    gnt_options_fini(&table, &a);
    gnt_options_fini(&table, &b);
}

static void rows_are_found_by_path(void **state)
{
    (void)state;
    assert_ptr_equal(gnt_option_find(&table, "mood"), &rows[MOOD]);
    assert_null(gnt_option_find(&table, "moo"));
    assert_null(gnt_option_find(&table, ""));
}

/* Everything that allocates, once. */
static gnt_err work(void)
{
    struct zoo zoo;
    struct gnt_why why;
    struct gnt_buf text = {NULL, 0, 0, 0};
    gnt_err err = gnt_options_init(&table, &zoo);
    if (!err)
        err = gnt_option_set(&rows[SIGN], &zoo, gnt_slice_str("new"), &why);
    if (!err)
        err = gnt_option_set(&rows[TAGS], &zoo, gnt_slice_str("tag"), &why);
    if (!err)
        err = gnt_option_set(&rows[PETS], &zoo, gnt_slice_str("tom"), &why);
    if (!err && gnt_option_set(&rows[MOOD], &zoo, gnt_slice_str("x"), &why) == GNT_NOMEM)
        err = GNT_NOMEM;
    for (int i = 0; !err && i < ROWS; i++)
        err = gnt_option_text(&rows[i], &zoo, &text);
    gnt_buf_fini(&text);
    gnt_options_fini(&table, &zoo);
    return err;
}

static void allocation_failures(void **state)
{
    (void)state;
    long n = 0;
    for (;; n++) {
        gnt_alloc_fail_at(n);
        gnt_err err = work();
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        if (!failed)
            break;
    }
    assert_true(n >= 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_come_from_the_table), cmocka_unit_test(good_values),
        cmocka_unit_test(bad_values_change_nothing),    cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(every_difference_is_seen),     cmocka_unit_test(rows_are_found_by_path),
        cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
