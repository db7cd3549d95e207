/* What a queue may be called, and that an address says the same. */
#include "model/entity_name.h"

#include "model/address.h"
#include "support/unit.h"

#include <stdio.h>

static void good(void **state)
{
    (void)state;
    const char *const rows[] = {"a",   "Orders", "a/b/c",        "a b",
                                "a:b", "a/$cbs", "Partitions/0", "Publishers/p",
                                "a+b", "#",      "\xc3\xab",     "dead/LetterQueue"};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_null(gnt_entity_name_problem(gnt_slice_str(rows[i])));
    char name[GNT_ENTITY_NAME_MAX + 1];
    memset(name, 'x', sizeof name);
    assert_null(gnt_entity_name_problem(gnt_slice(name, GNT_ENTITY_NAME_MAX)));
    assert_non_null(gnt_entity_name_problem(gnt_slice(name, sizeof name)));
    assert_non_null(gnt_entity_name_problem(gnt_slice(NULL, 0)));
}

static void bad(void **state)
{
    (void)state;
    const struct {
        const char *name, *why;
    } rows[] = {
        {"a\nb", "control"},
        {"a\x7f", "control"},
        {"\xff", "UTF-8"},
        {"$cbs", "neither $ nor /"},
        {"$DeadLetterQueue", "neither $ nor /"},
        {"/a", "neither $ nor /"},
        {"/", "neither $ nor /"},
        {"queue://a", "no address"},
        {"a/mqtt://b", "no address"},
        {"a/$management", "something else"},
        {"a/$DEADletterqueue", "something else"},
        {"a/$DeadLetterQueue/$DeadLetterQueue", "something else"},
        {"a/partitions/0", "something else"},
        {"a/ConsumerGroups/g/Partitions/0", "something else"},
        {"a/Publishers/p", "something else"},
        {"a/Subscriptions/s", "something else"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *why = gnt_entity_name_problem(gnt_slice_str(rows[i].name));
        print_message("%s: %s\n", rows[i].name, why);
        assert_non_null(why);
        assert_non_null(strstr(why, rows[i].why));
    }
}

/* Whatever is a name is reached by it, plainly and with a server or a scheme in front. */
static void is_reached(void **state)
{
    (void)state;
    static const char *const words[] = {"a",      "$cbs",       "$management",  "$DeadLetterQueue",
                                        "",       "0",          "Partitions",   "ConsumerGroups",
                                        "topic:", "Publishers", "Subscriptions"};
    static const char *const fronts[] = {"", "/", "queue://", "amqp://host/", "sb://host/"};
    unsigned names = 0;
    for (size_t n = 0; n < 11 * 11 * 11 * 11; n++) {
        char text[128];
        snprintf(text, sizeof text, "%s/%s/%s/%s", words[n % 11], words[n / 11 % 11],
                 words[n / 121 % 11], words[n / 1331]);
        if (gnt_entity_name_problem(gnt_slice_str(text)))
            continue;
        names++;
        for (size_t f = 0; f < COUNT_OF(fronts); f++) {
            char whole[160];
            struct gnt_address a;
            snprintf(whole, sizeof whole, "%s%s", fronts[f], text);
            assert_int_equal(gnt_address_parse(gnt_slice_str(whole), &a), GNT_OK);
            assert_true(a.kind == GNT_ADDRESS_ENTITY || a.kind == GNT_ADDRESS_QUEUE);
            assert_true(gnt_slice_eq_str(a.entity, text) && !a.dead_letter);
        }
    }
    assert_in_range(names, 1000, 11 * 11 * 11 * 11 - 1000);
}

static void folding(void **state)
{
    (void)state;
    struct gnt_entity_folded f;
    struct gnt_slice base;
    assert_slice(gnt_entity_fold(LITERAL("aZ@[`{\xc3\x8b"), &f), "az@[`{\xc3\x8b");
    assert_true(gnt_entity_same(LITERAL("Orders"), LITERAL("oRDERS")));
    assert_false(gnt_entity_same(LITERAL("Orders"), LITERAL("Order")));
    assert_false(gnt_entity_same(LITERAL("a["), LITERAL("a{")));
    assert_true(gnt_entity_is_dead(LITERAL("Q/$deadletterQUEUE"), &base));
    assert_slice(base, "Q");
    assert_false(gnt_entity_is_dead(LITERAL("/$DeadLetterQueue"), &base));
    assert_slice(base, "/$DeadLetterQueue");
    static char longest[400];
    memset(longest, 'A', sizeof longest);
    assert_int_equal(gnt_entity_fold(gnt_slice(longest, sizeof longest), &f).size, sizeof f.bytes);
    assert_int_equal(gnt_entity_fold(gnt_slice(NULL, 0), &f).size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(bad),
        cmocka_unit_test(is_reached),
        cmocka_unit_test(folding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
