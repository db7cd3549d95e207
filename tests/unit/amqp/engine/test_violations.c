/* What a peer may do wrong, and what it is told for it: the condition that the standard has, on the
 * link, the session or the connection. */
#include "amqp/codec/condition.h"
#include "support/amqp_pair.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

/* Frames in words, one behind the other with ; between them:
 *
 *     CHANNEL NAME FIELD... [| PAYLOAD]
 *
 * A field is - for null, t, f, a number with its type (u5 uint, h5 ushort, B5 ubyte, l5 ulong),
 * text with its type (s:text, y:symbol, b:binary), A for accepted, M and N for maps of one entry
 * that is short, or 40 bytes long, Z for a described value that is no state, x: for one byte in hex
 * as it is. */
static void put_field(struct gnt_amqp_writer *w, const char *f)
{
    static const struct {
        char name;
        enum gnt_amqp_type type;
    } numbers[] = {{'u', GNT_AMQP_UINT},
                   {'h', GNT_AMQP_USHORT},
                   {'B', GNT_AMQP_UBYTE},
                   {'l', GNT_AMQP_ULONG}},
      texts[] = {{'s', GNT_AMQP_STRING}, {'y', GNT_AMQP_SYMBOL}, {'b', GNT_AMQP_BINARY}};
    static const char fifty[] = "0123456789012345678901234567890123456789";
    struct gnt_amqp_value v = {0};
    for (size_t i = 0; f[1] && i < COUNT_OF(numbers); i++)
        if (numbers[i].name == f[0])
            v = gnt_amqp_number(numbers[i].type, strtoull(f + 1, NULL, 10));
    for (size_t i = 0; f[1] == ':' && i < COUNT_OF(texts); i++)
        if (texts[i].name == f[0])
            v = gnt_amqp_bytes(texts[i].type, gnt_slice_str(f + 2));
    if (f[0] == 't' || f[0] == 'f')
        v = gnt_amqp_number(GNT_AMQP_BOOLEAN, f[0] == 't');
    if (f[0] == 'A')
        v = gnt_amqp_fieldless(GNT_AMQP_ACCEPTED);
    if (f[0] == 'M' || f[0] == 'N') {
        size_t mark = gnt_amqp_begin_map(w);
        gnt_amqp_put_symbol(w, gnt_slice_str("k"));
        gnt_amqp_put_string(w, gnt_slice_str(f[0] == 'M' ? "v" : fifty));
        gnt_amqp_end_map(w, mark, 2);
    } else if (f[0] == 'Z') {
        gnt_amqp_put_descriptor(w, GNT_AMQP_RECEIVED);
        gnt_amqp_put_uint(w, 1);
    } else if (f[0] == 'x') {
        gnt_amqp_put_raw(w, gnt_slice(&(uint8_t){(uint8_t)strtoul(f + 2, NULL, 16)}, 1));
    } else {
        gnt_amqp_put_value(w, &v);
    }
}

static uint64_t code_of(const char *name)
{
    static const char *const names[] = {"open",        "begin",  "attach", "flow", "transfer",
                                        "disposition", "detach", "end",    "close"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(names[i], name) == 0)
            return GNT_AMQP_OPEN + i;
    return strtoull(name, NULL, 16);
}

/* One frame of TEXT, which is changed. */
static void put_frame(struct gnt_amqp_writer *w, char *text)
{
    char *payload = strchr(text, '|'), *rest;
    if (payload)
        *payload++ = 0;
    char *word = strtok_r(text, " ", &rest);
    size_t frame = gnt_amqp_begin_frame(w, GNT_AMQP_FRAME_AMQP, (uint16_t)atoi(word));
    gnt_amqp_put_descriptor(w, code_of(strtok_r(NULL, " ", &rest)));
    size_t list = gnt_amqp_begin_list(w);
    uint32_t count = 0;
    while ((word = strtok_r(NULL, " ", &rest)) != NULL) {
        put_field(w, word);
        count++;
    }
    gnt_amqp_end_list(w, list, count);
    if (payload)
        gnt_amqp_put_raw(w, gnt_slice_str(payload));
    gnt_amqp_end_frame(w, frame, 0);
}

