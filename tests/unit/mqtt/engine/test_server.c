#include "mqtt/engine/server.h"
#include "support/alloc_fault.h"
#include "support/mqtt_packet.h"
#include "support/unit.h"

#define CONNECT5(props) "10 | ['MQTT'] 05 02 000a (" props ") ['c']"
#define CONNECT4        "10 | ['MQTT'] 04 02 000a ['c']"
#define CONNECT3        "10 | ['MQIsdp'] 03 02 000a ['c']"

enum { START_S = 100 };

static const struct gnt_mqtt_server_options usual = {
    .packet_max = 1 << 20,
    .receive_max = UINT16_MAX,
    .aliases_in = 2,
    .aliases_out = 2,
    .topic_levels = 4,
    .connect_timeout_ms = 5000,
    .qos_max = 2,
};

struct engine {
    struct gnt_mqtt_server s;
    struct gnt_mqtt_server_options options;
    struct gnt_outq out;
    struct gnt_counters counters;
    uint64_t now;
    struct gnt_mqtt_packet packet; /* the last one */
    struct gnt_slice bytes;        /* that it borrows from */
};

static void engine_init(struct engine *e, const struct gnt_mqtt_server_options *options)
{
    *e = (struct engine){.now = START_S * GNT_NS_PER_S};
    gnt_outq_init(&e->out);
    e->options = options ? *options : usual;
    e->options.counters = &e->counters;
    gnt_mqtt_server_init(&e->s, &e->out, e->now);
    gnt_mqtt_server_settle(&e->s, &e->options);
}

static void engine_fini(struct engine *e)
{
    gnt_mqtt_server_fini(&e->s);
    gnt_outq_fini(&e->out);
    gnt_test_free(e->bytes);
}

/* One packet, alone in its block. */
static gnt_err feed(struct engine *e, const char *notation)
{
    gnt_test_free(e->bytes);
    e->bytes = gnt_test_bytes(notation);
    struct gnt_slice in = e->bytes;
    gnt_err err = gnt_mqtt_server_next(&e->s, &in, e->now, &e->packet, NULL);
    assert_int_equal(in.size, 0);
    return err;
}

static gnt_err accept_it(struct engine *e, uint32_t expiry_s)
{
    const struct gnt_mqtt_welcome w = {.session_expiry_s = expiry_s};
    return gnt_mqtt_server_accept(&e->s, &e->packet, &w, e->now);
}

static void expect_out(struct engine *e, const char *notation)
{
    struct gnt_slice expected = gnt_test_bytes(notation);
    struct iovec iov[8];
    int count = gnt_outq_iov(&e->out, iov, 8);
    uint8_t all[16384];
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        memcpy(all + size, iov[i].iov_base, iov[i].iov_len);
        size += iov[i].iov_len;
    }
    assert_int_equal(size, e->out.size);
    if (size != expected.size || (size && memcmp(all, expected.data, size) != 0)) {
        for (size_t i = 0; i < size; i++)
            print_error("%02x ", all[i]);
        fail_msg("%s", notation);
    }
    gnt_outq_take(&e->out, size);
    gnt_test_free(expected);
}

static void drop_out(struct engine *e)
{
    gnt_outq_take(&e->out, e->out.size);
}

static void engine_open(struct engine *e, const struct gnt_mqtt_server_options *options,
                        const char *connect)
{
    engine_init(e, options);
    assert_int_equal(feed(e, connect), GNT_OK);
    assert_int_equal(accept_it(e, 0), GNT_OK);
    assert_int_equal(e->s.state, GNT_MQTT_OPEN);
    drop_out(e);
}

/* ---- What may come when */

static const struct {
    const char *bytes5, *bytes4;
    gnt_err first5, open5, first4, open4;
} order[] = {
    {CONNECT5(""), CONNECT4, GNT_OK, GNT_PROTOCOL, GNT_OK, GNT_PROTOCOL},
    {"20 | 00 00 ()", "20 | 00 00", GNT_PROTOCOL, GNT_PROTOCOL, GNT_PROTOCOL, GNT_PROTOCOL},
    {"30 | ['t'] () 'x'", "30 | ['t'] 'x'", GNT_PROTOCOL, GNT_OK, GNT_PROTOCOL, GNT_OK},
    {"40 | 0001", "40 | 0001", GNT_PROTOCOL, GNT_OK, GNT_PROTOCOL, GNT_OK},
    {"50 | 0001", "50 | 0001", GNT_PROTOCOL, GNT_OK, GNT_PROTOCOL, GNT_OK},
    {"62 | 0001", "62 | 0001", GNT_PROTOCOL, GNT_OK, GNT_PROTOCOL, GNT_OK},
    {"70 | 0001", "70 | 0001", GNT_PROTOCOL, GNT_OK, GNT_PROTOCOL, GNT_OK},
    {"82 | 0001 () ['t'] 00", "82 | 0001 ['t'] 00", GNT_PROTOCOL, GNT_OK, GNT_PROTOCOL, GNT_OK},
    {"90 | 0001 () 00", "90 | 0001 00", GNT_PROTOCOL, GNT_PROTOCOL, GNT_PROTOCOL, GNT_PROTOCOL},
    {"a2 | 0001 () ['t']", "a2 | 0001 ['t']", GNT_PROTOCOL, GNT_OK, GNT_PROTOCOL, GNT_OK},
    {"b0 | 0001 () 00", "b0 | 0001", GNT_PROTOCOL, GNT_PROTOCOL, GNT_PROTOCOL, GNT_PROTOCOL},
    {"c0 |", "c0 |", GNT_PROTOCOL, GNT_MORE, GNT_PROTOCOL, GNT_MORE}, /* answered by itself */
    {"d0 |", "d0 |", GNT_PROTOCOL, GNT_PROTOCOL, GNT_PROTOCOL, GNT_PROTOCOL},
    {"e0 |", "e0 |", GNT_PROTOCOL, GNT_OK, GNT_PROTOCOL, GNT_OK},
    {"f0 | 18 (15 ['x'])", "f0 |", GNT_PROTOCOL, GNT_PROTOCOL, GNT_PROTOCOL, GNT_MALFORMED},
};

static gnt_err feed_any(struct engine *e, const char *notation)
{
    struct gnt_slice bytes = gnt_test_bytes(notation), in = bytes;
    gnt_err err = gnt_mqtt_server_next(&e->s, &in, e->now, &e->packet, NULL);
    assert_true(err != GNT_MORE || in.size == 0);
    gnt_test_free(bytes);
    return err;
}

static void every_packet_in_every_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        struct engine e;
        engine_init(&e, NULL);
        assert_int_equal(feed_any(&e, order[i].bytes5), order[i].first5);
        engine_fini(&e);
        engine_init(&e, NULL);
        assert_int_equal(feed_any(&e, order[i].bytes4), order[i].first4);
        engine_fini(&e);
        engine_open(&e, NULL, CONNECT5(""));
        assert_int_equal(feed_any(&e, order[i].bytes5), order[i].open5);
        engine_fini(&e);
        engine_open(&e, NULL, CONNECT4);
        assert_int_equal(feed_any(&e, order[i].bytes4), order[i].open4);
        assert_true(e.out.size == 0 || order[i].open4 == GNT_MORE);
        engine_fini(&e);
    }
}

