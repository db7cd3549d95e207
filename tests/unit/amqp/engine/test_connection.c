#include "support/amqp_pair.h"
#include "support/unit.h"

static const struct gnt_amqp_open nothing;

/* What SIDE has written is exactly that. */
static void expect_bytes(struct pair *p, int side, const char *bytes, size_t size)
{
    struct iovec iov;
    assert_int_equal(p->end[side].out.size, size);
    if (size == 0)
        return;
    assert_int_equal(gnt_outq_iov(&p->end[side].out, &iov, 1), 1);
    assert_int_equal(iov.iov_len, size);
    assert_memory_equal(iov.iov_base, bytes, size);
    gnt_outq_take(&p->end[side].out, size);
}

/* ---- Protocol headers */

static void wrong_headers_are_answered(void **state)
{
    (void)state;
    static const char amqp[] = "AMQP\0\1\0\0", sasl[] = "AMQP\3\1\0\0";
    static const struct {
        const char *sent;
        size_t size;
        int offer; /* 0: no SASL, 1: it may be used, 2: it has to be */
        const char *answer;
    } cases[] = {
        {"AMQP\0\0\1\0", 8, 0, amqp}, {"AMQP\1\1\0\0", 8, 0, amqp}, {"AMQP\0\1\0\1", 8, 0, amqp},
        {"GET / HT", 8, 0, amqp},     {"A\0", 2, 0, amqp},          {"\20\1", 2, 2, sasl},
        {"AMQP\0\1\0\0", 8, 2, sasl}, {"AMQP\3\1\0\0", 8, 0, amqp}, {"AMQP\3\1\0\1", 8, 2, sasl},
        {"AMQP\2\1\0\0", 8, 0, amqp}, {"AMQP\2\1\0\0", 8, 2, sasl},
    };
    static struct gnt_slice plain;
    plain = gnt_slice_str("PLAIN");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pair p;
        struct gnt_amqp_event e;
        pair_init(&p, NULL);
        if (cases[i].offer)
            gnt_amqp_connection_sasl_offer(&p.end[SERVER].c, &plain, 1, cases[i].offer == 2);
        pair_inject_bytes(&p, SERVER, gnt_slice(cases[i].sent, cases[i].size));
        assert_false(pair_next(&p, SERVER, &e));
        assert_int_equal(p.end[SERVER].err, GNT_UNSUPPORTED);
        expect_bytes(&p, SERVER, cases[i].answer, 8);
        assert_int_equal(p.end[SERVER].c.state, GNT_AMQP_ENDED);
        assert_false(pair_next(&p, SERVER, &e));
        assert_int_equal(p.end[SERVER].err, GNT_CLOSED);
        pair_fini(&p);
    }
}

static void a_client_meets_another_protocol(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    pair_init(&p, NULL);
    assert_int_equal(gnt_amqp_connection_open(&p.end[CLIENT].c, &nothing), GNT_OK);
    pair_inject_bytes(&p, CLIENT, gnt_slice_str("AMQP\3\1"));
    pair_inject_bytes(&p, CLIENT, gnt_slice("\0\0", 2));
    assert_false(pair_next(&p, CLIENT, &e));
    assert_int_equal(p.end[CLIENT].err, GNT_UNSUPPORTED);
    pair_fini(&p);
}

static void headers_come_in_parts(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    pair_init(&p, NULL);
    for (int i = 0; i < 8; i++) {
        assert_false(pair_next(&p, SERVER, &e));
        assert_int_equal(p.end[SERVER].err, GNT_MORE);
        expect_bytes(&p, SERVER, "", 0);
        pair_inject_bytes(&p, SERVER, gnt_slice(&"AMQP\0\1\0\0"[i], 1));
    }
    assert_false(pair_next(&p, SERVER, &e));
    expect_bytes(&p, SERVER, "AMQP\0\1\0\0", 8);
    pair_fini(&p);
}

static void tls_by_header(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, NULL);
    assert_int_equal(gnt_amqp_connection_tls(&p.end[SERVER].c), GNT_OK);
    assert_int_equal(gnt_amqp_connection_tls(&p.end[CLIENT].c), GNT_OK);
    assert_int_equal(gnt_amqp_connection_open(&p.end[CLIENT].c, &nothing), GNT_STATE);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_TLS, NULL);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_TLS, NULL);
    pair_expect_none(&p, SERVER);
    gnt_amqp_connection_secured(&p.end[SERVER].c);
    gnt_amqp_connection_secured(&p.end[CLIENT].c);
    pair_open(&p);
    pair_fini(&p);
}

