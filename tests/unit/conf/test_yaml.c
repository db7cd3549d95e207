#include "conf/yaml.h"
#include "support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct door {
    char *url;
    uint16_t width;
};

struct house {
    char *owner;
    uint32_t rooms;
    bool heated;
    struct gnt_strings pets;
    struct {
        struct door *items;
        size_t count;
    } doors;
    uint32_t limit_people;
    uint64_t limit_weight;
    char *hidden;
};

static const struct gnt_option door_rows[] = {
    {.path = "url",
     .kind = GNT_OPTION_STRING,
     GNT_OPTION_FIELD(struct door, url),
     .required = true},
    {.path = "width",
     .kind = GNT_OPTION_INTEGER,
     GNT_OPTION_FIELD(struct door, width),
     .fallback = "80",
     .min = 50,
     .max = 200},
};

static const struct gnt_option_table door_table = GNT_OPTION_TABLE(struct door, door_rows);

static const struct gnt_option rows[] = {
    {.path = "owner",
     .kind = GNT_OPTION_STRING,
     GNT_OPTION_FIELD(struct house, owner),
     .fallback = "nobody"},
    {.path = "rooms",
     .kind = GNT_OPTION_INTEGER,
     GNT_OPTION_FIELD(struct house, rooms),
     .fallback = "3",
     .min = 1,
     .max = 9},
    {.path = "heated", .kind = GNT_OPTION_BOOL, GNT_OPTION_FIELD(struct house, heated)},
    {.path = "pets", .kind = GNT_OPTION_STRINGS, GNT_OPTION_FIELD(struct house, pets), .max = 3},
    {.path = "doors",
     .kind = GNT_OPTION_MAPS,
     GNT_OPTION_FIELD(struct house, doors),
     .items = &door_table,
     .fallback = "front",
     .min = 1,
     .max = 3},
    {.path = "limits.people",
     .kind = GNT_OPTION_INTEGER,
     GNT_OPTION_FIELD(struct house, limit_people),
     .max = 1000},
    {.path = "limits.weight",
     .kind = GNT_OPTION_SIZE,
     GNT_OPTION_FIELD(struct house, limit_weight),
     .fallback = "1KiB",
     .max = 1 << 20},
    {.flag = "hidden", .kind = GNT_OPTION_STRING, GNT_OPTION_FIELD(struct house, hidden)},
};

static const struct gnt_option_table table = GNT_OPTION_TABLE(struct house, rows);

/* Reads TEXT over the defaults and compares the diagnostics, joined by newlines. */
static gnt_err read_text(const char *text, struct house *house, const char *lines)
{
    struct gnt_diag diag;
    gnt_diag_init(&diag);
    gnt_err err = gnt_yaml_parse(gnt_slice_str(text), "f", &table, house, &diag);
    char all[8192] = "";
    for (size_t i = 0; i < diag.count; i++) {
        strcat(all, diag.lines[i]);
        strcat(all, i + 1 < diag.count ? "\n" : "");
    }
    assert_string_equal(all, lines);
    assert_int_equal(err, gnt_diag_result(&diag));
    gnt_diag_fini(&diag);
    return err;
}

static void a_whole_file(void **state)
{
    (void)state;
    struct house house = {.owner = NULL};
    assert_int_equal(read_text("# a comment\n"
                               "owner: 'Ada'\n"
                               "rooms: 5\n"
                               "heated: yes\n"
                               "pets: [cat, \"dog\"]\n"
                               "doors:\n"
                               "  - url: a\n"
                               "  - {url: b, width: 90}\n"
                               "limits: {people: 7, weight: 2KiB}\n",
                               &house, ""),
                     GNT_OK);
    assert_string_equal(house.owner, "Ada");
    assert_int_equal(house.rooms, 5);
    assert_true(house.heated);
    assert_int_equal(house.pets.count, 2);
    assert_string_equal(house.pets.items[1], "dog");
    assert_int_equal(house.doors.count, 2);
    assert_string_equal(house.doors.items[0].url, "a");
    assert_int_equal(house.doors.items[0].width, 80);
    assert_int_equal(house.doors.items[1].width, 90);
    assert_int_equal(house.limit_people, 7);
    assert_int_equal(house.limit_weight, 2048);

    /* A second reading starts from the defaults again. */
    assert_int_equal(read_text("pets: cow", &house, ""), GNT_OK); /* one alone */
    assert_int_equal(house.pets.count, 1);
    assert_string_equal(house.pets.items[0], "cow");
    assert_int_equal(read_text("rooms: 4", &house, ""), GNT_OK);
    assert_string_equal(house.owner, "nobody");
    assert_int_equal(house.rooms, 4);
    assert_int_equal(house.pets.count, 0);
    assert_int_equal(house.doors.count, 1);
    gnt_options_fini(&table, &house);
}

