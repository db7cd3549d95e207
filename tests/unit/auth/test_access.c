/* The cases of tests/support/access, and what a table cannot say. */
#include "support/alloc_fault.h"
#include "support/unit.h"

#include "auth/access.h"
#include "base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- Lists from files */

static char told[4096]; /* "LINE WHY\n" each */

static void report(void *context, const char *file, unsigned line, const char *why)
{
    (void)context;
    (void)file;
    size_t used = strlen(told);
    snprintf(told + used, sizeof told - used, "%u %s\n", line, why);
}

static uint8_t verbs_of(char *words)
{
    uint8_t verbs = 0;
    for (char *rest = NULL, *word; (word = strtok_r(words, ",", &rest)) != NULL; words = NULL) {
        assert_int_not_equal(gnt_access_verbs(gnt_slice_str(word)), 0);
        verbs |= gnt_access_verbs(gnt_slice_str(word));
    }
    return verbs;
}

static void add(struct gnt_access *access, const char *who, const char *may, const char *words,
                const char *on)
{
    char copy[64];
    const char *why = NULL;
    snprintf(copy, sizeof copy, "%s", words);
    const struct gnt_access_rule rule = {.who = gnt_slice_str(strcmp(who, "everybody") == 0 ? ""
                                                                                            : who),
                                         .verbs = verbs_of(copy),
                                         .permits = strcmp(may, "may") == 0,
                                         .on = gnt_slice_str(on)};
    assert_int_equal(gnt_access_add(access, &rule, &why), GNT_OK);
    assert_null(why);
}

static void add_rules(struct gnt_access *access, const char *path)
{
    char line[256], who[64], may[16], words[64], on[64];
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        assert_int_equal(sscanf(line, "%63s %15s %63s %63s", who, may, words, on), 4);
        add(access, who, may, words, on);
    }
    if (f)
        fclose(f);
}

/* NAME.rules and NAME.acl, of which one has to be there. */
static struct gnt_access *list_of(const char *name)
{
    char path[512];
    struct gnt_access *list;
    assert_int_equal(gnt_access_new(&list), GNT_OK);
    snprintf(path, sizeof path, GNT_TEST_ACCESS "/%s.rules", name);
    bool rules = access(path, R_OK) == 0;
    add_rules(list, path);
    snprintf(path, sizeof path, GNT_TEST_ACCESS "/%s.acl", name);
    told[0] = '\0';
    gnt_err err = gnt_access_load(list, path, report, NULL);
    assert_true(err == GNT_OK || (rules && err == GNT_NOTFOUND));
    assert_string_equal(told, "");
    assert_int_equal(gnt_access_seal(list), GNT_OK);
    return list;
}

static struct gnt_rights *rights_of(struct gnt_access *access, const char *user, const char *client)
{
    struct gnt_rights *rights;
    const struct gnt_principal who = {gnt_slice_str(strcmp(user, "-") == 0 ? "" : user),
                                      gnt_slice_str(client)};
    assert_int_equal(gnt_access_rights(access, who, &rights), GNT_OK);
    assert_non_null(rights);
    return rights;
}

/* ---- The table */

static const char *answer(const struct gnt_rights *rights, const char *verb, const char *topic)
{
    static const char *const reaches[] = {
        [GNT_REACH_NONE] = "none", [GNT_REACH_SOME] = "some", [GNT_REACH_ALL] = "all"};
    struct gnt_slice on = gnt_slice_str(topic);
    if (strcmp(verb, "subscribe") == 0)
        return reaches[gnt_rights_may_subscribe(rights, on)];
    return gnt_rights_may(rights, gnt_access_verbs(gnt_slice_str(verb)), on) ? "yes" : "no";
}

