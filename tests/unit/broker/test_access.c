/* The access list that a configuration describes, and what is said about one with mistakes. */
#include "support/alloc_fault.h"
#include "support/unit.h"

#include "base/buf.h"
#include "base/log.h"
#include "broker/access.h"
#include "conf/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[40];
static struct gnt_buf logged;

static void on_log(void *context, enum gnt_log_level level, const char *line, size_t size)
{
    (void)context, (void)level;
    (void)!gnt_buf_put(&logged, gnt_slice(line, size));
    (void)!gnt_buf_put(&logged, gnt_slice("\n", 1));
}

static void assert_logged(const char *text)
{
    struct gnt_slice all = gnt_buf_slice(&logged);
    if (!memmem(all.data, all.size, text, strlen(text)))
        fail_msg("%s is not in\n%.*s", text, (int)all.size, (const char *)all.data);
}

static void put_file(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void configure(const char *yaml, const char *file, struct gnt_config *config)
{
    struct gnt_diag diag;
    struct gnt_why why;
    gnt_diag_init(&diag);
    memset(config, 0, sizeof *config);
    gnt_err err =
        gnt_yaml_parse(gnt_slice_str(yaml), "broker.yaml", &gnt_config_table, config, &diag);
    assert_string_equal(diag.count ? diag.lines[0] : "", "");
    assert_int_equal(err, GNT_OK);
    gnt_diag_fini(&diag);
    const struct gnt_option *row = gnt_option_find(&gnt_config_table, "access_file");
    if (file)
        assert_int_equal(gnt_option_set(row, config, gnt_slice_str(file), &why), GNT_OK);
}

static bool may(struct gnt_access *access, const char *user, enum gnt_verb verb, const char *topic)
{
    const struct gnt_principal who = {gnt_slice_str(user), gnt_slice_str("c1")};
    struct gnt_rights *rights;
    assert_int_equal(gnt_access_rights(access, who, &rights), GNT_OK);
    bool result = gnt_rights_may(rights, verb, gnt_slice_str(topic));
    gnt_rights_unref(&rights);
    return result;
}

static void none_is_none(void **state)
{
    (void)state;
    struct gnt_config config;
    struct gnt_access *access = NULL;
    char problem[200] = "";
    configure("workers: 1\n", NULL, &config);
    assert_int_equal(gnt_access_read(&config, &access, problem, sizeof problem), GNT_OK);
    assert_null(access);
    gnt_config_fini(&config);
}

static void both_notations(void **state)
{
    (void)state;
    struct gnt_config config;
    struct gnt_access *access;
    char problem[200] = "";
    put_file("user ann\ntopic read a\ntopic write b\n");
    configure("access:\n"
              "  - {may: [publish, subscribe], on: \"of/${client}\"}\n"
              "  - {who: \"a*\", may_not: [receive], on: a}\n"
              "  - {who: anonymous, may: [receive], on: c}\n",
              path, &config);
    assert_int_equal(gnt_access_read(&config, &access, problem, sizeof problem), GNT_OK);
    assert_string_equal(problem, "");
    assert_true(may(access, "bob", GNT_VERB_PUBLISH, "of/c1"));
    assert_true(may(access, "bob", GNT_VERB_SUBSCRIBE, "of/c1"));
    assert_true(may(access, "ann", GNT_VERB_PUBLISH, "b"));
    assert_true(may(access, "ann", GNT_VERB_SUBSCRIBE, "a"));
    assert_false(may(access, "ann", GNT_VERB_RECEIVE, "a"));
    assert_false(may(access, "ann", GNT_VERB_RECEIVE, "c"));
    assert_true(may(access, "", GNT_VERB_RECEIVE, "c"));
    gnt_access_unref(&access);
    gnt_config_fini(&config);
}

/* One mistake each, in line 2; with "access[0]" in front. */
static const char *const mistakes[][2] = {
    {"{on: a}", ": expected either may or may_not"},
    {"{may: [publish], may_not: [publish], on: a}", ": expected either may or may_not"},
    {"{may: [publish, publsh], on: a}",
     ".may: expected publish, subscribe, receive, send, listen or manage, got 'publsh'"},
    {"{may_not: [Publish], on: a}",
     ".may_not: expected publish, subscribe, receive, send, listen or manage, got 'Publish'"},
    {"{may: [publish], on: a/#/b}",
     ".on: expected a topic filter of at most 200 levels, got 'a/#/b'"},
    {"{may: [publish], on: \"${clien}\"}",
     ".on: expected no other ${...} than ${client} and ${user}, got '${clien}'"},
    {"{may: [publish], on: \"a\\x01#\"}",
     ".on: expected a topic filter of at most 200 levels, got 'a\\x01#'"},
};

static void mistakes_of_the_configuration(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        struct gnt_config config;
        struct gnt_access *access;
        char yaml[200], problem[400] = "", expected[400];
        snprintf(yaml, sizeof yaml, "access:\n  - %s\n", mistakes[i][0]);
        configure(yaml, NULL, &config);
        assert_int_equal(gnt_access_read(&config, &access, problem, sizeof problem), GNT_INVALID);
        assert_null(access);
        snprintf(expected, sizeof expected, "configuration:2: access[0]%s", mistakes[i][1]);
        assert_string_equal(problem, expected);
        config.file = strdup("/etc/broker.yaml");
        assert_int_equal(gnt_access_read(&config, &access, problem, sizeof problem), GNT_INVALID);
        assert_memory_equal(problem, "/etc/broker.yaml:2: ", 20);
        gnt_config_fini(&config);
    }
}