static void tls_only_once(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    pair_init(&p, NULL);
    assert_int_equal(gnt_amqp_connection_tls(&p.end[SERVER].c), GNT_OK);
    pair_inject_bytes(&p, SERVER, gnt_slice("AMQP\2\1\0\0AMQP\2\1\0\0", 16));
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_TLS, NULL);
    gnt_amqp_connection_secured(&p.end[SERVER].c);
    assert_false(pair_next(&p, SERVER, &e));
    assert_int_equal(p.end[SERVER].err, GNT_UNSUPPORTED);
    pair_fini(&p);
}

/* ---- SASL */

static struct gnt_slice mechanisms[2];

static void offer(struct pair *p)
{
    mechanisms[0] = gnt_slice_str("SCRAM-SHA-256");
    mechanisms[1] = gnt_slice_str("PLAIN");
    pair_init(p, NULL);
    gnt_amqp_connection_sasl_offer(&p->end[SERVER].c, mechanisms, 2, true);
}

static void sasl_with_challenges(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    struct gnt_slice name;
    offer(&p);
    struct gnt_amqp_connection *c = &p.end[CLIENT].c, *s = &p.end[SERVER].c;
    assert_int_equal(gnt_amqp_connection_sasl_start(c), GNT_OK);
    assert_int_equal(gnt_amqp_connection_sasl_start(c), GNT_STATE);
    pair_expect_none(&p, SERVER);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_SASL_MECHANISMS, &e);
    struct gnt_amqp_items list =
        gnt_amqp_symbols(&e.performative.sasl_mechanisms.sasl_server_mechanisms);
    assert_true(gnt_amqp_next_symbol(&list, &name));
    assert_slice(name, "SCRAM-SHA-256");
    assert_true(gnt_amqp_next_symbol(&list, &name));
    assert_slice(name, "PLAIN");
    assert_false(gnt_amqp_next_symbol(&list, &name));
    struct gnt_amqp_sasl_init init = {0};
    GNT_AMQP_SET(&init, mechanism, mechanisms[0]);
    GNT_AMQP_SET(&init, initial_response, gnt_slice_str("n,,"));
    GNT_AMQP_SET(&init, hostname, gnt_slice_str("here"));
    assert_int_equal(gnt_amqp_connection_sasl_init(c, &init), GNT_OK);
    assert_int_equal(gnt_amqp_connection_sasl_init(c, &init), GNT_STATE);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_SASL_INIT, &e);
    assert_slice(e.performative.sasl_init.mechanism, "SCRAM-SHA-256");
    assert_slice(e.performative.sasl_init.initial_response, "n,,");
    assert_slice(e.performative.sasl_init.hostname, "here");
    for (int round = 0; round < 3; round++) {
        assert_int_equal(gnt_amqp_connection_sasl_challenge(s, gnt_slice_str("r=")), GNT_OK);
        assert_int_equal(gnt_amqp_connection_sasl_challenge(s, gnt_slice_str("r=")), GNT_STATE);
        pair_expect(&p, CLIENT, GNT_AMQP_EVENT_SASL_CHALLENGE, &e);
        assert_slice(e.performative.sasl_challenge.challenge, "r=");
        assert_int_equal(gnt_amqp_connection_sasl_respond(c, gnt_slice_str("p=")), GNT_OK);
        assert_int_equal(gnt_amqp_connection_sasl_respond(c, gnt_slice_str("p=")), GNT_STATE);
        pair_expect(&p, SERVER, GNT_AMQP_EVENT_SASL_RESPONSE, &e);
        assert_slice(e.performative.sasl_response.response, "p=");
    }
    assert_int_equal(gnt_amqp_connection_open(c, &nothing), GNT_STATE);
    assert_int_equal(gnt_amqp_connection_sasl_outcome(s, 0, gnt_slice_str("v=")), GNT_OK);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_SASL_OUTCOME, &e);
    assert_slice(e.performative.sasl_outcome.additional_data, "v=");
    pair_open(&p);
    pair_fini(&p);
}