static void every_case(void **state)
{
    (void)state;
    char line[256], name[32] = "", list[32], user[32], client[32], verb[16], expected[16];
    struct gnt_access *access = NULL;
    FILE *f = fopen(GNT_TEST_ACCESS "/cases.txt", "r");
    int cases = 0, wrong = 0, topic = 0;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (!line[0] || line[0] == '#')
            continue;
        assert_int_equal(sscanf(line, "%31s %31s %31s %15s %15s %n", list, user, client, verb,
                                expected, &topic),
                         5);
        if (strcmp(list, name) != 0) {
            gnt_access_unref(&access);
            access = list_of(list);
            snprintf(name, sizeof name, "%s", list);
        }
        expected[strcspn(expected, "!")] = '\0';
        struct gnt_rights *rights = rights_of(access, user, client);
        const char *got = answer(rights, verb, line + topic);
        if (strcmp(got, expected) != 0) {
            print_message("%s: got %s\n", line, got);
            wrong++;
        }
        gnt_rights_unref(&rights);
        cases++;
    }
    fclose(f);
    gnt_access_unref(&access);
    assert_int_equal(wrong, 0);
    assert_true(cases >= 60);
}

/* ---- Many rules */

/* The order in which many rules are found gives the answers that one after the other would. */
static void many_decide_like_few(void **state)
{
    (void)state;
    static const char *const levels[] = {"a", "b", "ab", "+", "$a", "", "a b", "\xc3\xab"};
    struct gnt_seeded seeded;
    gnt_seeded_init(&seeded, 7);
    for (int round = 0; round < 200; round++) {
        struct gnt_access *many;
        struct gnt_access *few[40];
        bool permits[40];
        assert_int_equal(gnt_access_new(&many), GNT_OK);
        for (int i = 0; i < 40; i++) {
            char filter[64] = "";
            uint64_t depth = 1 + gnt_random_below(&seeded.door, 4);
            for (uint64_t k = 0; k < depth; k++) {
                strcat(filter, k ? "/" : "");
                strcat(filter, levels[gnt_random_below(&seeded.door, COUNT_OF(levels))]);
            }
            if (gnt_random_below(&seeded.door, 3) == 0)
                strcat(filter, "/#");
            if (!filter[0])
                strcpy(filter, "#");
            permits[i] = i >= 20;
            const char *verb = gnt_random_below(&seeded.door, 2) ? "publish" : "receive";
            add(many, "everybody", permits[i] ? "may" : "may_not", verb, filter);
            assert_int_equal(gnt_access_new(&few[i]), GNT_OK);
            add(few[i], "everybody", "may", verb, filter);
            assert_int_equal(gnt_access_seal(few[i]), GNT_OK);
        }
        assert_int_equal(gnt_access_seal(many), GNT_OK);
        struct gnt_rights *rights = rights_of(many, "-", "c"), *single[40];
        for (int i = 0; i < 40; i++)
            single[i] = rights_of(few[i], "-", "c");
        for (int n = 0; n < 100; n++) {
            char topic[64] = "";
            uint64_t depth = 1 + gnt_random_below(&seeded.door, 5);
            for (uint64_t k = 0; k < depth; k++) {
                const char *level = levels[gnt_random_below(&seeded.door, COUNT_OF(levels))];
                strcat(topic, k ? "/" : "");
                strcat(topic, level[0] == '+' ? "abc" : level);
            }
            bool expected = false;
            for (int i = 0; i < 40; i++) {
                if (!gnt_rights_may(single[i], GNT_VERB_PUBLISH, gnt_slice_str(topic)))
                    continue;
                expected = permits[i];
                break;
            }
            assert_int_equal(gnt_rights_may(rights, GNT_VERB_PUBLISH, gnt_slice_str(topic)),
                             expected);
        }
        for (int i = 0; i < 40; i++) {
            gnt_rights_unref(&single[i]);
            gnt_access_unref(&few[i]);
        }
        gnt_rights_unref(&rights);
        gnt_access_unref(&many);
    }
}

