/* Where a broker keeps its data when nobody says where, and what a power cut could take. */
#include "broker/data.h"
#include "support/unit.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* ---- A disk without room, in a process of its own that has one */

static bool has_words(const char *text, const char *const words[])
{
    for (; *words; words++)
        if (!strstr(text, *words))
            return false;
    return true;
}

/* A directory on a disk of that kind, and what is said when it cannot be opened, or the log that
 * says it while it can; the exit status of the process. */
static int open_on(const char *mount_options, bool opens)
{
    static const char *const words[] = {"/mnt/gnatter", "pace left on", "Make room there",
                                        "--data DIR", NULL};
    struct gnt_config config;
    struct gnt_store *store;
    char problem[512] = "";
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/mnt", "tmpfs", 0, mount_options) != 0)
        return 77;
    if (gnt_config_init(&config) != GNT_OK)
        return 1;
    free(config.data);
    config.data = strdup("/mnt/gnatter");
    gnt_err err = gnt_data_open(&config, problem, sizeof problem, &store);
    gnt_config_fini(&config);
    if (err)
        return opens || err != GNT_FULL || !has_words(problem, words);
    gnt_store_close(&store);
    return !opens;
}

/* There is no room for its files; or for the files, but not for what is written into them. */
static void a_full_disk_is_called_that(void **state)
{
    (void)state;
    static const struct {
        const char *mount;
        bool opens;
    } rows[] = {{"nr_inodes=1", false}, {"nr_inodes=2", false}, {"nr_inodes=3", false},
                {"nr_inodes=4", false}, {"size=4k", false},     {"size=256k", true}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int status;
        fflush(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(open_on(rows[i].mount, rows[i].opens));
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
            skip(); /* not allowed to mount anything */
        if (status)
            print_error("on a disk with %s\n", rows[i].mount);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_users_own),
        cmocka_unit_test(roots),
        cmocka_unit_test(loss_windows),
        cmocka_unit_test(a_full_disk_is_called_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
