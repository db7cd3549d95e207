#include "model/queue_options.h"

#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

static void defaults_are_in_range(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default(), copy = {0};
    for (size_t row = 0; row < GNT_QUEUE_OPTION_ROWS; row++) {
        uint64_t value = gnt_queue_options_get(&o, row);
        assert_true(value == gnt_queue_option_rows[row].fallback);
        assert_int_equal(gnt_queue_options_set(&copy, row, value), GNT_OK);
    }
    assert_memory_equal(&o, &copy, sizeof o);
    assert_true(o.max_deliveries == 10 && o.overflow == GNT_QUEUE_BLOCK);
}

static void out_of_range(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    size_t row = gnt_queue_option_named(gnt_slice_str("overflow"));
    assert_int_equal(gnt_queue_options_set(&o, row, GNT_QUEUE_DROP_OLDEST), GNT_OK);
    assert_int_equal(gnt_queue_options_set(&o, row, GNT_QUEUE_DROP_OLDEST + 1), GNT_INVALID);
    assert_int_equal(o.overflow, GNT_QUEUE_DROP_OLDEST);
    assert_int_equal(gnt_queue_option_named(gnt_slice_str("over")), GNT_QUEUE_OPTION_ROWS);
}

static void texts(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t value;
        const char *text;
    } rows[] = {
        {"lock", 60000, "1m"},          {"lock", 1500, "1500ms"},    {"lock", 0, "0"},
        {"ttl", 86400000, "1d"},        {"max_bytes", 1536, "1536"}, {"max_bytes", 1 << 20, "1MiB"},
        {"max_messages", 7, "7"},       {"groups", 1, "true"},       {"priority", 0, "false"},
        {"overflow", 2, "drop_oldest"}, {"durable", 1, "always"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[GNT_QUEUE_OPTION_TEXT];
        size_t row = gnt_queue_option_named(gnt_slice_str(rows[i].name));
        assert_string_equal(gnt_queue_option_text(row, rows[i].value, out), rows[i].text);
    }
}

/* ---- docs/queues.md */

static void put_range(FILE *to, size_t row)
{
    const struct gnt_queue_option *o = &gnt_queue_option_rows[row];
    char low[GNT_QUEUE_OPTION_TEXT], high[GNT_QUEUE_OPTION_TEXT];
    bool words = o->kind != GNT_QUEUE_OPTION_COUNT && o->kind != GNT_QUEUE_OPTION_SIZE &&
                 o->kind != GNT_QUEUE_OPTION_DURATION;
    if (!words)
        fprintf(to, "%s to %s", gnt_queue_option_text(row, o->min, low),
                gnt_queue_option_text(row, o->max, high));
    for (uint64_t value = o->min; words && value <= o->max; value++)
        fprintf(to, "%s`%s`", value ? ", " : "", gnt_queue_option_text(row, value, low));
}

static void put_table(FILE *to)
{
    char text[GNT_QUEUE_OPTION_TEXT];
    fprintf(to, "| Setting | Values | Default | Unit | |\n|---|---|---|---|---|\n");
    for (size_t row = 0; row < GNT_QUEUE_OPTION_ROWS; row++) {
        const struct gnt_queue_option *o = &gnt_queue_option_rows[row];
        fprintf(to, "| `%s` | ", o->name);
        put_range(to, row);
        fprintf(to, " | `%s` | %s | %s |\n", gnt_queue_option_text(row, o->fallback, text), o->unit,
                o->help);
    }
}

/* With GNATTER_WRITE_DOCS the page gets the table; else it must have it. */
static void the_table_is_current(void **state)
{
    (void)state;
    static const char begin[] = "<!-- begin: generated -->\n", end[] = "<!-- end: generated -->\n";
    const char *here = strstr(__FILE__, "tests/unit/");
    char path[4096], *wanted, *page = calloc(1, 1 << 20);
    size_t size;
    assert_non_null(here);
    assert_non_null(page);
    snprintf(path, sizeof path, "%.*sdocs/queues.md", (int)(here - __FILE__), __FILE__);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(page, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    const char *from = strstr(page, begin), *to = strstr(page, end);
    assert_true(from && to);
    FILE *table = open_memstream(&wanted, &size);
    assert_non_null(table);
    fprintf(table, "%.*s", (int)(from - page + (ptrdiff_t)strlen(begin)), page);
    put_table(table);
    fprintf(table, "%s", to);
    fclose(table);
    if (getenv("GNATTER_WRITE_DOCS")) {
        f = fopen(path, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(wanted, 1, size, f), size);
        fclose(f);
    } else {
        assert_string_equal(page, wanted);
    }
    free(wanted);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_in_range),
        cmocka_unit_test(out_of_range),
        cmocka_unit_test(texts),
        cmocka_unit_test(the_table_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
