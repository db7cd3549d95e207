/* Topics that are looked up before their messages are acted on: nothing comes of it but time. */
#include "support/mqtt_packet.h"
#include "support/script_client.h"
#include "support/unit.h"

#include <stdio.h>

enum { FILTERS = 60000, MESSAGES = 20 };

static const struct gnt_home *home_of(const struct script *s)
{
    return &s->workers->core->homes[0];
}

/* So many filters that the broker looks ahead. */
static void make_large(struct script *s)
{
    const struct gnt_sub_options options = {0};
    for (uint32_t i = 0; i < FILTERS; i++) {
        char text[24];
        struct gnt_slice filter = gnt_slice(text, (size_t)snprintf(text, sizeof text, "x/%u", i));
        bool existed;
        assert_int_equal(gnt_tree_subscribe(home_of(s)->tree, filter, gnt_sink_id(0, 0xfffffff, 1),
                                            &options, &existed, NULL),
                         GNT_OK);
    }
}

static struct script_client *join(struct script *s, const char *id)
{
    struct script_client *c = script_open(s, 0);
    script_sendf(c, "10 | ['MQTT'] 04 02 003c ['%s']", id);
    script_expect(c, "20 02 00 00");
    return c;
}

static void add(uint8_t *bytes, size_t *size, const char *notation)
{
    struct gnt_slice one = script_bytes(notation);
    memcpy(bytes + *size, one.data, one.size);
    *size += one.size;
    gnt_test_free(one);
}

/* PUBLISHes to t/FIRST and on, as one piece of input, with ANOTHER packet before the fourth. */
static void publish_all(struct script_client *c, int first, const char *another)
{
    uint8_t bytes[4096];
    size_t size = 0;
    for (int i = 0; i < MESSAGES; i++) {
        char text[64];
        snprintf(text, sizeof text, "30 | ['t/%d'] 'm'", first + i);
        if (another && i == 3)
            add(bytes, &size, another);
        add(bytes, &size, text);
    }
    script_send_bytes(c, gnt_slice(bytes, size));
}

static void expect(struct script_client *c, int from, int to)
{
    for (int i = from; i < to; i++)
        script_expectf(c, "30 | ['t/%d'] 'm'", i);
    script_expect_silence(c);
}

struct scene {
    struct script s;
    struct script_client *from, *to;
};

/* The last topic was a new one. */
static void start(struct scene *sc)
{
    script_init(&sc->s, 1, NULL);
    sc->from = join(&sc->s, "from");
    sc->to = join(&sc->s, "to");
    script_send(sc->to, "82 | 0001 ['t/+'] 00");
    script_expect(sc->to, "90 | 0001 00");
    publish_all(sc->from, 1000, NULL);
    expect(sc->to, 1000, 1000 + MESSAGES);
    assert_null(home_of(&sc->s)->routes.ahead); /* the tree is small */
    make_large(&sc->s);
    script_send(sc->from, "30 | ['t/1'] 'm'");
    expect(sc->to, 1, 2);
    assert_true(home_of(&sc->s)->routes.cold);
}

static void messages_that_come_together(void **state)
{
    (void)state;
    struct scene sc;
    start(&sc);
    for (int time = 0; time < 4; time++) {
        publish_all(sc.from, 2000, NULL);
        expect(sc.to, 2000, 2000 + MESSAGES);
        assert_non_null(home_of(&sc.s)->routes.ahead);
    }
    script_fini(&sc.s);
}

/* The topics behind it have been looked up by then. */
static void subscribing_in_their_midst(void **state)
{
    (void)state;
    struct scene sc;
    start(&sc);
    publish_all(sc.from, 2000, "82 | 0007 ['+/#'] 00");
    script_expect(sc.from, "90 | 0007 00");
    expect(sc.from, 2003, 2000 + MESSAGES);
    expect(sc.to, 2000, 2000 + MESSAGES);
    publish_all(sc.from, 3000, "a2 | 0008 ['+/#']");
    for (int i = 3000; i < 3003; i++)
        script_expectf(sc.from, "30 | ['t/%d'] 'm'", i);
    script_expect(sc.from, "b0 | 0008");
    script_expect_silence(sc.from);
    expect(sc.to, 3000, 3000 + MESSAGES);
    script_fini(&sc.s);
}

static void one_that_is_not_valid_ends_it(void **state)
{
    (void)state;
    static const char *const invalid[] = {"30 | ['t/+'] 'm'", "36 | ['t/1'] 0001", "30 | [ff]",
                                          "00 |", "10 |"};
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        struct scene sc;
        start(&sc);
        publish_all(sc.from, 2000, invalid[i]);
        script_expect_close(sc.from);
        expect(sc.to, 2000, 2003);
        assert_non_null(home_of(&sc.s)->routes.ahead);
        script_fini(&sc.s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_that_come_together),
        cmocka_unit_test(subscribing_in_their_midst),
        cmocka_unit_test(one_that_is_not_valid_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
