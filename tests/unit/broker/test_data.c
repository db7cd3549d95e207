/* Where a broker keeps its data when nobody says where, and what a power cut could take. */
#include "broker/data.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOBODY = 65534 };

/* Below a directory of its own; NULL: not set; "" stands for itself. */
struct environment {
    const char *home, *state;
    bool named; /* the configuration names "none" */
    const char *chosen;
};

static void put(const char *variable, const char *base, const char *below)
{
    char path[128];
    if (!below) {
        assert_int_equal(unsetenv(variable), 0);
        return;
    }
    snprintf(path, sizeof path, "%s%s", *below == '/' ? base : "", below);
    assert_int_equal(setenv(variable, path, 1), 0);
}

static void check(const char *base, const struct environment *row)
{
    struct gnt_config config;
    char problem[512] = "", expected[128];
    struct stat st;
    assert_int_equal(gnt_config_init(&config), GNT_OK);
    assert_null(config.data);
    if (row->named)
        config.data = strdup("none");
    put("HOME", base, row->home);
    put("XDG_STATE_HOME", base, row->state);
    gnt_err err = gnt_data_choose(&config, problem, sizeof problem);
    if (!row->chosen) {
        assert_int_equal(err, GNT_NOTFOUND);
        assert_non_null(strstr(problem, "--data none"));
        assert_null(config.data);
    } else if (row->named) {
        assert_string_equal(config.data, row->chosen);
    } else {
        assert_int_equal(err, GNT_OK);
        snprintf(expected, sizeof expected, "%s%s", base, row->chosen);
        assert_string_equal(config.data, expected);
        *strrchr(expected, '/') = '\0';
        assert_int_equal(stat(expected, &st), 0); /* its parents are there */
        assert_int_equal(st.st_mode & 0777, 0700);
        assert_int_equal(stat(config.data, &st), -1);
    }
    gnt_config_fini(&config);
}

static void a_users_own(void **state)
{
    (void)state;
    static const struct environment rows[] = {
        {"/a", NULL, false, "/a/.local/state/gnatter"},
        {"/a", "/b/c", false, "/b/c/gnatter"},
        {"/d", "", false, "/d/.local/state/gnatter"},
        {"/d", "relative", false, "/d/.local/state/gnatter"},
        {NULL, "/e", false, "/e/gnatter"},
        {NULL, NULL, false, NULL},
        {"relative", NULL, false, NULL},
        {NULL, NULL, true, "none"},
    };
    char base[] = "/tmp/gnatter-data-XXXXXX", command[64];
    assert_non_null(mkdtemp(base));
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(chown(base, NOBODY, (gid_t)-1) | seteuid(NOBODY), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check(base, &rows[i]);
    if (root)
        assert_int_equal(seteuid(0), 0);
    snprintf(command, sizeof command, "rm -r %s", base);
    assert_int_equal(system(command), 0);
}

static void roots(void **state)
{
    (void)state;
    struct gnt_config config;
    char problem[512];
    if (geteuid() != 0)
        skip();
    assert_int_equal(gnt_config_init(&config), GNT_OK);
    assert_int_equal(gnt_data_choose(&config, problem, sizeof problem), GNT_OK);
    assert_string_equal(config.data, "/var/lib/gnatter");
    gnt_config_fini(&config);
}

static void loss_windows(void **state)
{
    (void)state;
    char window[GNT_DATA_LOSS_WINDOW_MAX];
    gnt_data_loss_window(true, 0, window);
    assert_string_equal(window, "none");
    gnt_data_loss_window(true, 60000, window);
    assert_string_equal(window, "60000 ms");
    gnt_data_loss_window(false, 60000, window);
    assert_string_equal(window, "everything: memory only");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_users_own),
        cmocka_unit_test(roots),
        cmocka_unit_test(loss_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