/* As AMQP .Net Lite 1.x does: everything before anything has come. */
static void sasl_init_ahead_of_mechanisms(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    struct gnt_amqp_sasl_init init = {0};
    offer(&p);
    GNT_AMQP_SET(&init, mechanism, gnt_slice_str("PLAIN"));
    assert_int_equal(gnt_amqp_connection_sasl_init(&p.end[CLIENT].c, &init), GNT_STATE);
    assert_int_equal(gnt_amqp_connection_sasl_start(&p.end[CLIENT].c), GNT_OK);
    assert_int_equal(gnt_amqp_connection_sasl_init(&p.end[CLIENT].c, &init), GNT_OK);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_SASL_INIT, &e);
    assert_int_equal(gnt_amqp_connection_sasl_outcome(&p.end[SERVER].c, 0, (struct gnt_slice){0}),
                     GNT_OK);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_SASL_MECHANISMS, &e);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_SASL_OUTCOME, &e);
    pair_open(&p);
    pair_fini(&p);
}

static void sasl_failure_ends_it(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    struct gnt_amqp_sasl_init init = {0};
    offer(&p);
    GNT_AMQP_SET(&init, mechanism, gnt_slice_str("PLAIN"));
    assert_int_equal(gnt_amqp_connection_sasl_start(&p.end[CLIENT].c), GNT_OK);
    assert_int_equal(gnt_amqp_connection_sasl_init(&p.end[CLIENT].c, &init), GNT_OK);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_SASL_INIT, &e);
    /* The client waits for nothing, but the owner of the server has not decided yet. */
    pair_inject_bytes(&p, SERVER, gnt_slice("AMQP\0\1\0\0", 8));
    assert_false(pair_next(&p, SERVER, &e));
    assert_int_equal(p.end[SERVER].err, GNT_MORE);
    assert_int_equal(gnt_amqp_connection_sasl_outcome(&p.end[SERVER].c, GNT_AMQP_SASL_AUTH,
                                                      (struct gnt_slice){0}),
                     GNT_OK);
    assert_int_equal(p.end[SERVER].c.state, GNT_AMQP_ENDED);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_SASL_MECHANISMS, &e);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_SASL_OUTCOME, &e);
    assert_int_equal(e.performative.sasl_outcome.code, GNT_AMQP_SASL_AUTH);
    assert_int_equal(gnt_amqp_connection_open(&p.end[CLIENT].c, &nothing), GNT_STATE);
    assert_false(pair_next(&p, CLIENT, &e));
    assert_int_equal(p.end[CLIENT].err, GNT_CLOSED);
    pair_fini(&p);
}

static void sasl_out_of_order(void **state)
{
    (void)state;
    static const struct {
        int side;
        const char *frame;
        size_t size;
        gnt_err err;
    } cases[] = {
        {SERVER, "\0\0\0\20\2\1\0\0\0S\103\300\3\1\240\0", 16, GNT_PROTOCOL}, /* response */
        {SERVER, "\0\0\0\20\2\1\0\0\0S\102\300\3\1\240\0", 16, GNT_PROTOCOL}, /* challenge */
        {SERVER, "\0\0\0\14\2\1\0\0\0S\101E", 12, GNT_PROTOCOL},              /* init of nothing */
        {SERVER, "\0\0\0\14\2\0\0\0\0S\101E", 12, GNT_PROTOCOL},              /* an AMQP frame */
        {SERVER, "\0\0\0\10\2\1\0\0", 8, GNT_PROTOCOL},                       /* an empty one */
        {SERVER, "\0\0\40\1", 4, GNT_TOOBIG},
        {CLIENT, "\0\0\0\20\2\1\0\0\0S\102\300\3\1\240\0", 16, GNT_PROTOCOL}, /* challenge */
        {CLIENT, "\0\0\0\20\2\1\0\0\0S\104\300\3\1\120\0", 16, GNT_PROTOCOL}, /* outcome */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pair p;
        struct gnt_amqp_event e;
        offer(&p);
        assert_int_equal(gnt_amqp_connection_sasl_start(&p.end[CLIENT].c), GNT_OK);
        pair_inject_bytes(&p, cases[i].side, gnt_slice("AMQP\3\1\0\0", 8));
        pair_inject_bytes(&p, cases[i].side, gnt_slice(cases[i].frame, cases[i].size));
        assert_false(pair_next(&p, cases[i].side, &e));
        assert_int_equal(p.end[cases[i].side].err, cases[i].err);
        assert_int_equal(p.end[cases[i].side].c.state, GNT_AMQP_ENDED);
        pair_fini(&p);
    }
}

static void sasl_may_be_left_out(void **state)
{
    (void)state;
    struct pair p;
    offer(&p);
    gnt_amqp_connection_sasl_offer(&p.end[SERVER].c, mechanisms, 2, false);
    pair_open(&p);
    pair_fini(&p);
}

/* ---- Open and close */