static void empty_ones_are_defaults(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n\n",
        "# only a comment\n",
        "---\n",
        "---\n...\n",
        "~",
        "null",
        "{}",
        "limits:\n",
        "limits: ~",
        "limits: {}",
        "pets: []",
        "\xef\xbb\xbf",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct house house = {.owner = NULL};
        assert_int_equal(read_text(texts[i], &house, ""), GNT_OK);
        assert_int_equal(house.rooms, 3);
        gnt_options_fini(&table, &house);
    }
}

static const struct {
    const char *text, *lines;
} bad[] = {
    /* unknown words */
    {"ownr: x", "f:1:1: unknown option 'ownr', did you mean 'owner'?"},
    {"a: 1\nzebra: [1, {b: 2}]\nrooms: 4",
     "f:1:1: unknown option 'a', expected one of: owner, rooms, heated, pets, doors, limits\n"
     "f:2:1: unknown option 'zebra', expected one of: owner, rooms, heated, pets, doors, limits"},
    {"limits:\n  peopel: 3\n", "f:2:3: unknown option 'limits.peopel', did you mean 'people'?"},
    {"doors:\n  - url: x\n    witdh: 90\n",
     "f:3:5: unknown option 'doors[0].witdh', did you mean 'width'?"},
    {"hidden: x",
     "f:1:1: unknown option 'hidden', expected one of: owner, rooms, heated, pets, doors, limits"},
    {"limits.people: 3",
     "f:1:1: unknown option 'limits.people', expected one of: owner, rooms, heated, pets, doors, "
     "limits"},
    {"\"\": 1", "f:1:1: unknown option '', expected one of: owner, rooms, heated, pets, doors, "
                "limits"},
    {"\"a\\e[1m\": 1", "f:1:1: unknown option 'a\\x1b[1m', expected one of: owner, rooms, heated, "
                       "pets, doors, limits"},
    /* values */
    {"rooms: many", "f:1:8: rooms: expected an integer from 1 to 9, got 'many'"},
    {"rooms: 10", "f:1:8: rooms: expected an integer from 1 to 9, got '10'"},
    {"limits:\n  weight: 12 parrots\n",
     "f:2:11: limits.weight: expected a size such as 64KiB, 1MiB or 268435455, got '12 parrots'"},
    {"limits: {weight: 2MiB}", "f:1:18: limits.weight: expected a size from 0 to 1MiB, got '2MiB'"},
    {"doors:\n  - {url: a}\n  - {url: b, width: 5}\n",
     "f:3:21: doors[1].width: expected an integer from 50 to 200, got '5'"},
    {"owner: \"a\\0b\"", "f:1:8: owner: expected text in UTF-8 without NUL"},
    {"pets: [a, b, c, d]", "f:1:17: pets[3]: at most 3 items are allowed"},
    {"doors: [{url: a}, {url: a}, {url: a}, {url: a}]",
     "f:1:39: doors[3]: at most 3 items are allowed"},
    {"doors: []", "f:1:8: doors: expected at least 1 item"},
    {"doors: [{width: 90}]", "f:1:9: doors[0]: 'url' is missing"},
    /* kinds of nodes */
    {"rooms:", "f:1:7: rooms: expected an integer from 1 to 9, got nothing"},
    {"owner: ~", "f:1:8: owner: expected a text, got nothing"},
    {"rooms: [1, 2]", "f:1:8: rooms: expected an integer from 1 to 9, got a list"},
    {"rooms: {a: 1}", "f:1:8: rooms: expected an integer from 1 to 9, got a map"},
    {"pets: {a: b}", "f:1:7: pets: expected a text or a list of texts, got a map"},
    {"pets: [[a]]", "f:1:8: pets[0]: expected a text, got a list"},
    {"pets: [~]", "f:1:8: pets[0]: expected a text, got nothing"},
    {"doors: front", "f:1:8: doors: expected a list of maps, got a single value"},
    {"doors:\n", "f:1:7: doors: expected a list of maps, got nothing"},
    {"doors: [front]", "f:1:9: doors[0]: expected a map such as {url: ...}, got a single value"},
    {"limits: 3", "f:1:9: limits: expected a map of options, got a single value"},
    {"limits: [3]", "f:1:9: limits: expected a map of options, got a list"},
    {"[a, b]", "f:1:1: expected a map of options, got a list"},
    {"hello", "f:1:1: expected a map of options, got a single value"},
    {"[a]: 1\nrooms: 12", "f:1:1: expected the name of an option, got a list\n"
                          "f:2:8: rooms: expected an integer from 1 to 9, got '12'"},
    {"? {a: b}\n: {c: d}\n", "f:1:3: expected the name of an option, got a map"},
    /* twice */
    {"rooms: 1\nowner: x\nrooms: 2", "f:3:1: rooms: given twice, first in line 1"},
    {"limits: {people: 1}\nlimits: {weight: 1}", "f:2:1: limits: given twice, first in line 1"},
    {"doors: [{url: a, url: b}]", "f:1:18: doors[0].url: given twice, first in line 1"},
    /* not here */
    {"owner: &a x\n", "f:1:8: anchors and aliases are not supported; write the value out"},
    {"pets: [*a]\n", "f:1:8: anchors and aliases are not supported; write the value out"},
    {"rooms: !!int 3", "f:1:8: tags are not supported; write the value without one"},
    {"rooms: 3\n---\nrooms: 4", "f:2:1: expected one document, got a second"},
    {"x: [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
     "f:1:1: unknown option 'x', expected one of: owner, rooms, heated, pets, doors, limits\n"
     "f:1:19: nested deeper than 16 levels"},
    /* not YAML */
    {"rooms: 3\n\towner: x",
     "f:2:1: not YAML: while scanning a plain scalar, found a tab character that violates "
     "indentation"},
    {"limits:\n\tpeople: 3", "f:2:1: not YAML: while scanning for the next token, found character "
                             "that cannot start any token"},
    {"rooms: [1, 2",
     "f:1:8: rooms: expected an integer from 1 to 9, got a list\n"
     "f:2:1: not YAML: while parsing a flow sequence, did not find expected ',' or ']'"},
    {"rooms: 3\n owner: x", "f:1:8: rooms: expected an integer from 1 to 9, got '3 owner'\n"
                            "f:2:7: not YAML: mapping values are not allowed in this context"},
    {"owner: x\nrooms: \xff", "f:2:8: not YAML: invalid leading UTF-8 octet"},
    {"owner: \x01", "f:1:8: not YAML: control characters are not allowed"},
    /* several in one go */
    {"owner: [x]\nrooms: 0\nheatd: 1\nlimits:\n  people: x\n",
     "f:1:8: owner: expected a text, got a list\n"
     "f:2:8: rooms: expected an integer from 1 to 9, got '0'\n"
     "f:3:1: unknown option 'heatd', did you mean 'heated'?\n"
     "f:5:11: limits.people: expected an integer from 0 to 1000, got 'x'"},
};