/* A first packet of another type is not waited for. */
static void another_protocol_is_seen_at_its_first_byte(void **state)
{
    (void)state;
    struct engine e;
    engine_init(&e, NULL);
    struct gnt_slice in = LITERAL("G");
    assert_int_equal(gnt_mqtt_server_next(&e.s, &in, e.now, &e.packet, NULL), GNT_PROTOCOL);
    gnt_mqtt_server_refuse(&e.s, e.s.reason, "x");
    expect_out(&e, "");
    assert_int_equal(e.s.state, GNT_MQTT_ENDED);
    assert_int_equal(gnt_mqtt_server_deadline(&e.s), GNT_NEVER);
    engine_fini(&e);
}

/* ---- Cut at every byte */

static const char *const stream[] = {
    CONNECT5("21 0005"),
    "82 | 0001 (0b 05) ['a/+'] 02 ['b'] 01",
    "30 | ['a/b'] (23 0001) 'x'",
    "34 | [] 0002 (23 0001 26 ['k'] ['v']) 'y'",
    "62 | 0002",
    "c0 |",
    "40 | 0001 10",
    "a2 | 0003 () ['a/+']",
    "e0 | 04",
};

/* Feeds SIZE bytes of ALL from FROM on; tells what was acted on. */
static void run_some(struct engine *e, struct gnt_slice all, size_t *from, size_t size, FILE *log)
{
    struct gnt_slice exact = gnt_test_copy(gnt_slice_skip(all, *from), size - *from), in = exact;
    size_t need = SIZE_MAX;
    gnt_err err;
    while (!(err = gnt_mqtt_server_next(&e->s, &in, e->now, &e->packet, &need))) {
        char *line = gnt_test_tell(&e->packet, GNT_MQTT_5);
        fprintf(log, "%s\n", line);
        free(line);
        if (e->packet.type == GNT_MQTT_CONNECT)
            assert_int_equal(accept_it(e, 0), GNT_OK);
    }
    assert_int_equal(err, GNT_MORE);
    assert_true(need == 0 || need > in.size);
    *from = size - in.size;
    gnt_test_free(exact);
}

static char *run_cut(size_t first, size_t second)
{
    struct engine e;
    char *text = NULL;
    size_t text_size, from = 0;
    uint8_t bytes[512] = {0};
    struct gnt_slice all = gnt_slice(bytes, 0);
    for (size_t i = 0; i < COUNT_OF(stream); i++) {
        struct gnt_slice one = gnt_test_bytes(stream[i]);
        memcpy(bytes + all.size, one.data, one.size);
        all.size += one.size;
        gnt_test_free(one);
    }
    engine_init(&e, NULL);
    FILE *log = open_memstream(&text, &text_size);
    assert_non_null(log);
    if (first < all.size)
        run_some(&e, all, &from, first, log);
    if (second < all.size)
        run_some(&e, all, &from, second, log);
    run_some(&e, all, &from, all.size, log);
    fprintf(log, "%zu out, %u in, %u of them published", e.out.size,
            (unsigned)gnt_counted(&e.counters, GNT_COUNT_PACKETS_RECEIVED),
            (unsigned)gnt_counted(&e.counters, GNT_COUNT_PUBLISH_RECEIVED));
    fclose(log);
    engine_fini(&e);
    return text;
}

static void cuts_make_no_difference(void **state)
{
    (void)state;
    char *whole = run_cut(0, 0);
    assert_non_null(strstr(whole, "PUBLISH qos=2 id=2 topic='a/b'"));
    assert_non_null(strstr(whole, "9 in, 2 of them published"));
    for (size_t cut = 1; cut < 120; cut++) {
        char *cut_once = run_cut(cut, cut + 1);
        assert_string_equal(cut_once, whole);
        free(cut_once);
    }
    free(whole);
}

/* ---- Looking ahead */

static void topics_are_seen_ahead(void **state)
{
    (void)state;
    static const struct {
        const char *packet, *topic; /* NULL: not one to be looked up */
    } rows[] = {
        {"30 | ['a'] () 'x'", "a"},
        {"c0 |", NULL},
        {"30 | [] (23 0001) 'x'", NULL},
        {"34 | ['a/b'] 0002 () 'y'", "a/b"},
        {"40 | 0001", NULL},
        {"30 | [ff] () 'x'", NULL},
        {"30 | ['c'] (26 ['k']) ", NULL},
        {"82 | 0001 () ['a/+'] 02", NULL},
        {"31 | ['d'] ()", "d"},
    };
    struct engine e;
    uint8_t bytes[256];
    size_t size = 0, ends[COUNT_OF(rows)];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice one = gnt_test_bytes(rows[i].packet);
        memcpy(bytes + size, one.data, one.size);
        ends[i] = size += one.size;
        gnt_test_free(one);
    }
    engine_open(&e, NULL, CONNECT5(""));
    struct gnt_mqtt_server before = e.s;
    for (size_t cut = 0; cut <= size; cut++) {
        struct gnt_slice topics[8], in = gnt_test_copy(gnt_slice(bytes, cut), cut);
        size_t left, end = 0;
        unsigned count = gnt_mqtt_server_ahead(&e.s, in, topics, 8, &left), expected = 0;
        for (size_t i = 0; i < COUNT_OF(rows) && ends[i] <= cut; i++) {
            end = ends[i];
            if (rows[i].topic)
                assert_true(gnt_slice_eq_str(topics[expected++], rows[i].topic));
        }
        assert_int_equal(count, expected);
        assert_int_equal(left, cut - end);
        gnt_test_free(in);
    }
    assert_memory_equal(&before, &e.s, sizeof before); /* nothing has come of it */
    struct gnt_slice one[1];
    size_t left;
    assert_int_equal(gnt_mqtt_server_ahead(&e.s, gnt_slice(bytes, size), one, 1, &left), 1);
    assert_int_equal(left, size - ends[0]);
    engine_fini(&e);
}

static void nothing_is_seen_before_it_is_open(void **state)
{
    (void)state;
    struct engine e;
    engine_init(&e, NULL);
    struct gnt_slice in = gnt_test_bytes("30 | ['a'] 'x'"), topics[1];
    size_t left;
    assert_int_equal(gnt_mqtt_server_ahead(&e.s, in, topics, 1, &left), 0);
    assert_int_equal(left, in.size);
    gnt_test_free(in);
    engine_fini(&e);
}

/* ---- CONNACK */