static void open_says_what_holds(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    struct gnt_amqp_options o = pair_options();
    struct gnt_amqp_open open = {0};
    o.idle_timeout_ms = 10000;
    o.sessions_max = 65536;
    pair_init(&p, &o);
    GNT_AMQP_SET(&open, hostname, gnt_slice_str("broker"));
    assert_int_equal(gnt_amqp_connection_open(&p.end[CLIENT].c, &open), GNT_OK);
    assert_int_equal(gnt_amqp_connection_open(&p.end[CLIENT].c, &open), GNT_STATE);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_OPEN, &e);
    assert_slice(e.performative.open.container_id, "test");
    assert_slice(e.performative.open.hostname, "broker");
    assert_int_equal(e.performative.open.max_frame_size, 65536);
    assert_int_equal(e.performative.open.channel_max, 65535);
    assert_int_equal(e.performative.open.idle_time_out, 5000); /* half of it [AMQP 2.4.5] */
    assert_true(e.performative.open.has.properties); /* some clients index it without looking */
    assert_int_equal(p.end[SERVER].c.peer_max_frame_size, 65536);
    assert_int_equal(p.end[SERVER].c.peer_idle_ms, 5000);
    pair_fini(&p);
}

static void bad_opens(void **state)
{
    (void)state;
    static const struct {
        uint32_t max_frame_size, idle_time_out;
        size_t properties;
        enum gnt_amqp_condition condition;
    } cases[] = {
        {511, 0, 0, GNT_AMQP_INVALID_FIELD},
        {512, 99, 0, GNT_AMQP_NOT_ALLOWED},
        {512, 100, 30, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED},
        {512, 100, 10, GNT_AMQP_NO_CONDITION},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pair p;
        struct gnt_amqp_event e;
        struct gnt_amqp_options o = pair_options();
        static const uint8_t zeros[64];
        uint8_t bytes[64];
        struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
        struct gnt_amqp_open open = {0};
        o.properties_max = 20;
        pair_init(&p, &o);
        size_t mark = gnt_amqp_begin_map(&w);
        gnt_amqp_put_symbol(&w, gnt_slice_str("k"));
        gnt_amqp_put_binary(&w, gnt_slice(zeros, cases[i].properties));
        gnt_amqp_end_map(&w, mark, 2);
        GNT_AMQP_SET(&open, container_id, gnt_slice_str("x"));
        GNT_AMQP_SET(&open, max_frame_size, cases[i].max_frame_size);
        GNT_AMQP_SET(&open, idle_time_out, cases[i].idle_time_out);
        GNT_AMQP_SET(&open, properties, gnt_amqp_encoded(gnt_amqp_written(&w)));
        pair_inject_bytes(&p, SERVER, gnt_slice("AMQP\0\1\0\0", 8));
        pair_inject(&p, SERVER, 0, GNT_AMQP_OPEN, &open, (struct gnt_slice){0});
        assert_int_equal(pair_next(&p, SERVER, &e), cases[i].condition == 0);
        assert_int_equal(p.end[SERVER].c.condition, cases[i].condition);
        pair_fini(&p);
    }
}

/* What breaks before our open is told by open and close. */
static void a_frame_before_open(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    struct gnt_amqp_frame frame;
    struct gnt_amqp_composite said;
    pair_init(&p, NULL);
    pair_inject_bytes(&p, SERVER, gnt_slice("AMQP\0\1\0\0", 8));
    pair_inject(&p, SERVER, 0, GNT_AMQP_BEGIN,
                &(struct gnt_amqp_begin){.has = {.next_outgoing_id = true,
                                                 .incoming_window = true,
                                                 .outgoing_window = true}},
                (struct gnt_slice){0});
    assert_false(pair_next(&p, SERVER, &e));
    assert_int_equal(p.end[SERVER].c.condition, GNT_AMQP_ILLEGAL_STATE);
    gnt_outq_take(&p.end[SERVER].out, 8);
    assert_true(pair_written(&p, SERVER, &frame, &said));
    assert_int_equal(said.code, GNT_AMQP_OPEN);
    assert_true(pair_written(&p, SERVER, &frame, &said));
    assert_int_equal(said.code, GNT_AMQP_CLOSE);
    pair_fini(&p);
}