/* What may_subscribe says is never more, and never less, than the topics say. */
static void subscriptions_promise_what_topics_keep(void **state)
{
    (void)state;
    static const char *const filters[] = {"#",   "+",     "a",   "a/#",   "a/+",  "+/b",
                                          "a/b", "a/b/#", "+/#", "+/+/c", "$x/#", "$x/+",
                                          "$x",  "b/#",   "/",   "a/+/c"};
    static const char *const topics[] = {"a",    "b", "a/b", "a/c", "a/b/c", "$x",    "$x/a",
                                         "$x/b", "/", "/b",  "b/b", "c/b/c", "a/b/d", "$x/a/b"};
    for (size_t x = 0; x < COUNT_OF(filters); x++)
        for (size_t y = 0; y < COUNT_OF(filters); y++)
            for (size_t z = 0; z < COUNT_OF(filters); z++) {
                struct gnt_access *access, *plain;
                assert_int_equal(gnt_access_new(&access), GNT_OK);
                add(access, "everybody", "may_not", "subscribe", filters[x]);
                add(access, "everybody", "may", "subscribe", filters[y]);
                assert_int_equal(gnt_access_seal(access), GNT_OK);
                assert_int_equal(gnt_access_new(&plain), GNT_OK);
                add(plain, "everybody", "may", "receive", filters[z]);
                assert_int_equal(gnt_access_seal(plain), GNT_OK);
                struct gnt_rights *rights = rights_of(access, "-", "c"),
                                  *matched = rights_of(plain, "-", "c");
                enum gnt_reach reach = gnt_rights_may_subscribe(rights, gnt_slice_str(filters[z]));
                for (size_t t = 0; t < COUNT_OF(topics); t++) {
                    struct gnt_slice topic = gnt_slice_str(topics[t]);
                    if (!gnt_rights_may(matched, GNT_VERB_RECEIVE, topic))
                        continue;
                    bool may = gnt_rights_may(rights, GNT_VERB_RECEIVE, topic);
                    if ((may && reach == GNT_REACH_NONE) || (!may && reach == GNT_REACH_ALL))
                        fail_msg("may_not %s may %s: %s, %s", filters[x], filters[y], filters[z],
                                 topics[t]);
                }
                gnt_rights_unref(&rights);
                gnt_rights_unref(&matched);
                gnt_access_unref(&access);
                gnt_access_unref(&plain);
            }
}

/* ---- Files that are none */

static char path[64];

static gnt_err load(const char *text, struct gnt_access **access)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    told[0] = '\0';
    gnt_err err = gnt_access_new(access);
    return err ? err : gnt_access_load(*access, path, report, NULL);
}

static void tells_every_mistake(void **state)
{
    (void)state;
    struct gnt_access *access;
    assert_int_equal(load("topic read ok\n"
                          "   # not at the beginning\n"
                          "topic\tread a\n"
                          "topic\n"
                          "topic  \r\n"
                          "topic rd secret\n"
                          "topic read a/#/b\n"
                          "pattern read a+\n"
                          "user\n"
                          "user   \n"
                          "user \xff\n"
                          "TOPIC a\n"
                          "secret\n"
                          "\n   \n"
                          "topic read\n" /* a topic of that name */
                          "pattern deny $SYS/#\n",
                          &access),
                     GNT_MALFORMED);
    assert_string_equal(told, "2 expected user, topic, pattern or, at its very beginning, #\n"
                              "3 expected user, topic, pattern or, at its very beginning, #\n"
                              "4 expected a topic filter\n"
                              "5 expected a topic filter\n"
                              "6 expected read, write, readwrite or deny before the filter\n"
                              "7 expected a topic filter of at most 200 levels\n"
                              "8 expected a topic filter of at most 200 levels\n"
                              "9 expected a user name\n"
                              "10 expected a user name\n"
                              "11 expected a user name\n"
                              "12 expected user, topic, pattern or, at its very beginning, #\n"
                              "13 expected user, topic, pattern or, at its very beginning, #\n");
    gnt_access_unref(&access);
    (void)unlink(path);
    assert_int_equal(gnt_access_new(&access), GNT_OK);
    assert_int_equal(gnt_access_load(access, path, report, NULL), GNT_NOTFOUND);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(gnt_access_load(access, "/", report, NULL), GNT_IO);
    gnt_access_unref(&access);
}