/* The words of which people are told are those that there are. */
static void words(void **state)
{
    (void)state;
    static const char *const all[] = {"publish", "subscribe", "receive",
                                      "send",    "listen",    "manage"};
    unsigned verbs = 0;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        assert_int_not_equal(gnt_access_verbs(gnt_slice_str(all[i])), 0);
        verbs |= gnt_access_verbs(gnt_slice_str(all[i]));
    }
#define BIT(name, bit) +(bit)
    assert_int_equal(verbs, 0 GNT_VERBS(BIT));
#undef BIT
}

static void several_mistakes(void **state)
{
    (void)state;
    struct gnt_config config;
    struct gnt_access *access;
    char problem[200] = "";
    put_file("topic read a\nsecret words\nuser\n");
    configure("access:\n  - {on: a}\n  - {may: [publish], on: b}\n  - {may: [all], on: c}\n", path,
              &config);
    gnt_buf_clear(&logged);
    assert_int_equal(gnt_access_read(&config, &access, problem, sizeof problem), GNT_INVALID);
    assert_string_equal(problem, "configuration:2: access[0]: expected either may or may_not "
                                 "(the log has 3 more)");
    assert_logged("file=configuration line=4 problem=\"access[2].may: expected publish, ");
    assert_logged("line=2 problem=\"expected user, topic, pattern");
    assert_logged("line=3 problem=\"expected a user name\"");
    struct gnt_slice all = gnt_buf_slice(&logged);
    assert_null(memmem(all.data, all.size, "access[0]", 9)); /* not twice */
    assert_null(memmem(all.data, all.size, "secret", 6));
    gnt_config_fini(&config);
}

static void no_file(void **state)
{
    (void)state;
    struct gnt_config config;
    struct gnt_access *access;
    char problem[200] = "";
    configure("workers: 1\n", "/nonexistent/acl", &config);
    assert_int_equal(gnt_access_read(&config, &access, problem, sizeof problem), GNT_INVALID);
    assert_string_equal(problem, "access_file: /nonexistent/acl: No such file or directory");
    assert_null(access);
    gnt_config_fini(&config);
}

static void short_of_memory(void **state)
{
    (void)state;
    struct gnt_config config;
    struct gnt_access *access = NULL;
    char problem[200] = "";
    put_file("user ann\ntopic read a\npattern write %c\n");
    configure("access: [{who: b, may: [publish], on: \"of/${client}\"}]\n", path, &config);
    gnt_err err = GNT_NOMEM;
    for (long n = 0; err; n++) {
        gnt_alloc_fail_at(n);
        err = gnt_access_read(&config, &access, problem, sizeof problem);
        if (err) {
            assert_true(err == GNT_NOMEM || err == GNT_INVALID); /* the file could not be opened */
            assert_null(access);
        }
    }
    gnt_alloc_fail_at(-1);
    assert_non_null(access);
    gnt_access_unref(&access);
    gnt_config_fini(&config);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(path, "/tmp/gnatter-test-XXXXXX");
    int fd = mkstemp(path);
    gnt_log_divert(on_log, NULL);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    gnt_log_divert(NULL, NULL);
    gnt_buf_fini(&logged);
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_none),
        cmocka_unit_test(both_notations),
        cmocka_unit_test(mistakes_of_the_configuration),
        cmocka_unit_test(words),
        cmocka_unit_test(several_mistakes),
        cmocka_unit_test(no_file),
        cmocka_unit_test(short_of_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