static void close_discards_what_comes(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    struct gnt_amqp_session *s;
    struct gnt_amqp_error error = {0}, got;
    pair_init(&p, NULL);
    pair_open(&p);
    GNT_AMQP_SET(&error, condition, gnt_amqp_condition_symbol(GNT_AMQP_CONNECTION_FORCED));
    GNT_AMQP_SET(&error, description, gnt_slice_str("maintenance"));
    assert_int_equal(gnt_amqp_connection_close(&p.end[SERVER].c, &error), GNT_OK);
    assert_int_equal(gnt_amqp_connection_close(&p.end[SERVER].c, &error), GNT_STATE);
    assert_int_equal(gnt_amqp_session_begin(&p.end[SERVER].c, &s), GNT_STATE);
    assert_int_equal(gnt_amqp_session_begin(&p.end[CLIENT].c, &s), GNT_OK);
    pair_inject(&p, SERVER, 9, GNT_AMQP_END, &(struct gnt_amqp_end){0}, LITERAL("?"));
    pair_expect_none(&p, SERVER);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_CLOSE, &e);
    assert_int_equal(gnt_amqp_decode_error(e.performative.close.error.encoded, &got), GNT_OK);
    assert_slice(got.condition, "amqp:connection:forced");
    assert_slice(got.description, "maintenance");
    assert_int_equal(p.end[CLIENT].c.state, GNT_AMQP_ENDED);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_CLOSE, &e);
    assert_false(e.performative.close.has.error);
    assert_false(pair_next(&p, SERVER, &e));
    assert_int_equal(p.end[SERVER].err, GNT_CLOSED);
    pair_fini(&p);
}

/* Of an error that no frame of the peer's has room for, the condition. */
static void long_errors_are_cut(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    struct gnt_amqp_options o = pair_options();
    struct gnt_amqp_error error = {0}, got;
    static char text[2000];
    memset(text, 'x', sizeof text);
    o.max_frame_size = 512;
    for (size_t size = 400; size <= sizeof text; size += 400) {
        pair_init(&p, &o);
        pair_open(&p);
        GNT_AMQP_SET(&error, condition, gnt_slice_str("amqp:internal-error"));
        GNT_AMQP_SET(&error, description, gnt_slice(text, size));
        assert_int_equal(gnt_amqp_connection_close(&p.end[SERVER].c, &error), GNT_OK);
        pair_expect(&p, CLIENT, GNT_AMQP_EVENT_CLOSE, &e);
        assert_int_equal(gnt_amqp_decode_error(e.performative.close.error.encoded, &got), GNT_OK);
        assert_slice(got.condition, "amqp:internal-error");
        assert_int_equal(got.description.size, size == 400 ? 400 : 0);
        pair_fini(&p);
    }
}

static void pipelined_open_begin_attach(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    struct gnt_amqp_session *s;
    struct gnt_amqp_link *l;
    struct gnt_amqp_attach attach = {.role = GNT_AMQP_RECEIVER};
    pair_init(&p, NULL);
    attach.name = gnt_slice_str("l");
    assert_int_equal(gnt_amqp_session_begin(&p.end[CLIENT].c, &s), GNT_STATE);
    assert_int_equal(gnt_amqp_connection_open(&p.end[CLIENT].c, &nothing), GNT_OK);
    assert_int_equal(gnt_amqp_session_begin(&p.end[CLIENT].c, &s), GNT_OK);
    assert_int_equal(gnt_amqp_link_attach(s, &attach, NULL, 0, &l), GNT_OK);
    gnt_amqp_link_credit(l, 7, false);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_OPEN, &e);
    assert_false(pair_next(&p, SERVER, &e)); /* begin waits for our open */
    assert_int_equal(p.end[SERVER].err, GNT_MORE);
    assert_int_equal(gnt_amqp_connection_open(&p.end[SERVER].c, &nothing), GNT_OK);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_BEGIN, &e);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_ATTACH, &e);
    struct gnt_amqp_link *served = e.link;
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_FLOW, &e); /* before the answer */
    assert_ptr_equal(e.link, served);
    assert_false(e.performative.flow.has.next_incoming_id);
    assert_false(e.performative.flow.has.delivery_count);
    GNT_AMQP_SET(&attach, initial_delivery_count, 1000);
    assert_int_equal(gnt_amqp_link_answer(served, &attach, NULL, 0), GNT_OK);
    assert_int_equal(served->credit, 7);
    pair_fini(&p);
}

/* ---- Time */

static uint64_t ms(uint64_t n)
{
    return n * GNT_NS_PER_MS;
}