static void bounds_the_levels(void **state)
{
    (void)state;
    struct gnt_access *access;
    char text[512] = "topic ";
    for (int i = 0; i < GNT_ACCESS_LEVELS_MAX - 1; i++)
        strcat(text, "a/");
    size_t size = strlen(text);
    snprintf(text + size, sizeof text - size, "#\n");
    assert_int_equal(load(text, &access), GNT_OK);
    gnt_access_unref(&access);
    snprintf(text + size, sizeof text - size, "a/#\n");
    assert_int_equal(load(text, &access), GNT_MALFORMED);
    gnt_access_unref(&access);
    (void)unlink(path);
}

static void refuses_rules_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        const char *who, *on;
    } rows[] = {{"\xff", "a"}, {"ann", ""}, {"ann", "a#"}, {"ann", "${clint}/#"}, {"ann", "a/${"}};
    struct gnt_access *access;
    assert_int_equal(gnt_access_new(&access), GNT_OK);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *why = NULL;
        const struct gnt_access_rule rule = {.who = gnt_slice_str(rows[i].who),
                                             .verbs = GNT_VERB_PUBLISH,
                                             .permits = true,
                                             .on = gnt_slice_str(rows[i].on)};
        assert_int_equal(gnt_access_add(access, &rule, &why), GNT_INVALID);
        assert_non_null(why);
    }
    gnt_access_unref(&access);
    assert_int_equal(gnt_access_verbs(LITERAL("write")), 0);
    assert_int_equal(gnt_access_verbs(LITERAL("")), 0);
}

/* What is written like an address matches nothing, and is told; PUBLISH stands for topics, SEND for
 * queues. */