static void connack_of_each_version(void **state)
{
    (void)state;
    static const struct {
        const char *connect, *connack;
        bool present;
    } rows[] = {
        {CONNECT3, "20 | 00 00", true}, /* 3.1 has no such flag */
        {CONNECT4, "20 | 01 00", true},
        {CONNECT4, "20 | 00 00", false},
        {CONNECT5(""), "20 | 01 00 (22 0002)", true},
        {CONNECT5("11 00000007"), "20 | 00 00 (11 00000000 22 0002)", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct engine e;
        struct gnt_mqtt_server_options options = usual;
        options.packet_max = GNT_MQTT_REMAINING_MAX;
        engine_init(&e, &options);
        assert_int_equal(feed(&e, rows[i].connect), GNT_OK);
        const struct gnt_mqtt_welcome w = {.session_present = rows[i].present};
        assert_int_equal(gnt_mqtt_server_accept(&e.s, &e.packet, &w, e.now), GNT_OK);
        expect_out(&e, rows[i].connack);
        engine_fini(&e);
    }
}

static void connack_with_everything(void **state)
{
    (void)state;
    struct engine e;
    struct gnt_mqtt_server_options options = usual;
    options.receive_max = 7;
    options.keep_alive_max_s = 5;
    engine_init(&e, &options);
    assert_int_equal(feed(&e, CONNECT5("11 ffffffff")), GNT_OK);
    const struct gnt_mqtt_welcome w = {.assigned_id = LITERAL("id"),
                                       .response_info = LITERAL("r"),
                                       .session_expiry_s = 9};
    assert_int_equal(gnt_mqtt_server_accept(&e.s, &e.packet, &w, e.now), GNT_OK);
    expect_out(&e,
               "20 | 00 00 (11 00000009 21 0007 27 00100000 22 0002 12 ['id'] 1a ['r'] 13 0005)");
    assert_int_equal(gnt_mqtt_server_deadline(&e.s), e.now + 7500 * GNT_NS_PER_MS);
    engine_fini(&e);
}

/* ---- What the server does without */

enum {
    WITHOUT_ALL = GNT_MQTT_WITHOUT_RETAIN | GNT_MQTT_WITHOUT_WILDCARDS |
                  GNT_MQTT_WITHOUT_SUBSCRIPTION_IDS | GNT_MQTT_WITHOUT_SHARED
};

/* MQTT 5 clients are told what is missing, and only that [MQTT5 3.2.2.3]. */
static void connack_tells_what_is_missing(void **state)
{
    (void)state;
    static const struct {
        uint8_t qos_max, without;
        const char *connect, *connack;
    } rows[] = {
        {2, 0, CONNECT5(""), "20 | 00 00 (27 00100000 22 0002)"},
        {1, 0, CONNECT5(""), "20 | 00 00 (27 00100000 22 0002 24 01)"},
        {0, 0, CONNECT5(""), "20 | 00 00 (27 00100000 22 0002 24 00)"},
        {2, GNT_MQTT_WITHOUT_RETAIN, CONNECT5(""), "20 | 00 00 (27 00100000 22 0002 25 00)"},
        {2, GNT_MQTT_WITHOUT_WILDCARDS, CONNECT5(""), "20 | 00 00 (27 00100000 22 0002 28 00)"},
        {2, GNT_MQTT_WITHOUT_SUBSCRIPTION_IDS, CONNECT5(""),
         "20 | 00 00 (27 00100000 22 0002 29 00)"},
        {2, GNT_MQTT_WITHOUT_SHARED, CONNECT5(""), "20 | 00 00 (27 00100000 22 0002 2a 00)"},
        {0, WITHOUT_ALL, CONNECT5(""),
         "20 | 00 00 (27 00100000 22 0002 24 00 25 00 28 00 29 00 2a 00)"},
        {0, WITHOUT_ALL, CONNECT4, "20 | 00 00"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct engine e;
        struct gnt_mqtt_server_options options = usual;
        options.qos_max = rows[i].qos_max;
        options.without = rows[i].without;
        engine_init(&e, &options);
        assert_int_equal(feed(&e, rows[i].connect), GNT_OK);
        assert_int_equal(accept_it(&e, 0), GNT_OK);
        expect_out(&e, rows[i].connack);
        engine_fini(&e);
    }
}

/* What a client does all the same, and what it is told: in 3.x nothing. */
static void what_is_missing_is_not_taken(void **state)
{
    (void)state;
    static const struct {
        uint8_t qos_max, without, reason; /* 0: it is taken */
        bool will;
        const char *bytes5, *bytes4; /* "": there is no such thing in 3.x */
    } rows[] = {
        {1, 0, 0x9b, false, "34 | ['t'] 0001 () 'x'", "34 | ['t'] 0001 'x'"},
        {1, 0, 0, false, "32 | ['t'] 0001 () 'x'", "32 | ['t'] 0001 'x'"},
        {0, 0, 0x9b, false, "32 | ['t'] 0001 () 'x'", "32 | ['t'] 0001 'x'"},
        {0, 0, 0, false, "31 | ['t'] () 'x'", "31 | ['t'] 'x'"},
        {2, GNT_MQTT_WITHOUT_RETAIN, 0x9a, false, "31 | ['t'] () 'x'", "31 | ['t'] 'x'"},
        {2, GNT_MQTT_WITHOUT_RETAIN, 0x9a, false, "31 | ['t'] ()", "31 | ['t']"},
        {2, GNT_MQTT_WITHOUT_RETAIN, 0, false, "34 | ['t'] 0001 () 'x'", "34 | ['t'] 0001 'x'"},
        {2, WITHOUT_ALL, 0xa1, false, "82 | 0001 (0b 01) ['t'] 00", ""},
        {0, WITHOUT_ALL, 0, false, "82 | 0001 () ['$share/g/#'] 02", "82 | 0001 ['+'] 02"},
        {1, 0, 0x9b, true, "10 | ['MQTT'] 05 16 0000 () ['c'] () ['w'] ['x']",
         "10 | ['MQTT'] 04 16 0000 ['c'] ['w'] ['x']"},
        {1, 0, 0, true, "10 | ['MQTT'] 05 0e 0000 () ['c'] () ['w'] ['x']",
         "10 | ['MQTT'] 04 0e 0000 ['c'] ['w'] ['x']"},
        {2, GNT_MQTT_WITHOUT_RETAIN, 0x9a, true, "10 | ['MQTT'] 05 26 0000 () ['c'] () ['w'] ['x']",
         "10 | ['MQTT'] 04 26 0000 ['c'] ['w'] ['x']"},
    };
    for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
        bool v5 = i % 2 == 0;
        const char *bytes = v5 ? rows[i / 2].bytes5 : rows[i / 2].bytes4;
        uint8_t reason = rows[i / 2].reason;
        struct engine e;
        struct gnt_mqtt_server_options options = usual;
        options.qos_max = rows[i / 2].qos_max;
        options.without = rows[i / 2].without;
        if (!*bytes)
            continue;
        if (rows[i / 2].will)
            engine_init(&e, &options);
        else
            engine_open(&e, &options, v5 ? CONNECT5("") : CONNECT4);
        assert_int_equal(feed(&e, bytes), reason ? GNT_PROTOCOL : GNT_OK);
        if (reason) {
            char told[32];
            assert_int_equal(e.s.reason, reason);
            if (rows[i / 2].will)
                gnt_mqtt_server_refuse(&e.s, e.s.reason, NULL);
            else
                gnt_mqtt_server_disconnect(&e.s, e.s.reason, NULL);
            snprintf(told, sizeof told, rows[i / 2].will ? "20 | 00 %02x ()" : "e0 | %02x", reason);
            expect_out(&e, v5 ? told : "");
        }
        engine_fini(&e);
    }
}

static void objections(void **state)
{
    (void)state;
    static const struct {
        uint8_t without, reason;
        const char *filter;
    } rows[] = {
        {0, 0, "$share/g/#"},
        {GNT_MQTT_WITHOUT_SHARED, 0x9e, "$share/g/t"},
        {GNT_MQTT_WITHOUT_SHARED, 0, "$share"},
        {GNT_MQTT_WITHOUT_SHARED, 0, "a/$share/#"},
        {GNT_MQTT_WITHOUT_WILDCARDS, 0xa2, "a/+/b"},
        {GNT_MQTT_WITHOUT_WILDCARDS, 0xa2, "#"},
        {GNT_MQTT_WITHOUT_WILDCARDS, 0xa2, "$share/g/a/#"},
        {GNT_MQTT_WITHOUT_WILDCARDS, 0, "$share/g/a"},
        {WITHOUT_ALL, 0x9e, "$share/g/#"},
        {WITHOUT_ALL, 0, "a/b"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct engine e;
        struct gnt_mqtt_server_options options = usual;
        options.without = rows[i].without;
        engine_init(&e, &options);
        assert_int_equal(gnt_mqtt_server_objection(&e.s, gnt_slice_str(rows[i].filter)),
                         rows[i].reason);
        engine_fini(&e);
    }
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *connect, *connack;
        uint8_t reason;
    } rows[] = {
        {CONNECT3, "20 | 00 02", GNT_REASON_CLIENT_ID_NOT_VALID},
        {CONNECT4, "20 | 00 05", GNT_REASON_NOT_AUTHORIZED},
        {CONNECT4, "20 | 00 03", GNT_REASON_SERVER_BUSY},
        {CONNECT5(""), "20 | 00 89 (1f ['why'])", GNT_REASON_SERVER_BUSY},
        {CONNECT5("17 00"), "20 | 00 89 ()", GNT_REASON_SERVER_BUSY},
        {CONNECT5("27 0000000a"), "20 | 00 89 ()", GNT_REASON_SERVER_BUSY},
        {CONNECT5("27 00000004"), "", GNT_REASON_SERVER_BUSY},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct engine e;
        engine_init(&e, NULL);
        assert_int_equal(feed(&e, rows[i].connect), GNT_OK);
        gnt_mqtt_server_refuse(&e.s, rows[i].reason, "why");
        assert_int_equal(e.s.state, GNT_MQTT_ENDED);
        expect_out(&e, rows[i].connack);
        engine_fini(&e);
    }
}

/* A CONNECT that has failed can still be answered, if it could be read. */
static void connects_that_fail(void **state)
{
    (void)state;
    static const struct {
        const char *connect, *connack;
        gnt_err err;
        uint8_t reason;
    } rows[] = {
        {"10 | ['MQTT'] 06 02 003c ['a']", "20 | 00 01", GNT_UNSUPPORTED, 0x84},
        {"10 | ['XYZ'] 04 02 003c ['a']", "", GNT_PROTOCOL, 0x82},
        {"10 | ['MQTT'] 04 06 003c ['a'] ['+'] ['x']", "", GNT_PROTOCOL, 0x90},
        {"10 | ['MQTT'] 05 06 003c () ['a'] () ['1/2/3/4/5'] ['x']", "20 | 00 90 ()", GNT_PROTOCOL,
         0x90},
        {"10 | ['MQTT'] 05 06 003c () ['a'] (08 []) ['w'] ['x']", "20 | 00 82 ()", GNT_PROTOCOL,
         0x82},
        {"10 | ['MQTT'] 05 02 003c (21 0000) ['a']", "", GNT_PROTOCOL, 0x82},
        {"11 | ['MQTT'] 04 02 003c ['a']", "", GNT_MALFORMED, 0x81},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct engine e;
        engine_init(&e, NULL);
        assert_int_equal(feed(&e, rows[i].connect), rows[i].err);
        assert_int_equal(e.s.reason, rows[i].reason);
        gnt_mqtt_server_refuse(&e.s, e.s.reason, NULL);
        expect_out(&e, rows[i].connack);
        engine_fini(&e);
    }
}

static void a_connect_is_given_again_after_a_move(void **state)
{
    (void)state;
    struct engine e;
    struct gnt_counters elsewhere = {0};
    engine_init(&e, NULL);
    assert_int_equal(feed(&e, CONNECT5("22 0001")), GNT_OK);
    gnt_mqtt_server_rewind(&e.s);
    e.options.counters = &elsewhere;
    gnt_mqtt_server_settle(&e.s, &e.options);
    assert_int_equal(gnt_counted(&e.counters, GNT_COUNT_PACKETS_RECEIVED), 0);
    assert_int_equal(gnt_mqtt_server_deadline(&e.s), (START_S + 5) * GNT_NS_PER_S);
    assert_int_equal(feed(&e, CONNECT5("22 0001")), GNT_OK);
    assert_int_equal(accept_it(&e, 0), GNT_OK);
    assert_int_equal(gnt_counted(&elsewhere, GNT_COUNT_PACKETS_RECEIVED), 1);
    assert_int_equal(gnt_counted(&elsewhere, GNT_COUNT_PACKETS_SENT), 1);
    engine_fini(&e);
}

/* Topics and properties up to their limits, and one byte more. */
static void topics_and_properties_over_the_limit(void **state)
{
    (void)state;
    static const struct {
        const char *packet;
        gnt_err err;
        uint8_t reason;
    } rows[] = {
        {"30 | ['a/34'] () 'x'", GNT_OK, 0},
        {"30 | ['a/345'] () 'x'", GNT_PROTOCOL, 0x90},
        {"30 | ['a'] (26 ['k'] ['1']) 'x'", GNT_OK, 0},
        {"30 | ['a'] (26 ['k'] ['12']) 'x'", GNT_TOOBIG, 0x97},
        {"82 | 0001 (26 ['k'] ['12']) ['a'] 00", GNT_TOOBIG, 0x97},
        {"a2 | 0001 (26 ['k'] ['12']) ['a']", GNT_TOOBIG, 0x97},
        {"40 | 0001 00 (26 ['k'] ['12'])", GNT_TOOBIG, 0x97},
        {"e0 | 00 (26 ['k'] ['12'])", GNT_TOOBIG, 0x97},
    };
    static const char *const connects[] = {
        "10 | ['MQTT'] 05 02 0000 (26 ['k'] ['12']) ['c']",
        "10 | ['MQTT'] 05 06 0000 () ['c'] (26 ['k'] ['12']) ['w'] ['x']",
    };
    struct gnt_mqtt_server_options options = usual;
    options.packet_max = GNT_MQTT_REMAINING_MAX;
    options.topic_max = 4;
    options.props_max = 7;
    struct engine e;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        engine_open(&e, &options, CONNECT5(""));
        assert_int_equal(feed(&e, rows[i].packet), rows[i].err);
        assert_int_equal(e.s.reason, rows[i].reason);
        engine_fini(&e);
    }
    for (size_t i = 0; i < COUNT_OF(connects); i++) {
        engine_init(&e, &options);
        assert_int_equal(feed(&e, connects[i]), GNT_TOOBIG);
        gnt_mqtt_server_refuse(&e.s, e.s.reason, NULL);
        expect_out(&e, "20 | 00 97 ()");
        engine_fini(&e);
    }
    engine_open(&e, &options, CONNECT4);
    assert_int_equal(gnt_mqtt_server_objection(&e.s, gnt_slice_str("a/34")), 0);
    assert_int_equal(gnt_mqtt_server_objection(&e.s, gnt_slice_str("a/345")), 0x8f);
    engine_fini(&e);
}