static void signs_of_life(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    struct gnt_amqp_frame frame;
    struct gnt_amqp_composite said;
    pair_init(&p, NULL);
    p.end[CLIENT].options.idle_timeout_ms = 4000; /* told: 2000; so the server speaks each 1000 */
    uint64_t start = p.now;
    pair_open(&p);
    struct gnt_amqp_connection *s = &p.end[SERVER].c, *c = &p.end[CLIENT].c;
    assert_int_equal(gnt_amqp_connection_deadline(s), start + ms(1000));
    assert_int_equal(gnt_amqp_connection_deadline(c), start + ms(4000));
    assert_int_equal(gnt_amqp_connection_tick(s, start + ms(999)), GNT_OK);
    assert_int_equal(p.end[SERVER].out.size, 0);
    assert_int_equal(gnt_amqp_connection_tick(s, start + ms(1000)), GNT_OK);
    assert_int_equal(gnt_amqp_connection_deadline(s), start + ms(2000));
    assert_int_equal(p.end[SERVER].out.size, 8);
    /* What was not written yet says it as well. */
    assert_int_equal(gnt_amqp_connection_tick(s, start + ms(2000)), GNT_OK);
    assert_int_equal(p.end[SERVER].out.size, 8);
    p.now = start + ms(2500);
    pair_expect_none(&p, CLIENT);
    assert_int_equal(gnt_amqp_connection_deadline(c), start + ms(6500));
    /* Any other frame puts it off. */
    struct gnt_amqp_session *session;
    assert_int_equal(gnt_amqp_session_begin(s, &session), GNT_OK);
    assert_int_equal(gnt_amqp_connection_flush(s, p.now), GNT_OK);
    assert_int_equal(gnt_amqp_connection_deadline(s), start + ms(3500));
    /* Nothing for too long. */
    assert_int_equal(gnt_amqp_connection_tick(c, start + ms(6499)), GNT_OK);
    gnt_amqp_connection_lives(c, start + ms(6499));
    assert_int_equal(gnt_amqp_connection_tick(c, start + ms(6500)), GNT_OK);
    assert_int_equal(gnt_amqp_connection_tick(c, start + ms(10499)), GNT_TIMEOUT);
    assert_int_equal(gnt_amqp_connection_deadline(c), GNT_NEVER);
    assert_true(pair_written(&p, CLIENT, &frame, &said));
    assert_int_equal(said.code, GNT_AMQP_CLOSE);
    assert_false(pair_next(&p, CLIENT, &e));
    assert_int_equal(p.end[CLIENT].err, GNT_CLOSED);
    pair_fini(&p);
}

static void opening_and_closing_have_a_deadline(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_options o = pair_options();
    o.open_timeout_ms = 1000;
    pair_init(&p, &o);
    struct gnt_amqp_connection *s = &p.end[SERVER].c;
    uint64_t start = p.now;
    pair_inject_bytes(&p, SERVER, gnt_slice("AMQP\0\1\0\0", 8));
    p.now += ms(900);
    pair_expect_none(&p, SERVER);
    assert_int_equal(gnt_amqp_connection_deadline(s), start + ms(1000)); /* it is of the whole */
    assert_int_equal(gnt_amqp_connection_tick(s, start + ms(1000)), GNT_TIMEOUT);
    pair_fini(&p);
    pair_init(&p, &o);
    pair_open(&p);
    s = &p.end[SERVER].c;
    assert_int_equal(gnt_amqp_connection_deadline(s), GNT_NEVER);
    assert_int_equal(gnt_amqp_connection_close(s, NULL), GNT_OK);
    assert_int_equal(gnt_amqp_connection_tick(s, p.now + ms(1000)), GNT_TIMEOUT);
    pair_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_headers_are_answered),
        cmocka_unit_test(a_client_meets_another_protocol),
        cmocka_unit_test(headers_come_in_parts),
        cmocka_unit_test(tls_by_header),
        cmocka_unit_test(tls_only_once),
        cmocka_unit_test(sasl_with_challenges),
        cmocka_unit_test(sasl_init_ahead_of_mechanisms),
        cmocka_unit_test(sasl_failure_ends_it),
        cmocka_unit_test(sasl_out_of_order),
        cmocka_unit_test(sasl_may_be_left_out),
        cmocka_unit_test(open_says_what_holds),
        cmocka_unit_test(bad_opens),
        cmocka_unit_test(a_frame_before_open),
        cmocka_unit_test(close_discards_what_comes),
        cmocka_unit_test(long_errors_are_cut),
        cmocka_unit_test(pipelined_open_begin_attach),
        cmocka_unit_test(signs_of_life),
        cmocka_unit_test(opening_and_closing_have_a_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
