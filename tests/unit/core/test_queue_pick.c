/* Receivers that do not take whatever comes: filters, browsers, message groups. */
#include "support/unit.h"

#include "unit/core/three_homes.h"

struct vowels {
    struct gnt_consumer_filter filter;
    unsigned refs, asked;
};

static bool is_vowel(struct gnt_consumer_filter *filter, const struct gnt_message *m)
{
    GNT_CONTAINER(filter, struct vowels, filter)->asked++;
    return m->payload.size && memchr("aeiou", m->payload.data[0], 5);
}

static void unref(struct gnt_consumer_filter *filter)
{
    GNT_CONTAINER(filter, struct vowels, filter)->refs--;
}

static void filters(void **state)
{
    (void)state;
    struct vowels v = {.filter = {is_vowel, unref}, .refs = 2};
    uint64_t q = queue_id(&w, "q", NULL);
    queue_send_words(&w, q, "b a c d e", false);
    struct queue_reader r = {.c.filter = &v.filter}, s = {.count = 0},
                        none = {.c.filter = &v.filter};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 100, true);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a e ");
    assert_int_equal(r.drained, 1);
    queue_credit(&r, 100, false);
    unsigned asked = v.asked;
    queue_send_words(&w, q, "f i", false);
    assert_string_equal(queue_text(&r), "a e i ");
    assert_int_equal(v.asked, asked + 2); /* nothing is looked at twice */
    queue_open(&w, 2, q, GNT_CONSUME_TAKE, &s);
    queue_credit(&s, 100, false);
    world_settle(&w);
    assert_string_equal(queue_text(&s), "b c d f ");
    queue_close(&s, false);
    queue_settle_one(&r, "e", &(struct gnt_settling){.outcome = GNT_SETTLE_RELEASE});
    queue_settle_one(&r, "a", &(struct gnt_settling){.outcome = GNT_SETTLE_RELEASE});
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a e i a e ");
    assert_int_equal(v.refs, 2);
    queue_close(&r, false);
    assert_int_equal(v.refs, 1);
    queue_ask(&w, 0, GNT_ENTITY_DELETE, "q", NULL, NULL);
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &none);
    world_settle(&w);
    assert_int_equal(none.result, GNT_QUEUE_NOT_FOUND);
    assert_int_equal(v.refs, 0);
    queue_close(&none, false);
    queue_forget(&r);
    queue_forget(&s);
}

static void browsing(void **state)
{
    (void)state;
    uint64_t q = queue_id(&w, "q", NULL);
    queue_send_words(&w, q, "a b c d", false);
    struct queue_reader r = {.count = 0}, b = {.count = 0}, from = {.c.browse_from = 3};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_credit(&r, 2, false);
    world_settle(&w);
    queue_open(&w, 2, q, GNT_CONSUME_BROWSE, &b);
    queue_credit(&b, 3, false);
    queue_open(&w, 2, q, GNT_CONSUME_BROWSE, &from);
    queue_credit(&from, 9, true);
    world_settle(&w);
    assert_string_equal(queue_text(&b), "a b c ");
    assert_string_equal(queue_text(&from), "c d ");
    assert_int_equal(from.drained, 1);
    queue_credit(&b, 9, true);
    world_settle(&w);
    assert_string_equal(queue_text(&b), "a b c d ");
    struct gnt_queue_facts f = queue_facts(&w, "q");
    assert_true(f.ready == 2 && f.held == 2 && f.consumers == 1);
    queue_close(&b, false);
    queue_close(&from, false);
    queue_close(&r, false);
    queue_forget(&b);
    queue_forget(&from);
    queue_forget(&r);
}

/* ---- Groups */

static void groups(void **state)
{
    (void)state;
    struct gnt_queue_options o = gnt_queue_options_default();
    o.groups = 1;
    uint64_t q = queue_id(&w, "q", &o);
    struct queue_reader r = {.count = 0}, s = {.count = 0};
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r);
    queue_open(&w, 2, q, GNT_CONSUME_LOCK, &s);
    queue_credit(&r, 1, false);
    world_settle(&w);
    const char *words[] = {"a1", "a2", "b1", "x", "a3", "b2"};
    for (int i = 0; i < 6; i++) {
        char group[2] = {words[i][0], 0};
        queue_send_with(&w, 0, q, words[i], false, 4, words[i][0] == 'x' ? NULL : group, GNT_NEVER,
                        NULL);
    }
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a1 ");
    queue_credit(&s, 9, false);
    world_settle(&w);
    assert_string_equal(queue_text(&s), "b1 x b2 "); /* group a is the other's */
    queue_credit(&r, 1, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a1 a2 ");
    queue_settle(&r, GNT_SETTLE_ACCEPT);
    world_settle(&w);
    assert_string_equal(queue_text(&s), "b1 x b2 ");
    queue_settle(&r, GNT_SETTLE_RELEASE); /* the group is free: from its first message on */
    world_settle(&w);
    assert_string_equal(queue_text(&s), "b1 x b2 a2 a3 ");
    queue_close(&s, false);
    queue_credit(&r, 9, false);
    world_settle(&w);
    assert_string_equal(queue_text(&r), "a1 a2 a2 b1 x a3 b2 ");
    queue_close(&r, false);
    queue_forget(&r);
    queue_forget(&s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(filters),
        TEST(browsing),
        TEST(groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
