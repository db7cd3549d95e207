#include "pki_files.h"
#include "support/alloc_fault.h"

#include "pki/files.h"

static struct gnt_pki_why why;

static void assert_content(const char *name, const char *expected)
{
    struct gnt_buf bytes = {NULL, 0, 0, 0};
    assert_int_equal(gnt_files_read(in_directory(name), &bytes, &why), GNT_OK);
    struct gnt_slice all = gnt_buf_slice(&bytes);
    assert_int_equal(all.size, strlen(expected));
    if (all.size)
        assert_memory_equal(all.data, expected, all.size);
    gnt_buf_fini(&bytes);
}

static mode_t mode_of(const char *name)
{
    struct stat status;
    assert_int_equal(stat(in_directory(name), &status), 0);
    return status.st_mode & 07777;
}

static gnt_err add(struct gnt_files *files, const char *name, mode_t mode, const char *text)
{
    return gnt_files_add(files, in_directory(name), mode, gnt_slice_str(text), &why);
}

static void are_there_together_or_not_at_all(void **state)
{
    (void)state;
    struct gnt_files files = {.replace = false};
    assert_int_equal(add(&files, "a", GNT_FILES_PUBLIC, "one"), GNT_OK);
    assert_int_equal(add(&files, "b", GNT_FILES_SECRET, ""), GNT_OK);
    assert_int_equal(access(in_directory("a"), F_OK), -1);
    gnt_files_fini(&files);
    assert_int_equal(count_files(), 0);

    assert_int_equal(add(&files, "a", GNT_FILES_PUBLIC, "one"), GNT_OK);
    assert_int_equal(add(&files, "b", GNT_FILES_SECRET, "two"), GNT_OK);
    assert_int_equal(gnt_files_commit(&files, &why), GNT_OK);
    gnt_files_fini(&files);
    assert_int_equal(count_files(), 2);
    assert_content("a", "one");
    assert_content("b", "two");
}

static void keep_what_is_there(void **state)
{
    (void)state;
    struct gnt_files files = {.replace = false};
    put("b", LITERAL("old"));
    assert_int_equal(add(&files, "a", GNT_FILES_PUBLIC, "one"), GNT_OK);
    assert_int_equal(add(&files, "b", GNT_FILES_PUBLIC, "new"), GNT_EXISTS);
    gnt_files_fini(&files);

    /* It comes in between. */
    assert_int_equal(unlink(in_directory("b")), 0);
    assert_int_equal(add(&files, "a", GNT_FILES_PUBLIC, "one"), GNT_OK);
    assert_int_equal(add(&files, "b", GNT_FILES_PUBLIC, "new"), GNT_OK);
    put("b", LITERAL("old"));
    assert_int_equal(gnt_files_commit(&files, &why), GNT_EXISTS);
    assert_non_null(strstr(why.text, "/b is there already"));
    gnt_files_fini(&files);
    assert_int_equal(count_files(), 1);
    assert_content("b", "old");

    /* A link that leads nowhere is something, too. */
    assert_int_equal(symlink("nowhere", in_directory("c")), 0);
    assert_int_equal(add(&files, "c", GNT_FILES_PUBLIC, "new"), GNT_EXISTS);
    gnt_files_fini(&files);
}

static void replace_where_that_is_wanted(void **state)
{
    (void)state;
    struct gnt_files files = {.replace = true};
    put("a", LITERAL("old"));
    assert_int_equal(symlink("a", in_directory("link")), 0);
    assert_int_equal(add(&files, "link", GNT_FILES_SECRET, "new"), GNT_OK);
    assert_int_equal(gnt_files_commit(&files, &why), GNT_OK);
    gnt_files_fini(&files);
    assert_content("a", "old");
    assert_content("link", "new");
    assert_int_equal(mode_of("link"), 0600);

    files.replace = false;
    assert_int_equal(gnt_files_update(&files, in_directory("a"), GNT_FILES_PUBLIC, LITERAL("newer"),
                                      &why),
                     GNT_OK);
    assert_int_equal(gnt_files_commit(&files, &why), GNT_OK);
    gnt_files_fini(&files);
    assert_content("a", "newer");
    assert_int_equal(count_files(), 2);
}

