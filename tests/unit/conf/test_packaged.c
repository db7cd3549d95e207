/* packaging/gnatter.yaml is what it says it is: every option, with its default; and docs/limits.md
 * knows every limit. */
#include "conf/config.h"
#include "support/unit.h"

#include <stdio.h>
#include <string.h>

/* NAME is a file of the checkout. */
static void in_checkout(const char *name, char *path, size_t cap)
{
    const char *here = strstr(__FILE__, "tests/unit/conf/");
    assert_non_null(here);
    snprintf(path, cap, "%.*s%s", (int)(here - __FILE__), __FILE__, name);
}

static void packaged(char *path, size_t cap)
{
    in_checkout("packaging/gnatter.yaml", path, cap);
}

static void test_defaults(void **state)
{
    (void)state;
    char path[4096];
    packaged(path, sizeof path);
    struct gnt_config defaults, config;
    struct gnt_diag diag;
    const struct gnt_option *changed[GNT_OPTION_ROWS];
    gnt_diag_init(&diag);
    assert_int_equal(gnt_config_init(&defaults), GNT_OK);
    assert_int_equal(gnt_config_init(&config), GNT_OK);
    gnt_err err = gnt_config_load(path, &config, &diag);
    for (size_t i = 0; i < diag.count; i++)
        print_error("%s\n", diag.lines[i]);
    assert_int_equal(err, GNT_OK);
    /* Where it is left out it depends on who starts the broker; it is root's that stands there. */
    const struct gnt_option *data = gnt_option_find(&gnt_config_table, "data");
    struct gnt_why why;
    assert_int_equal(gnt_option_set(data, &defaults, gnt_slice_str("/var/lib/gnatter"), &why),
                     GNT_OK);
    size_t count = gnt_config_diff(&defaults, &config, changed, COUNT_OF(changed));
    for (size_t i = 0; i < count; i++)
        print_error("%s is not the default\n", changed[i]->path);
    assert_int_equal(count, 0);
    gnt_config_fini(&defaults);
    gnt_config_fini(&config);
    gnt_diag_fini(&diag);
}

/* Whether some line begins with KEY, whatever it is indented by; where BEFORE says so, behind #. */
static bool has_key(FILE *file, const char *before, const char *key)
{
    char line[256];
    size_t size = strlen(key);
    rewind(file);
    while (fgets(line, sizeof line, file)) {
        const char *word = line + strspn(line, before);
        if (strncmp(word, key, size) == 0 && word[size] == ':')
            return true;
    }
    return false;
}

static void test_every_option(void **state)
{
    (void)state;
    char path[4096];
    packaged(path, sizeof path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (size_t i = 0; i < gnt_config_table.count; i++) {
        const struct gnt_option *row = &gnt_config_table.rows[i];
        const char *name = row->path;
        if (!name)
            continue;
        const char *dot = strrchr(name, '.');
        /* An empty list is the default of some, but nothing that may be written. */
        bool is_nothing = row->kind == GNT_OPTION_MAPS && !row->fallback && row->min;
        if (!has_key(file, is_nothing ? "# " : " ", dot ? dot + 1 : name))
            fail_msg("%s is missing", name);
    }
    fclose(file);
}

/* docs/limits.md says of each limit what happens at it. */
static void test_every_limit(void **state)
{
    (void)state;
    char path[4096], quoted[80];
    static char text[64 * 1024];
    in_checkout("docs/limits.md", path, sizeof path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    assert_true(size < sizeof text - 1);
    fclose(file);
    for (size_t i = 0; i < gnt_config_table.count; i++) {
        const char *name = gnt_config_table.rows[i].path;
        if (!name || strncmp(name, "limits.", 7) != 0)
            continue;
        snprintf(quoted, sizeof quoted, "`%s`", name);
        if (!strstr(text, quoted))
            fail_msg("%s is missing", name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_option),
        cmocka_unit_test(test_every_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