static void mistakes_have_a_place_and_change_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct house house = {.rooms = 4711};
        assert_int_equal(read_text(bad[i].text, &house, bad[i].lines), GNT_INVALID);
        assert_int_equal(house.rooms, 4711);
        assert_null(house.owner);
    }
}

static void cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t size = 0; size <= strlen(bad[i].text); size++) {
            struct house house = {.owner = NULL};
            struct gnt_diag diag = {.count = 0};
            char *copy = malloc(size + 1); /* of its own, so that a read past it is seen */
            memcpy(copy, bad[i].text, size);
            gnt_err err = gnt_yaml_parse(gnt_slice(copy, size), "f", &table, &house, &diag);
            assert_int_equal(err, diag.mistakes ? GNT_INVALID : GNT_OK);
            free(copy);
            gnt_diag_fini(&diag);
            gnt_options_fini(&table, &house);
        }
    }
}

static void mistakes_are_bounded(void **state)
{
    (void)state;
    char text[2000] = "";
    for (int i = 0; i < 50; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "no%d: 1\n", i);
    struct house house = {.owner = NULL};
    struct gnt_diag diag = {.count = 0};
    assert_int_equal(gnt_yaml_parse(gnt_slice_str(text), "f", &table, &house, &diag), GNT_INVALID);
    assert_int_equal(diag.count, GNT_DIAG_LINES);
    assert_int_equal(diag.mistakes, 50);
    gnt_diag_fini(&diag);
}