static void are_as_open_as_they_should_be(void **state)
{
    (void)state;
    static const struct {
        mode_t mask, secret, public;
    } rows[] = {{0, 0600, 0644}, {022, 0600, 0644}, {077, 0600, 0600}, {027, 0600, 0640}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_files files = {.replace = true};
        mode_t before = umask(rows[i].mask);
        assert_int_equal(add(&files, "s", GNT_FILES_SECRET, "x"), GNT_OK);
        assert_int_equal(add(&files, "p", GNT_FILES_PUBLIC, "x"), GNT_OK);
        assert_int_equal(gnt_files_commit(&files, &why), GNT_OK);
        gnt_files_fini(&files);
        (void)umask(before);
        assert_int_equal(mode_of("s"), rows[i].secret);
        assert_int_equal(mode_of("p"), rows[i].public);
    }
}

/* What a buffer leaves behind when it grows is wiped by nobody. */
static void are_read_into_one_piece(void **state)
{
    (void)state;
    static uint8_t long_text[50000];
    struct gnt_buf bytes = {NULL, 0, 0, 0};
    put("short", LITERAL("secret"));
    put("long", gnt_slice(long_text, sizeof long_text));
    for (int i = 0; i < 2; i++) {
        const char *path = in_directory(i ? "long" : "short");
        gnt_alloc_fail_at(1);
        assert_int_equal(gnt_files_read(path, &bytes, &why), GNT_OK);
        gnt_alloc_fail_at(-1);
        assert_int_equal(gnt_buf_size(&bytes), i ? sizeof long_text : strlen("secret"));
        gnt_files_wipe(&bytes);
    }
}

static void are_read_within_bounds(void **state)
{
    (void)state;
    struct gnt_buf bytes = {NULL, 0, 0, 0};
    assert_int_equal(gnt_files_read(in_directory("none"), &bytes, &why), GNT_NOTFOUND);
    assert_non_null(strstr(why.text, "none: No such file"));
    assert_int_equal(gnt_files_read(directory, &bytes, &why), GNT_IO);
    assert_int_equal(gnt_buf_put(&bytes, LITERAL("before")), GNT_OK);
    assert_int_equal(gnt_files_read("/dev/zero", &bytes, &why), GNT_TOOBIG);
    assert_slice(gnt_buf_slice(&bytes), "before");
    gnt_files_wipe(&bytes);
    assert_int_equal(gnt_buf_size(&bytes), 0);
}

static void have_directories(void **state)
{
    (void)state;
    int fd, second;
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s", in_directory("sub"));
    mode_t before = umask(0);
    assert_int_equal(gnt_files_directory(path, &why), GNT_OK);
    (void)umask(before);
    assert_int_equal(mode_of("sub"), 0700);
    assert_int_equal(gnt_files_directory(path, &why), GNT_OK);
    assert_int_equal(gnt_files_lock(path, &fd, &why), GNT_OK);
    close(fd);
    assert_int_equal(gnt_files_lock(path, &second, &why), GNT_OK);
    close(second);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(gnt_files_lock(path, &fd, &why), GNT_NOTFOUND);
    assert_int_equal(fd, -1);
    put("sub", LITERAL("x"));
    assert_int_equal(gnt_files_directory(path, &why), GNT_IO);
    assert_non_null(strstr(why.text, "Not a directory"));
}

static void bound_their_names(void **state)
{
    (void)state;
    char path[PATH_MAX + 10];
    struct gnt_files files = {.replace = true};
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(gnt_files_add(&files, path, 0600, LITERAL("x"), &why), GNT_TOOBIG);
    assert_int_equal(files.count, 0);
}

static void survive_any_allocation_failure(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        struct gnt_files files = {.replace = true};
        struct gnt_buf bytes = {NULL, 0, 0, 0};
        put("a", LITERAL("old"));
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_files_read(in_directory("a"), &bytes, &why);
        if (!err)
            err = add(&files, "a", GNT_FILES_SECRET, "new");
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        if (!err)
            assert_int_equal(gnt_files_commit(&files, &why), GNT_OK);
        gnt_files_fini(&files);
        gnt_buf_fini(&bytes);
        assert_content("a", err ? "old" : "new");
        assert_int_equal(count_files(), 1);
        if (!failed)
            break;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(are_there_together_or_not_at_all),
        TEST(keep_what_is_there),
        TEST(replace_where_that_is_wanted),
        TEST(are_as_open_as_they_should_be),
        TEST(are_read_into_one_piece),
        TEST(are_read_within_bounds),
        TEST(have_directories),
        TEST(bound_their_names),
        TEST(survive_any_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