static void inject(struct pair *p, int side, const char *frames)
{
    static uint8_t bytes[4096];
    char text[2000], *rest;
    assert_true(strlen(frames) < sizeof text);
    strcpy(text, frames);
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    for (char *one = strtok_r(text, ";", &rest); one; one = strtok_r(NULL, ";", &rest))
        put_frame(&w, one);
    assert_true(gnt_amqp_fits(&w));
    pair_inject_bytes(p, side, gnt_amqp_written(&w));
}

/* ---- The scene: a server with session 0, on which the client sends by handle 0 (credit 2,
 * messages of up to 10 bytes) and receives by handle 1; windows of 3 frames, 4 handles, 4 channels;
 * `a` is unsettled. */

#define FRAME_OF(code) GNT_AMQP_##code

struct row {
    const char *what, *frames;
    enum gnt_amqp_descriptor told; /* 0: nothing, it is borne */
    enum gnt_amqp_condition condition;
};

static struct gnt_amqp_value error_of(const struct gnt_amqp_composite *frame)
{
    return frame->code == GNT_AMQP_DETACH ? frame->detach.error
           : frame->code == GNT_AMQP_END  ? frame->end.error
                                          : frame->close.error;
}

static void scene(struct pair *p)
{
    struct gnt_amqp_options o = pair_options();
    struct gnt_amqp_session *s[2];
    struct gnt_amqp_link *in[2], *out[2];
    struct gnt_amqp_delivery *d;
    struct gnt_amqp_attach attach = {0};
    o.incoming_window = 3;
    o.links_max = o.sessions_max = 4;
    o.unsettled_max = 2;
    o.properties_max = 20;
    o.link_name_max = 8;
    o.max_frame_size = 512;
    pair_init(p, &o);
    pair_open(p);
    pair_begin(p, s);
    GNT_AMQP_SET(&attach, max_message_size, 10);
    pair_attach(p, s, "in", true, &attach, in);
    pair_attach(p, s, "out", false, NULL, out);
    gnt_amqp_link_credit(in[SERVER], 1, false);
    pair_expect(p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
    assert_int_equal(pair_send(in[CLIENT], 'a', gnt_slice_str("1"), &d), GNT_OK);
    pair_expect(p, SERVER, GNT_AMQP_EVENT_TRANSFER, NULL);
    gnt_amqp_link_credit(in[SERVER], 2, false);
    gnt_amqp_link_credit(out[CLIENT], 1, false);
    pair_expect(p, SERVER, GNT_AMQP_EVENT_FLOW, NULL);
    pair_expect(p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
    pair_move(p);
}

/* What comes of it: the frame with a condition, or the failure; further frames must be discarded.
 */
static void check(const struct row *row)
{
    struct pair p;
    struct gnt_amqp_event e;
    struct gnt_amqp_frame frame;
    struct gnt_amqp_composite said;
    bool told = false;
    scene(&p);
    inject(&p, SERVER, row->frames);
    struct pair_end *server = &p.end[SERVER];
    do {
        struct gnt_slice in = gnt_buf_slice(&server->in);
        size_t before = in.size;
        e.condition = 0;
        server->err = gnt_amqp_connection_next(&server->c, &in, p.now, &e, NULL);
        gnt_buf_take(&server->in, before - in.size);
        if (server->err == GNT_OK && e.condition) {
            assert_int_equal(e.type, row->told == GNT_AMQP_END ? GNT_AMQP_EVENT_END
                                                               : GNT_AMQP_EVENT_DETACH);
            assert_int_equal(e.condition, row->condition);
            assert_non_null(e.why);
        }
    } while (server->err == GNT_OK);
    if (row->told == GNT_AMQP_CLOSE) {
        assert_true(server->err < 0 && server->err != GNT_CLOSED);
        assert_int_equal(server->c.condition, row->condition);
    } else {
        assert_int_equal(server->err, GNT_MORE);
    }
    assert_int_equal(gnt_amqp_connection_flush(&server->c, p.now), GNT_OK);
    while (pair_written(&p, SERVER, &frame, &said)) {
        if (said.code < GNT_AMQP_DETACH)
            continue;
        struct gnt_amqp_value value = error_of(&said);
        struct gnt_amqp_error error;
        if (value.type == GNT_AMQP_NULL)
            continue;
        assert_int_equal(gnt_amqp_decode_error(value.encoded, &error), GNT_OK);
        if (said.code != row->told || gnt_amqp_condition_of(error.condition) != row->condition)
            fail_msg("%.*s %.*s", (int)error.condition.size, error.condition.data,
                     (int)error.description.size, error.description.data);
        told = true;
    }
    assert_int_equal(told, row->told != 0);
    pair_fini(&p);
}

/* clang-format off */
#define SAYS(level, condition) FRAME_OF(level), GNT_AMQP_##condition
#define BEARS                  (enum gnt_amqp_descriptor)0, GNT_AMQP_NO_CONDITION

static const struct row rows[] = {
    /* the connection */
    {"open again", "0 open s:x", SAYS(CLOSE, ILLEGAL_STATE)},
    {"a frame that AMQP 1.0 does not have", "0 50 u0", SAYS(CLOSE, NOT_IMPLEMENTED)},
    {"a SASL frame's descriptor", "0 44 B0", SAYS(CLOSE, NOT_IMPLEMENTED)},
    {"a message section's descriptor", "0 70 t", SAYS(CLOSE, NOT_IMPLEMENTED)},
    {"a field of another type", "0 flow s:x u0 u0 u0", SAYS(CLOSE, DECODE_ERROR)},
    {"more fields than there are", "0 end - u0", SAYS(CLOSE, DECODE_ERROR)},
    {"a value that is none", "0 end x:3f", SAYS(CLOSE, DECODE_ERROR)},
    {"bytes behind the performative", "0 end | rest", SAYS(CLOSE, DECODE_ERROR)},
    {"a mandatory field is absent", "0 flow u0 - u0 u0", SAYS(CLOSE, INVALID_FIELD)},
    {"a mandatory field is absent", "0 detach", SAYS(CLOSE, INVALID_FIELD)},
    {"a settle mode that is none", "0 attach s:x u2 f B3", SAYS(CLOSE, DECODE_ERROR)},

    /* sessions */
    {"begin on a channel in use", "0 begin - u0 u9 u9", SAYS(CLOSE, ILLEGAL_STATE)},
    {"begin above channel-max", "4 begin - u0 u9 u9", SAYS(CLOSE, CONNECTION_FRAMING_ERROR)},
    {"any frame above channel-max", "4 flow - u0 u0 u0", SAYS(CLOSE, CONNECTION_FRAMING_ERROR)},
    {"an answer to no begin", "1 begin h3 u0 u9 u9", SAYS(CLOSE, INVALID_FIELD)},
    {"an answer to a begin that was answered", "1 begin h0 u0 u9 u9", SAYS(CLOSE, INVALID_FIELD)},
    {"attach without a session", "1 attach s:x u0 f - - - - - - u0", SAYS(CLOSE, ILLEGAL_STATE)},
    {"flow on a channel that was never used", "2 flow - u0 u0 u0", SAYS(CLOSE, ILLEGAL_STATE)},
    {"end on a channel that was never used", "2 end", SAYS(CLOSE, ILLEGAL_STATE)},
    {"flow behind end", "0 end;0 flow - u0 u0 u0", BEARS},
    {"disposition, detach and end behind end", "0 end;0 disposition t u0 u9;0 detach u0;0 end", BEARS},
    {"attach behind end", "0 end;0 attach s:x u2 t", SAYS(CLOSE, ILLEGAL_STATE)},
    {"too many bytes of properties in begin", "1 begin - u0 u9 u9 - - - N", SAYS(CLOSE, RESOURCE_LIMIT_EXCEEDED)},
    {"next-incoming-id of what was not sent", "0 flow u1 u9 u4 u9", SAYS(END, INVALID_FIELD)},
    {"transfers beyond the window",
     "0 transfer u0 u1 b:b u0 f t|1;0 transfer u0 - - - f t|2;0 transfer u0 - - - f t|3;0 transfer u0 - - - f t|4",
     SAYS(END, SESSION_WINDOW_VIOLATION)},
    {"what comes behind an end with an error", "0 flow u1 u9 u4 u9;0 transfer u9 u1;0 attach s:in u0 t;0 end", SAYS(END, INVALID_FIELD)},

    /* links */
    {"attach by a handle in use", "0 attach s:x u0 t", SAYS(END, SESSION_HANDLE_IN_USE)},
    {"attach above handle-max", "0 attach s:x u4 t", SAYS(CLOSE, CONNECTION_FRAMING_ERROR)},
    {"attach with a name that is too long", "0 attach s:123456789 u2 t", SAYS(END, RESOURCE_LIMIT_EXCEEDED)},
    {"a sender without initial-delivery-count", "0 attach s:x u2 f", SAYS(DETACH, INVALID_FIELD)},
    {"too many bytes of properties in attach", "0 attach s:x u2 t - - - - - - - - - - N", SAYS(DETACH, RESOURCE_LIMIT_EXCEEDED)},
    {"few bytes of properties in attach", "0 attach s:x u2 t - - - - - - - - - - M", BEARS},
    {"the same link once more", "0 attach s:in u2 f - - - - - - u0", SAYS(DETACH, LINK_STOLEN)},
    {"the same name in the other direction", "0 attach s:in u2 t", BEARS},
    {"flow for a handle that was never attached", "0 flow u0 u9 u0 u9 u3 u0 u1", SAYS(END, SESSION_UNATTACHED_HANDLE)},
    {"flow for a handle that has been detached", "0 detach u0 t;0 flow u0 u9 u1 u9 u0 u0 u1", BEARS},
    {"detach of a handle that was never attached", "0 detach u3", SAYS(END, SESSION_UNATTACHED_HANDLE)},
    {"detach twice", "0 detach u0 t;0 detach u0 t", BEARS},

    /* transfers */
    {"transfer by a handle that was never attached", "0 transfer u3 u1 b:b u0|1", SAYS(END, SESSION_UNATTACHED_HANDLE)},
    {"transfer by a handle that has been detached", "0 detach u0 t;0 transfer u0 u1 b:b u0|1", SAYS(END, SESSION_UNATTACHED_HANDLE)},
    {"transfer to a sender", "0 transfer u1 u1 b:b u0|1", SAYS(DETACH, NOT_ALLOWED)},
    {"transfer beyond the credit",
     "0 transfer u0 u1 b:b u0 t|1;0 transfer u0 u2 b:c u0 t|1;0 transfer u0 u3 b:d u0 t|1", SAYS(DETACH, LINK_TRANSFER_LIMIT_EXCEEDED)},
    {"transfer before attach is answered", "0 attach s:x u2 f - - - - - - u0;0 transfer u2 u1 b:b u0|1", SAYS(DETACH, LINK_TRANSFER_LIMIT_EXCEEDED)},
    {"a delivery without an id", "0 transfer u0 - b:b u0|1", SAYS(DETACH, INVALID_FIELD)},
    {"a delivery without a tag", "0 transfer u0 u1 - u0|1", SAYS(DETACH, INVALID_FIELD)},
    {"a tag that is too long", "0 transfer u0 u1 b:123456789012345678901234567890123 u0|1", SAYS(DETACH, INVALID_FIELD)},
    {"a tag as long as it may be", "0 transfer u0 u1 b:12345678901234567890123456789012 u0|1", BEARS},
    {"a delivery-id that has been", "0 transfer u0 u0 b:b u0|1", SAYS(END, INVALID_FIELD)},
    {"a delivery-id that goes back", "0 transfer u0 u4294967295 b:b u0|1", SAYS(END, INVALID_FIELD)},
    {"a delivery-id that leaves some out", "0 transfer u0 u100 b:b u0|1", BEARS},
    {"another id within a delivery", "0 transfer u0 u1 b:b u0 f t|1;0 transfer u0 u2|2", SAYS(DETACH, INVALID_FIELD)},
    {"another tag within a delivery", "0 transfer u0 u1 b:b u0 f t|1;0 transfer u0 u1 b:c|2", SAYS(DETACH, INVALID_FIELD)},
    {"another format within a delivery", "0 transfer u0 u1 b:b u0 f t|1;0 transfer u0 u1 b:b u5|2", SAYS(DETACH, INVALID_FIELD)},
    {"the same once more within a delivery", "0 transfer u0 u1 b:b u0 f t|1;0 transfer u0 u1 b:b u0|2", BEARS},
    {"a message that is too long", "0 transfer u0 u1 b:b u0 f t|123456;0 transfer u0 - - - f t|78901", SAYS(DETACH, LINK_MESSAGE_SIZE_EXCEEDED)},
    {"a message as long as it may be", "0 transfer u0 u1 b:b u0 f t|123456;0 transfer u0|7890", BEARS},
    {"too many unsettled", "0 transfer u0 u1 b:b u0|1;0 transfer u0 u2 b:c u0|1", SAYS(DETACH, RESOURCE_LIMIT_EXCEEDED)},
    {"a state that cannot be decoded", "0 transfer u0 u1 b:b u0 f f - Z|1", SAYS(CLOSE, DECODE_ERROR)},
    {"a delivery that is resumed and not known", "0 transfer u0 u1 b:b u0 f t - - t|1;0 transfer u0|2", BEARS},
    {"what comes behind a detach with an error", "0 transfer u0 - b:b u0|1;0 transfer u0 u1 b:b u0|1;0 flow u0 u9 u4 u9 u0 u0 u0;0 detach u0 t",
     SAYS(DETACH, INVALID_FIELD)},

    /* dispositions */
    {"a range that ends before it begins", "0 disposition t u5 u4 t A", SAYS(END, INVALID_FIELD)},
    {"a state that cannot be decoded", "0 disposition t u0 u4 t Z", SAYS(CLOSE, DECODE_ERROR)},
    {"what was never sent", "0 disposition t u7 u9 t A", BEARS},
    {"as much as there can be", "0 disposition t u0 u2147483647 t A;0 disposition f u4294967290 u5 t A", BEARS},
};
/* clang-format on */

static void violations(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("%s: %s\n", rows[i].what, rows[i].frames);
        check(&rows[i]);
    }
}

/* What is wrong with bytes before anything is read in them. */
static void no_frames(void **state)
{
    (void)state;
    static const struct {
        const char *what, *bytes;
        size_t size;
        gnt_err err;
    } cases[] = {
        {"shorter than its header", "\0\0\0\7\2\0\0\0", 8, GNT_MALFORMED},
        {"a data offset of less than 2", "\0\0\0\10\1\0\0\0", 8, GNT_MALFORMED},
        {"a data offset behind the end", "\0\0\0\10\3\0\0\0", 8, GNT_MALFORMED},
        {"above max-frame-size", "\0\0\2\1", 4, GNT_TOOBIG},
        {"a SASL frame", "\0\0\0\10\2\1\0\0", 8, GNT_PROTOCOL},
        {"another type", "\0\0\0\10\2\2\0\0", 8, GNT_MALFORMED},
        {"a protocol header", "AMQP\0\1\0\0", 8, GNT_TOOBIG},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pair p;
        struct gnt_amqp_event e;
        print_message("%s\n", cases[i].what);
        scene(&p);
        pair_inject_bytes(&p, SERVER, gnt_slice(cases[i].bytes, cases[i].size));
        assert_false(pair_next(&p, SERVER, &e));
        assert_int_equal(p.end[SERVER].err, cases[i].err);
        assert_int_equal(p.end[SERVER].c.condition, GNT_AMQP_CONNECTION_FRAMING_ERROR);
        pair_expect(&p, CLIENT, GNT_AMQP_EVENT_CLOSE, &e);
        assert_int_equal(gnt_amqp_connection_next(&p.end[SERVER].c, &(struct gnt_slice){0}, p.now,
                                                  &e, NULL),
                         GNT_CLOSED);
        pair_fini(&p);
    }
}

/* The same scene, with the client's eyes. */
static void clients_tell_too(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    scene(&p);
    inject(&p, CLIENT, "0 transfer u1 u0 b:x u0|1;0 transfer u1 u1 b:y u0|1");
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_TRANSFER, &e);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_DETACH, &e);
    assert_ptr_equal(e.link, p.end[CLIENT].c.gone_link);
    assert_int_equal(e.condition, GNT_AMQP_LINK_TRANSFER_LIMIT_EXCEEDED);
    struct gnt_amqp_frame frame;
    struct gnt_amqp_composite said;
    do
        assert_true(pair_written(&p, CLIENT, &frame, &said));
    while (said.code != GNT_AMQP_DETACH);
    assert_true(said.detach.closed && said.detach.has.error);
    pair_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(violations),
        cmocka_unit_test(no_frames),
        cmocka_unit_test(clients_tell_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