/* ---- DISCONNECT */

static void disconnects(void **state)
{
    (void)state;
    static const struct {
        const char *connect, *disconnect;
    } rows[] = {
        {CONNECT3, ""},
        {CONNECT4, ""},
        {CONNECT5(""), "e0 | 8b (1f ['why'])"},
        {CONNECT5("17 00"), "e0 | 8b"},
        {CONNECT5("27 00000009"), "e0 | 8b"}, /* CONNACK has 8 bytes */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct engine e;
        struct gnt_mqtt_server_options options = usual;
        options.packet_max = GNT_MQTT_REMAINING_MAX;
        engine_open(&e, &options, rows[i].connect);
        gnt_mqtt_server_disconnect(&e.s, GNT_REASON_SERVER_SHUTTING_DOWN, "why");
        expect_out(&e, rows[i].disconnect);
        gnt_mqtt_server_disconnect(&e.s, GNT_REASON_SERVER_SHUTTING_DOWN, "why");
        expect_out(&e, "");
        assert_int_equal(e.s.state, GNT_MQTT_ENDED);
        engine_fini(&e);
    }
}

/* [MQTT5 4.11]: with the reference, unless the client takes no packet of that size. */
static void references(void **state)
{
    (void)state;
    static const struct {
        const char *connect, *connack, *disconnect;
    } rows[] = {
        {CONNECT3, "20 | 00 03", ""},
        {CONNECT4, "20 | 00 03", ""},
        {CONNECT5(""), "20 | 00 9c (1c ['b:1'])", "e0 | 9c (1c ['b:1'])"},
        {CONNECT5("17 00"), "20 | 00 9c (1c ['b:1'])", "e0 | 9c (1c ['b:1'])"},
        {CONNECT5("27 0000000a"), "20 | 00 9c ()", "e0 | 9c (1c ['b:1'])"},
        {CONNECT5("27 00000009"), "20 | 00 9c ()", "e0 | 9c"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct engine e;
        struct gnt_mqtt_server_options options = usual;
        options.packet_max = GNT_MQTT_REMAINING_MAX;
        engine_init(&e, &options);
        assert_int_equal(feed(&e, rows[i].connect), GNT_OK);
        gnt_mqtt_server_refer(&e.s, GNT_REASON_USE_ANOTHER_SERVER, "b:1");
        expect_out(&e, rows[i].connack);
        assert_int_equal(e.s.state, GNT_MQTT_ENDED);
        engine_fini(&e);
        engine_open(&e, &options, rows[i].connect);
        gnt_mqtt_server_refer(&e.s, GNT_REASON_USE_ANOTHER_SERVER, "b:1");
        expect_out(&e, rows[i].disconnect);
        assert_int_equal(e.s.state, GNT_MQTT_ENDED);
        engine_fini(&e);
    }
}

/* ---- Time */

static void deadlines(void **state)
{
    (void)state;
    struct engine e;
    engine_init(&e, NULL);
    assert_int_equal(gnt_mqtt_server_deadline(&e.s), (START_S + 5) * GNT_NS_PER_S);
    e.now += GNT_NS_PER_S;
    assert_int_equal(feed(&e, CONNECT4), GNT_OK);
    assert_int_equal(gnt_mqtt_server_deadline(&e.s), (START_S + 5) * GNT_NS_PER_S);
    assert_int_equal(accept_it(&e, 0), GNT_OK);
    assert_int_equal(gnt_mqtt_server_deadline(&e.s), (START_S + 16) * GNT_NS_PER_S);
    e.now += GNT_NS_PER_S;
    assert_int_equal(feed_any(&e, "c000"), GNT_MORE);
    assert_int_equal(gnt_mqtt_server_deadline(&e.s), (START_S + 17) * GNT_NS_PER_S);
    e.now += GNT_NS_PER_S;
    struct gnt_slice part = LITERAL("\xc0");
    assert_int_equal(gnt_mqtt_server_next(&e.s, &part, e.now, &e.packet, NULL), GNT_MORE);
    assert_int_equal(gnt_mqtt_server_deadline(&e.s), (START_S + 17) * GNT_NS_PER_S);
    gnt_mqtt_server_lives(&e.s, e.now);
    assert_int_equal(gnt_mqtt_server_deadline(&e.s), (START_S + 18) * GNT_NS_PER_S);
    engine_fini(&e);

    engine_open(&e, NULL, "10 | ['MQTT'] 04 02 0000 ['c']");
    assert_int_equal(gnt_mqtt_server_deadline(&e.s), GNT_NEVER);
    engine_fini(&e);
    engine_open(&e, NULL, "10 | ['MQTT'] 04 02 ffff ['c']");
    assert_int_equal(gnt_mqtt_server_deadline(&e.s),
                     START_S * GNT_NS_PER_S + 65535 * GNT_NS_PER_S * 3 / 2);
    engine_fini(&e);
}

/* ---- Limits */

static void packets_over_the_limit(void **state)
{
    (void)state;
    struct engine e;
    struct gnt_mqtt_server_options options = usual;
    options.packet_max = 20;
    size_t need;
    engine_open(&e, &options, CONNECT4);
    assert_int_equal(feed(&e, "30 | ['t'] '012345678901234'"), GNT_OK); /* 20 */
    struct gnt_slice in = LITERAL("\x30\x13");
    assert_int_equal(gnt_mqtt_server_next(&e.s, &in, e.now, &e.packet, &need), GNT_TOOBIG);
    assert_int_equal(e.s.reason, GNT_REASON_PACKET_TOO_LARGE);
    engine_fini(&e);

    options.packet_max = GNT_MQTT_REMAINING_MAX; /* as large as MQTT allows */
    engine_open(&e, &options, CONNECT4);
    in = LITERAL("\x30\xff\xff\xff\x7f");
    assert_int_equal(gnt_mqtt_server_next(&e.s, &in, e.now, &e.packet, &need), GNT_MORE);
    assert_int_equal(need, GNT_MQTT_REMAINING_MAX + 5);
    engine_fini(&e);

    engine_init(&e, &options); /* but not before anything is known of the client */
    in = LITERAL("\x10\xfc\xff\x3f");
    assert_int_equal(gnt_mqtt_server_next(&e.s, &in, e.now, &e.packet, &need), GNT_MORE);
    in = LITERAL("\x10\xfd\xff\x3f");
    assert_int_equal(gnt_mqtt_server_next(&e.s, &in, e.now, &e.packet, &need), GNT_TOOBIG);
    engine_fini(&e);
}

static void answers_the_client_does_not_take(void **state)
{
    (void)state;
    struct engine e;
    struct gnt_mqtt_server_options options = usual;
    options.packet_max = GNT_MQTT_REMAINING_MAX;
    uint8_t codes[] = {0, 1, 2, 0x80};
    engine_open(&e, &options, CONNECT5("27 00000008"));
    assert_int_equal(gnt_mqtt_server_ack(&e.s, GNT_MQTT_PUBACK, 1, 0x10), GNT_OK);
    assert_int_equal(gnt_mqtt_server_codes(&e.s, GNT_MQTT_SUBACK, 1, codes, 3), GNT_OK);
    expect_out(&e, "40 03 0001 10 90 | 0001 () 00 01 02");
    assert_int_equal(gnt_mqtt_server_codes(&e.s, GNT_MQTT_SUBACK, 1, codes, 4), GNT_TOOBIG);
    expect_out(&e, "");
    engine_fini(&e);

    engine_init(&e, NULL);
    assert_int_equal(feed(&e, CONNECT5("27 00000004")), GNT_OK);
    assert_int_equal(accept_it(&e, 0), GNT_TOOBIG);
    assert_int_equal(e.s.state, GNT_MQTT_DECIDES);
    expect_out(&e, "");
    engine_fini(&e);
}

static void codes_of_old_versions(void **state)
{
    (void)state;
    struct engine e;
    uint8_t codes[] = {0, 1, 2, 0x97};
    engine_open(&e, NULL, CONNECT4);
    assert_int_equal(gnt_mqtt_server_codes(&e.s, GNT_MQTT_SUBACK, 7, codes, 4), GNT_OK);
    expect_out(&e, "90 | 0007 00 01 02 80");
    assert_int_equal(gnt_mqtt_server_codes(&e.s, GNT_MQTT_UNSUBACK, 8, codes, 4), GNT_OK);
    expect_out(&e, "b0 | 0008");
    assert_int_equal(gnt_mqtt_server_ack(&e.s, GNT_MQTT_PUBREC, 9, 0x10), GNT_OK);
    expect_out(&e, "50 | 0009");
    engine_fini(&e);
}

/* ---- Topic aliases from the client */

static void aliases_in(void **state)
{
    (void)state;
    struct engine e;
    engine_open(&e, NULL, CONNECT5(""));
    assert_int_equal(feed(&e, "30 | ['one'] (23 0001) 'x'"), GNT_OK);
    assert_int_equal(feed(&e, "30 | ['two'] (23 0002) 'x'"), GNT_OK);
    assert_int_equal(feed(&e, "30 | [] (23 0001) 'x'"), GNT_OK);
    assert_slice(e.packet.publish.topic, "one");
    assert_int_equal(feed(&e, "30 | ['other'] (23 0001) 'x'"), GNT_OK); /* replaced */
    assert_int_equal(feed(&e, "30 | [] (23 0001) 'x'"), GNT_OK);
    assert_slice(e.packet.publish.topic, "other");
    assert_int_equal(feed(&e, "30 | ['bad/#'] (23 0002) 'x'"), GNT_PROTOCOL); /* learns nothing */
    assert_int_equal(feed(&e, "30 | [] (23 0002) 'x'"), GNT_OK);
    assert_slice(e.packet.publish.topic, "two");
    assert_int_equal(feed(&e, "30 | [] (23 0001 08 ['+']) 'x'"), GNT_PROTOCOL);
    assert_int_equal(e.s.reason, GNT_REASON_PROTOCOL_ERROR);
    engine_fini(&e);

    static const struct {
        const char *publish;
        uint8_t reason;
    } rows[] = {
        {"30 | ['t'] (23 0003) 'x'", GNT_REASON_TOPIC_ALIAS_INVALID},
        {"30 | [] (23 0003) 'x'", GNT_REASON_TOPIC_ALIAS_INVALID},
        {"30 | ['t'] (23 0000) 'x'", GNT_REASON_TOPIC_ALIAS_INVALID},
        {"30 | [] (23 0001) 'x'", GNT_REASON_PROTOCOL_ERROR},
        {"30 | [] () 'x'", GNT_REASON_PROTOCOL_ERROR},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        engine_open(&e, NULL, CONNECT5(""));
        assert_int_equal(feed(&e, rows[i].publish), GNT_PROTOCOL);
        assert_int_equal(e.s.reason, rows[i].reason);
        engine_fini(&e);
    }
    struct gnt_mqtt_server_options none = usual;
    none.aliases_in = 0;
    engine_open(&e, &none, CONNECT5(""));
    assert_int_equal(feed(&e, "30 | ['t'] (23 0001) 'x'"), GNT_PROTOCOL);
    engine_fini(&e);
}

/* ---- PUBLISH to the client */

static struct gnt_message *message(const char *topic, const char *payload, uint64_t expires)
{
    const struct gnt_message_init init = {.topic = gnt_slice_str(topic),
                                          .payload = gnt_slice_str(payload),
                                          .expires = expires};
    struct gnt_message *m;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

static gnt_err publish(struct engine *e, const char *topic, const char *payload)
{
    struct gnt_message *m = message(topic, payload, GNT_NEVER);
    const struct gnt_delivery d = {.message = m};
    gnt_err err = gnt_mqtt_server_publish(&e->s, &d, e->now);
    gnt_message_unref(&m);
    return err;
}

static void deliveries(void **state)
{
    (void)state;
    struct engine e;
    uint32_t ids[] = {1, 200, 3};
    struct gnt_message *m = message("t", "x", (START_S + 7) * GNT_NS_PER_S + 1);
    struct gnt_delivery d = {.message = m, .qos = 1, .id = 5, .dup = true, .retain = true};
    engine_open(&e, NULL, CONNECT5(""));
    assert_int_equal(gnt_mqtt_server_publish(&e.s, &d, e.now), GNT_OK);
    expect_out(&e, "3b | ['t'] 0005 (02 00000008) 'x'");
    d.ids = (struct gnt_sub_ids){.count = 3, .many = ids};
    assert_int_equal(gnt_mqtt_server_publish(&e.s, &d, e.now + 7 * GNT_NS_PER_S), GNT_OK);
    expect_out(&e, "3b | ['t'] 0005 (02 00000001 0b 01 0b c801 0b 03) 'x'");
    engine_fini(&e);
    engine_open(&e, NULL, CONNECT4);
    assert_int_equal(gnt_mqtt_server_publish(&e.s, &d, e.now), GNT_OK);
    expect_out(&e, "3b | ['t'] 0005 'x'");
    assert_int_equal(gnt_counted(&e.counters, GNT_COUNT_PUBLISH_SENT), 1);
    assert_int_equal(gnt_counted(&e.counters, GNT_COUNT_PUBLISH_BYTES_SENT), 1);
    engine_fini(&e);
    gnt_message_unref(&m);
}

/* A large payload is linked: the message stays until it has been written. */
static void large_payloads_are_lent(void **state)
{
    (void)state;
    static uint8_t bytes[100000];
    struct engine e;
    const struct gnt_message_init init = {.topic = LITERAL("t"),
                                          .payload = gnt_slice(bytes, sizeof bytes),
                                          .expires = GNT_NEVER};
    struct gnt_message *m;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    const struct gnt_delivery d = {.message = m};
    engine_open(&e, NULL, CONNECT4);
    assert_int_equal(gnt_mqtt_server_publish(&e.s, &d, e.now), GNT_OK);
    assert_int_equal(m->refs, 2);
    struct iovec iov[4];
    assert_int_equal(gnt_outq_iov(&e.out, iov, 4), 2);
    assert_ptr_equal(iov[1].iov_base, m->payload.data);
    drop_out(&e);
    assert_int_equal(m->refs, 1);
    assert_int_equal(gnt_mqtt_server_publish(&e.s, &d, e.now), GNT_OK);
    engine_fini(&e);
    assert_int_equal(m->refs, 1);
    gnt_message_unref(&m);
}

static void aliases_out(void **state)
{
    (void)state;
    enum { PATIENCE = 64 };
    struct engine e;
    engine_open(&e, NULL, CONNECT5("22 0001"));
    assert_int_equal(publish(&e, "short", "x"), GNT_OK); /* not worth it */
    expect_out(&e, "30 | ['short'] () 'x'");
    assert_int_equal(publish(&e, "topic/1", "x"), GNT_OK);
    expect_out(&e, "30 | ['topic/1'] (23 0001) 'x'");
    assert_int_equal(publish(&e, "topic/1", "x"), GNT_OK);
    expect_out(&e, "30 | [] (23 0001) 'x'");
    for (int i = 0; i < PATIENCE - 1; i++) {
        assert_int_equal(publish(&e, "topic/2", "x"), GNT_OK);
        expect_out(&e, "30 | ['topic/2'] () 'x'");
    }
    assert_int_equal(publish(&e, "topic/2", "x"), GNT_OK); /* nobody has used it for long */
    expect_out(&e, "30 | ['topic/2'] (23 0001) 'x'");
    assert_int_equal(publish(&e, "topic/1", "x"), GNT_OK);
    expect_out(&e, "30 | ['topic/1'] () 'x'");
    engine_fini(&e);

    engine_open(&e, NULL, CONNECT5("")); /* the client takes none */
    assert_int_equal(publish(&e, "topic/1", "x"), GNT_OK);
    expect_out(&e, "30 | ['topic/1'] () 'x'");
    engine_fini(&e);
}

/* An alias that makes a PUBLISH too large is left out, and not taken into use. */
static void aliases_and_the_maximum_packet_size(void **state)
{
    (void)state;
    struct engine e;
    struct gnt_mqtt_server_options options = usual;
    options.packet_max = GNT_MQTT_REMAINING_MAX;
    engine_open(&e, &options, CONNECT5("22 0001 27 00000010"));
    assert_int_equal(publish(&e, "topic1", "12345"), GNT_OK);
    expect_out(&e, "30 | ['topic1'] () '12345'");
    assert_int_equal(publish(&e, "topic1", "123456"), GNT_TOOBIG);
    expect_out(&e, "");
    assert_int_equal(publish(&e, "topic1", "12"), GNT_OK);
    expect_out(&e, "30 | ['topic1'] (23 0001) '12'");
    assert_int_equal(publish(&e, "topic1", "12345678"), GNT_OK);
    expect_out(&e, "30 | [] (23 0001) '12345678'");
    engine_fini(&e);
}

/* ---- Out of memory */

static bool live_a_life(struct engine *e)
{
    uint8_t codes[] = {0};
    struct gnt_slice in = e->bytes;
    if (gnt_mqtt_server_next(&e->s, &in, e->now, &e->packet, NULL))
        return false;
    gnt_err err = accept_it(e, 0);
    if (err) {
        assert_int_equal(err, GNT_NOMEM);
        assert_int_equal(e->out.size, 0);
        return false;
    }
    while (!(err = gnt_mqtt_server_next(&e->s, &in, e->now, &e->packet, NULL)))
        ;
    if (err != GNT_MORE) {
        assert_int_equal(err, GNT_NOMEM);
        gnt_mqtt_server_disconnect(&e->s, e->s.reason, "x");
        return false;
    }
    return !gnt_mqtt_server_ack(&e->s, GNT_MQTT_PUBREL, 1, 0) &&
           !gnt_mqtt_server_codes(&e->s, GNT_MQTT_SUBACK, 1, codes, 1);
}

static void without_memory(void **state)
{
    (void)state;
    static uint8_t payload[5000];
    uint32_t ids[] = {1, 2, 3};
    const struct gnt_message_init init = {.topic = LITERAL("topic/1"),
                                          .payload = gnt_slice(payload, sizeof payload),
                                          .expires = GNT_NEVER};
    struct gnt_message *m;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    const struct gnt_delivery d = {.message = m, .ids = {.count = 3, .many = ids}};
    bool done = false;
    for (long n = 0; !done; n++) {
        struct engine e;
        engine_init(&e, NULL);
        e.bytes =
            gnt_test_bytes("10 17 ['MQTT'] 05 02 000a (22 0002 21 0001) ['cccc'] 30 08 ['t'] (23 "
                           "0001) 'x' 30 07 [] (23 0001) 'y' c000");
        gnt_alloc_fail_at(n);
        done = live_a_life(&e);
        for (int i = 0; done && i < 2; i++) {
            size_t before = e.out.size;
            gnt_err err = gnt_mqtt_server_publish(&e.s, &d, e.now);
            assert_true(!err || (err == GNT_NOMEM && e.out.size == before));
            done = !err;
        }
        done = done && !gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        engine_fini(&e);
        assert_int_equal(m->refs, 1);
        assert_true(n < 100);
    }
    gnt_message_unref(&m);
}

/* ---- Enhanced authentication [MQTT5 4.12] */

#define AUTH(code, data) "f0 | " code " (15 ['M'] 16 ['" data "'])"

static gnt_err say(struct engine *e, uint8_t code, const char *data)
{
    return gnt_mqtt_server_auth(&e->s, code, gnt_slice_str("M"), gnt_slice_str(data));
}

/* As far as the server's first question. */
static void engine_ask(struct engine *e)
{
    engine_init(e, NULL);
    assert_int_equal(feed(e, CONNECT5("15 ['M'] 16 ['a'] 11 00000005")), GNT_OK);
    assert_int_equal(e->s.auth, GNT_MQTT_AUTH_OWNERS);
    assert_int_equal(say(e, 0x18, "b"), GNT_OK);
    assert_int_equal(e->s.state, GNT_MQTT_AUTHENTICATES);
    expect_out(e, AUTH("18", "b"));
}

static void authenticates_before_it_opens(void **state)
{
    (void)state;
    struct engine e;
    engine_ask(&e);
    struct gnt_slice connect = gnt_test_bytes(CONNECT5("15 ['M'] 16 ['a'] 11 00000005"));
    assert_int_equal(feed(&e, AUTH("18", "c")), GNT_OK);
    assert_int_equal(e.packet.type, GNT_MQTT_AUTH);
    assert_int_equal(say(&e, 0x18, ""), GNT_OK); /* once more, without data */
    expect_out(&e, "f0 | 18 (15 ['M'])");
    assert_int_equal(feed(&e, AUTH("18", "d")), GNT_OK);
    struct gnt_mqtt_packet again;
    gnt_mqtt_server_recall(&e.s, connect, &again);
    assert_slice(again.connect.client_id, "c");
    const struct gnt_mqtt_welcome w = {.session_expiry_s = 5,
                                       .auth_method = gnt_slice_str("M"),
                                       .auth_data = gnt_slice_str("e")};
    assert_int_equal(gnt_mqtt_server_accept(&e.s, &again, &w, e.now), GNT_OK);
    expect_out(&e, "20 | 00 00 (27 00100000 22 0002 15 ['M'] 16 ['e'])");
    assert_int_equal(e.s.auth, GNT_MQTT_AUTH_IDLE);
    gnt_test_free(connect);
    engine_fini(&e);
}

/* Between CONNECT and CONNACK [MQTT-3.1.2-30]; who breaks that is told why by CONNACK. */
static void nothing_but_auth_and_disconnect_before_connack(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        struct engine e;
        engine_ask(&e);
        gnt_err expected = strncmp(order[i].bytes5, "e0", 2) == 0 ? GNT_OK : GNT_PROTOCOL;
        if (strncmp(order[i].bytes5, "f0", 2) == 0)
            expected = GNT_OK;
        assert_int_equal(feed_any(&e, order[i].bytes5), expected);
        if (expected) {
            assert_int_equal(e.s.reason, GNT_REASON_PROTOCOL_ERROR);
            gnt_mqtt_server_refuse(&e.s, e.s.reason, NULL);
            expect_out(&e, "20 | 00 82 ()");
        }
        engine_fini(&e);
    }
}

static void before_connack_a_packet_is_known_by_its_first_byte(void **state)
{
    (void)state;
    struct engine e;
    engine_ask(&e);
    static const uint8_t publish[] = {0x30};
    struct gnt_slice in = gnt_slice(publish, 1);
    assert_int_equal(gnt_mqtt_server_next(&e.s, &in, e.now, &e.packet, NULL), GNT_PROTOCOL);
    engine_fini(&e);
    engine_ask(&e); /* and it is no larger than what a stranger may send */
    static const uint8_t large[] = {0xf0, 0xff, 0xff, 0x7f};
    in = gnt_slice(large, sizeof large);
    assert_int_equal(gnt_mqtt_server_next(&e.s, &in, e.now, &e.packet, NULL), GNT_TOOBIG);
    engine_fini(&e);
}

static void one_timeout_for_the_whole_exchange(void **state)
{
    (void)state;
    struct engine e;
    engine_ask(&e);
    e.now += 4 * GNT_NS_PER_S;
    assert_int_equal(feed(&e, AUTH("18", "c")), GNT_OK);
    assert_int_equal(say(&e, 0x18, "d"), GNT_OK);
    drop_out(&e);
    assert_int_equal(gnt_mqtt_server_deadline(&e.s), (START_S + 5) * GNT_NS_PER_S);
    engine_fini(&e);
}

/* What of AUTH may come when: each row is what is fed, one after the other, and how the last one
 * ends; the owner answers each but the last, by 0x18, or by 0 where the row says so. */
static const struct {
    const char *first, *second, *third;
    uint8_t answer; /* to the first */
    gnt_err last;
} turns[] = {
    {AUTH("19", "a"), NULL, NULL, 0, GNT_OK},
    {AUTH("18", "a"), NULL, NULL, 0, GNT_PROTOCOL},
    {AUTH("19", "a"), AUTH("18", "b"), NULL, 0x18, GNT_OK},
    {AUTH("19", "a"), AUTH("19", "b"), NULL, 0x18, GNT_PROTOCOL},
    {AUTH("19", "a"), AUTH("18", "b"), NULL, 0, GNT_PROTOCOL},
    {AUTH("19", "a"), AUTH("19", "b"), NULL, 0, GNT_OK},
    {AUTH("19", "a"), AUTH("18", "b"), AUTH("18", "c"), 0x18, GNT_OK},
    {AUTH("19", "a"), "30 | ['t'] () 'x'", AUTH("18", "c"), 0x18, GNT_OK},
};

static void authenticates_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(turns); i++) {
        struct engine e;
        engine_open(&e, NULL, CONNECT5("15 ['M']"));
        const char *const steps[] = {turns[i].first, turns[i].second, turns[i].third};
        gnt_err err = GNT_OK;
        for (size_t k = 0; k < 3 && steps[k]; k++) {
            assert_int_equal(err, GNT_OK);
            err = feed_any(&e, steps[k]);
            bool last = k == 2 || !steps[k + 1];
            if (!last && e.s.auth == GNT_MQTT_AUTH_OWNERS)
                assert_int_equal(say(&e, k == 0 ? turns[i].answer : 0x18, ""), GNT_OK);
        }
        if (err != turns[i].last)
            fail_msg("row %zu: %d", i, err);
        engine_fini(&e);
    }
}