static void refuses_addresses(void **state)
{
    (void)state;
    static const struct {
        unsigned verbs;
        const char *on, *why; /* NULL: it is fine */
    } rows[] = {
        {GNT_VERB_PUBLISH, "topic://a/#", "without topic://"},
        {GNT_VERB_SEND, "Topic://a", "without topic://"},
        {GNT_VERB_SUBSCRIBE, "queue://a", "without queue://"},
        {GNT_VERB_LISTEN, "AMQP://host/a", "without a server"},
        {GNT_VERB_SEND, "amqps://host/a", "without a server"},
        {GNT_VERB_PUBLISH, "/a", NULL},
        {GNT_VERB_PUBLISH | GNT_VERB_SEND, "/a", "neither $ nor /"},
        {GNT_VERB_MANAGE, "$management", "neither $ nor /"},
        {GNT_VERB_MANAGE, "orders/$management", "means something else"},
        {GNT_VERB_SUBSCRIBE, "$SYS/#", NULL},
        {GNT_VERB_LISTEN, "${user}/#", NULL},
        {GNT_VERB_PUBLISH, "$queue/a", NULL},
        {GNT_VERB_SEND, "$queue/a", "neither $ nor /"},
        {GNT_VERB_LISTEN, "orders/$DeadLetterQueue", NULL},
        {GNT_VERB_LISTEN, "a/Partitions/#", NULL},
        {GNT_VERB_LISTEN, "a/Partitions/+", "means something else"},
        {GNT_VERB_MANAGE, "#", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_access *access;
        const char *why;
        const struct gnt_access_rule rule = {.verbs = (uint8_t)rows[i].verbs,
                                             .on = gnt_slice_str(rows[i].on)};
        assert_int_equal(gnt_access_new(&access), GNT_OK);
        gnt_err err = gnt_access_add(access, &rule, &why);
        print_message("%s: %s\n", rows[i].on, why ? why : "fine");
        assert_int_equal(err, rows[i].why ? GNT_INVALID : GNT_OK);
        assert_true(rows[i].why ? why && strstr(why, rows[i].why) : !why);
        assert_int_equal(gnt_access_size(access), err ? 0 : 1);
        gnt_access_unref(&access);
    }
}

/* A name that fills a filter up is not cut. */
static void bounds_what_is_filled(void **state)
{
    (void)state;
    static char client[65536], topic[65536];
    struct gnt_access *access;
    assert_int_equal(gnt_access_new(&access), GNT_OK);
    add(access, "everybody", "may", "publish", "a/${client}");
    add(access, "everybody", "may", "publish", "${client}${client}b");
    assert_int_equal(gnt_access_seal(access), GNT_OK);
    for (size_t size = 65532; size < 65536; size++) {
        memset(client, 'x', size);
        client[size] = '\0';
        struct gnt_rights *rights = rights_of(access, "-", client);
        snprintf(topic, sizeof topic, "a/%.*s", (int)(size < 65533 ? size : 65533), client);
        assert_int_equal(gnt_rights_may(rights, GNT_VERB_PUBLISH, gnt_slice_str(topic)),
                         size <= 65533);
        gnt_rights_unref(&rights);
    }
    gnt_access_unref(&access);
}

/* ---- Its life */

static void no_list_permits_everything(void **state)
{
    (void)state;
    struct gnt_rights *rights = (struct gnt_rights *)path;
    const struct gnt_principal who = {LITERAL("ann"), LITERAL("c1")};
    assert_int_equal(gnt_access_rights(NULL, who, &rights), GNT_OK);
    assert_null(rights);
    assert_true(gnt_rights_may(NULL, GNT_VERB_MANAGE, LITERAL("a")));
    assert_int_equal(gnt_rights_may_subscribe(NULL, LITERAL("#")), GNT_REACH_ALL);
    assert_null(gnt_rights_ref(NULL));
    gnt_rights_unref(&rights);
}

static void rights_outlive_their_list(void **state)
{
    (void)state;
    struct gnt_access *access = list_of("general");
    struct gnt_rights *rights = rights_of(access, "ann", "c1"), *same = gnt_rights_ref(rights);
    gnt_access_unref(&access);
    assert_null(access);
    gnt_rights_unref(&rights);
    assert_true(gnt_rights_may(same, GNT_VERB_PUBLISH, LITERAL("x")));
    assert_false(gnt_rights_may(same, GNT_VERB_PUBLISH, LITERAL("y")));
    gnt_rights_unref(&same);
}

static gnt_err make_all(void)
{
    struct gnt_access *access = NULL;
    struct gnt_rights *rights = NULL;
    const char *why;
    const struct gnt_access_rule rule = {LITERAL("a*"), GNT_VERB_PUBLISH, true,
                                         LITERAL("a/${client}")};
    const struct gnt_principal who = {LITERAL("ann"), LITERAL("c1")};
    gnt_err err = gnt_access_new(&access);
    if (!err)
        err = gnt_access_add(access, &rule, &why);
    if (!err)
        err = gnt_access_load(access, path, report, NULL);
    if (!err) {
        err = gnt_access_seal(access);
        if (err && gnt_access_seal(access)) /* it can be tried again */
            err = GNT_STATE;
    }
    if (!err)
        err = gnt_access_rights(access, who, &rights);
    gnt_rights_unref(&rights);
    gnt_access_unref(&access);
    return err;
}

static void bears_a_lack_of_memory(void **state)
{
    (void)state;
    struct gnt_access *access;
    int failures = 0;
    assert_int_equal(load("topic read a\nuser ann\ntopic b\ntopic deny c\nuser bob\ntopic x\n"
                          "pattern write p/%u/%c\npattern deny q\n",
                          &access),
                     GNT_OK);
    gnt_access_unref(&access);
    for (long n = 0;; n++) {
        gnt_alloc_fail_at(n);
        gnt_err err = make_all();
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_true(err == GNT_OK || (failed && err == GNT_NOMEM)); /* a map need not grow */
        failures += err == GNT_NOMEM;
        if (!failed)
            break;
    }
    assert_true(failures > 20);
    (void)unlink(path);
}

/* ---- A program that is asked */

static struct {
    enum gnt_verb verb;
    char user[16], client[16], topic[32];
    bool answer;
} asked;

static bool be_asked(void *context, struct gnt_principal who, enum gnt_verb verb,
                     struct gnt_slice topic)
{
    assert_ptr_equal(context, &asked);
    asked.verb = verb;
    (void)snprintf(asked.user, sizeof asked.user, "%.*s", (int)who.user.size,
                   (const char *)who.user.data);
    (void)snprintf(asked.client, sizeof asked.client, "%.*s", (int)who.client.size,
                   (const char *)who.client.data);
    (void)snprintf(asked.topic, sizeof asked.topic, "%.*s", (int)topic.size,
                   (const char *)topic.data);
    return asked.answer;
}

static void asks_where_there_are_no_rules(void **state)
{
    (void)state;
    struct gnt_access *access;
    struct gnt_rights *rights, *nobody;
    assert_int_equal(gnt_access_asking(be_asked, &asked, &access), GNT_OK);
    char user[] = "ann"; /* copied */
    const struct gnt_principal who = {gnt_slice_str(user), LITERAL("c1")};
    assert_int_equal(gnt_access_rights(access, who, &rights), GNT_OK);
    assert_int_equal(gnt_access_rights(access, (struct gnt_principal){.client = LITERAL("c2")},
                                       &nobody),
                     GNT_OK);
    gnt_access_unref(&access); /* rights outlive it */
    user[0] = 'x';
    asked.answer = true;
    assert_true(gnt_rights_may(rights, GNT_VERB_PUBLISH, LITERAL("a/b")));
    assert_int_equal(asked.verb, GNT_VERB_PUBLISH);
    assert_string_equal(asked.user, "ann");
    assert_string_equal(asked.client, "c1");
    assert_string_equal(asked.topic, "a/b");
    assert_int_equal(gnt_rights_may_subscribe(nobody, LITERAL("$share/g/a/#")), GNT_REACH_SOME);
    assert_int_equal(asked.verb, GNT_VERB_SUBSCRIBE);
    assert_string_equal(asked.user, "");
    assert_string_equal(asked.topic, "a/#");
    assert_true(gnt_rights_may(rights, GNT_VERB_LISTEN, LITERAL("Orders")));
    assert_int_equal(asked.verb, GNT_VERB_LISTEN);
    assert_string_equal(asked.topic, "orders");
    asked.answer = false;
    assert_int_equal(gnt_rights_may_subscribe(rights, LITERAL("#")), GNT_REACH_NONE);
    assert_false(gnt_rights_may(rights, GNT_VERB_RECEIVE, LITERAL("a")));
    gnt_rights_unref(&rights);
    gnt_rights_unref(&nobody);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case),
        cmocka_unit_test(many_decide_like_few),
        cmocka_unit_test(subscriptions_promise_what_topics_keep),
        cmocka_unit_test(tells_every_mistake),
        cmocka_unit_test(bounds_the_levels),
        cmocka_unit_test(refuses_rules_that_cannot_be),
        cmocka_unit_test(refuses_addresses),
        cmocka_unit_test(bounds_what_is_filled),
        cmocka_unit_test(no_list_permits_everything),
        cmocka_unit_test(rights_outlive_their_list),
        cmocka_unit_test(asks_where_there_are_no_rules),
        cmocka_unit_test(bears_a_lack_of_memory),
    };
    snprintf(path, sizeof path, "/tmp/gnatter-access-%ld", (long)getpid());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