/* A megabyte of one thing: nothing takes longer than the text is long. */
static void large_texts(void **state)
{
    (void)state;
    static const char *const units[] = {"[",   "{",  "a: ", "- ",    "? ",
                                        "x\n", "\"", "&a ", "- a\n", ",\n"};
    char *text = malloc(GNT_YAML_MAX_BYTES + 1);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t unit = strlen(units[i]);
        for (size_t at = 0; at <= GNT_YAML_MAX_BYTES; at++)
            text[at] = units[i][at % unit];
        struct house house = {.owner = NULL};
        struct gnt_diag diag = {.count = 0};
        assert_int_equal(gnt_yaml_parse(gnt_slice(text, GNT_YAML_MAX_BYTES), "f", &table, &house,
                                        &diag),
                         GNT_INVALID);
        gnt_diag_fini(&diag);
        assert_int_equal(gnt_yaml_parse(gnt_slice(text, GNT_YAML_MAX_BYTES + 1), "f", &table,
                                        &house, &diag),
                         GNT_INVALID);
        assert_string_equal(diag.lines[0], "f: over 1MiB, which is too large for a configuration");
        gnt_diag_fini(&diag);
    }
    free(text);
}

static void files(void **state)
{
    (void)state;
    struct house house = {.owner = NULL};
    struct gnt_diag diag = {.count = 0};
    char path[] = "/tmp/gnatter-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "rooms: 9\n", 9), 9);
    assert_int_equal(gnt_yaml_load(path, &table, &house, &diag), GNT_OK);
    assert_int_equal(house.rooms, 9);

    assert_int_equal(ftruncate(fd, GNT_YAML_MAX_BYTES + 1), 0);
    assert_int_equal(gnt_yaml_load(path, &table, &house, &diag), GNT_INVALID);
    assert_non_null(strstr(diag.lines[0], ": over 1MiB"));
    assert_int_equal(house.rooms, 9);
    close(fd);
    unlink(path);
    gnt_diag_fini(&diag);

    assert_int_equal(gnt_yaml_load("/nonexistent/x.yaml", &table, &house, &diag), GNT_INVALID);
    assert_string_equal(diag.lines[0],
                        "/nonexistent/x.yaml: cannot be read: No such file or directory");
    gnt_diag_fini(&diag);
    assert_int_equal(gnt_yaml_load("/", &table, &house, &diag), GNT_INVALID);
    assert_string_equal(diag.lines[0], "/: cannot be read: Is a directory");
    gnt_diag_fini(&diag);
    gnt_options_fini(&table, &house);
}

static void sweep(const char *text, gnt_err outcome)
{
    long n = 0;
    for (;; n++) {
        struct house house = {.rooms = 4711};
        struct gnt_diag diag = {.count = 0};
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_yaml_parse(gnt_slice_str(text), "f", &table, &house, &diag);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : outcome);
        if (err)
            assert_int_equal(house.rooms, 4711);
        gnt_options_fini(&table, &house);
        gnt_diag_fini(&diag);
        if (!failed)
            break;
    }
    assert_true(n > 3);
}

static void allocation_failures(void **state)
{
    (void)state;
    sweep("owner: Ada\npets: [a, b]\ndoors: [{url: x}, {url: y, width: 99}]\n", GNT_OK);
    sweep("ownr: Ada\nrooms: x\npets: ~\ndoors: [{width: 99}]\n", GNT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file),
        cmocka_unit_test(empty_ones_are_defaults),
        cmocka_unit_test(mistakes_have_a_place_and_change_nothing),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(mistakes_are_bounded),
        cmocka_unit_test(large_texts),
        cmocka_unit_test(files),
        cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