/* [MQTT-4.12.0-7] */
static void no_auth_without_a_method(void **state)
{
    (void)state;
    struct engine e;
    engine_open(&e, NULL, CONNECT5(""));
    assert_int_equal(feed(&e, AUTH("19", "a")), GNT_PROTOCOL);
    assert_int_equal(e.s.reason, GNT_REASON_PROTOCOL_ERROR);
    engine_fini(&e);
}

static void an_auth_that_is_too_large_is_not_sent(void **state)
{
    (void)state;
    struct engine e;
    engine_init(&e, NULL);
    assert_int_equal(feed(&e, CONNECT5("15 ['M'] 27 0000000c")), GNT_OK);
    assert_int_equal(say(&e, 0x18, "too much"), GNT_TOOBIG);
    assert_int_equal(e.s.state, GNT_MQTT_DECIDES);
    assert_int_equal(say(&e, 0x18, "b"), GNT_OK);
    expect_out(&e, AUTH("18", "b"));
    for (long n = 0; n < 1; n++) {
        assert_int_equal(feed(&e, AUTH("18", "")), GNT_OK);
        gnt_alloc_fail_at(n);
        gnt_err err = say(&e, 0x18, "b");
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
    }
    engine_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_packet_in_every_state),
        cmocka_unit_test(another_protocol_is_seen_at_its_first_byte),
        cmocka_unit_test(cuts_make_no_difference),
        cmocka_unit_test(topics_are_seen_ahead),
        cmocka_unit_test(nothing_is_seen_before_it_is_open),
        cmocka_unit_test(connack_of_each_version),
        cmocka_unit_test(connack_with_everything),
        cmocka_unit_test(connack_tells_what_is_missing),
        cmocka_unit_test(what_is_missing_is_not_taken),
        cmocka_unit_test(objections),
        cmocka_unit_test(refusals),
        cmocka_unit_test(connects_that_fail),
        cmocka_unit_test(topics_and_properties_over_the_limit),
        cmocka_unit_test(a_connect_is_given_again_after_a_move),
        cmocka_unit_test(disconnects),
        cmocka_unit_test(references),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(packets_over_the_limit),
        cmocka_unit_test(answers_the_client_does_not_take),
        cmocka_unit_test(codes_of_old_versions),
        cmocka_unit_test(aliases_in),
        cmocka_unit_test(deliveries),
        cmocka_unit_test(large_payloads_are_lent),
        cmocka_unit_test(aliases_out),
        cmocka_unit_test(aliases_and_the_maximum_packet_size),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(authenticates_before_it_opens),
        cmocka_unit_test(nothing_but_auth_and_disconnect_before_connack),
        cmocka_unit_test(before_connack_a_packet_is_known_by_its_first_byte),
        cmocka_unit_test(one_timeout_for_the_whole_exchange),
        cmocka_unit_test(authenticates_again),
        cmocka_unit_test(no_auth_without_a_method),
        cmocka_unit_test(an_auth_that_is_too_large_is_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
