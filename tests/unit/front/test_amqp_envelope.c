#include "front/amqp/envelope.h"
#include "front/amqp/delivery.h"
#include "front/amqp/select.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

#include <stdlib.h>

/* ---- A message with a bit of everything */

static uint8_t bytes[4096];

struct made {
    bool durable, header;
    uint32_t ttl_ms; /* 0: none */
    int64_t expiry_ms;
    const char *group;
    const char *annotation; /* the value of x-opt-a */
    const char *color;      /* an application property */
    struct gnt_slice body;
};

static struct gnt_slice make(const struct made *m)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    struct gnt_amqp_header header = {.priority = 4};
    struct gnt_amqp_properties properties = {.group_sequence = 0};
    GNT_AMQP_SET(&header, durable, m->durable);
    GNT_AMQP_SET(&header, priority, 7);
    if (m->ttl_ms)
        GNT_AMQP_SET(&header, ttl, m->ttl_ms);
    if (m->header)
        gnt_amqp_put_header(&w, &header);
    size_t mark = gnt_amqp_begin_section(&w, GNT_AMQP_DELIVERY_ANNOTATIONS);
    gnt_amqp_end_map(&w, mark, 0);
    if (m->annotation) {
        mark = gnt_amqp_begin_section(&w, GNT_AMQP_MESSAGE_ANNOTATIONS);
        gnt_amqp_put_symbol(&w, gnt_slice_str("x-opt-a"));
        gnt_amqp_put_string(&w, gnt_slice_str(m->annotation));
        gnt_amqp_end_map(&w, mark, 2);
    }
    GNT_AMQP_SET(&properties, subject, gnt_slice_str("s"));
    GNT_AMQP_SET(&properties, to, gnt_slice_str("topic://t"));
    if (m->expiry_ms)
        GNT_AMQP_SET(&properties, absolute_expiry_time, m->expiry_ms);
    if (m->group)
        GNT_AMQP_SET(&properties, group_id, gnt_slice_str(m->group));
    gnt_amqp_put_properties(&w, &properties);
    if (m->color) {
        mark = gnt_amqp_begin_section(&w, GNT_AMQP_APPLICATION_PROPERTIES);
        gnt_amqp_put_string(&w, gnt_slice_str("color"));
        gnt_amqp_put_string(&w, gnt_slice_str(m->color));
        gnt_amqp_end_map(&w, mark, 2);
    }
    gnt_amqp_put_data(&w, m->body);
    assert_true(gnt_amqp_fits(&w));
    return gnt_amqp_written(&w);
}

static struct gnt_message *seal(const struct made *m)
{
    struct gnt_envelope e;
    struct gnt_message *message;
    assert_int_equal(gnt_envelope_read(make(m), &e), GNT_OK);
    const struct gnt_seal s = {.topic = gnt_slice_str("$queue/q"),
                               .qos = m->durable,
                               .expires = m->ttl_ms ? 1000 * GNT_NS_PER_MS : GNT_NEVER};
    assert_int_equal(gnt_envelope_seal(&e, &s, NULL, &message), GNT_OK);
    return message;
}

/* ---- In */

static uint64_t at_ten_seconds(void *self)
{
    (void)self;
    return 10000;
}

static void what_it_says(void **state)
{
    (void)state;
    const struct gnt_clock clock = {.wall_ms = at_ten_seconds};
    static const struct {
        struct made made;
        uint64_t expires_ms; /* from now on; 0: never */
    } rows[] = {
        {{.header = false}, 0},
        {{.header = true}, 0},
        {{.header = true, .ttl_ms = 5}, 5},
        {{.header = true, .ttl_ms = 5, .expiry_ms = 10003}, 3},
        {{.header = true, .ttl_ms = 5, .expiry_ms = 10007}, 5},
        {{.expiry_ms = 10007}, 7},
        {{.expiry_ms = INT64_MAX}, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_envelope e;
        assert_int_equal(gnt_envelope_read(make(&rows[i].made), &e), GNT_OK);
        uint64_t expected =
            rows[i].expires_ms ? 1000 + rows[i].expires_ms * GNT_NS_PER_MS : GNT_NEVER;
        assert_int_equal(gnt_envelope_expires(&e, 1000, &clock), expected);
        assert_int_equal(e.header.priority, rows[i].made.header ? 7 : 4);
        assert_slice(gnt_envelope_to(&e), "topic://t");
        assert_int_equal(e.group.size, 0);
    }
    const struct made grouped = {.group = "g"};
    struct gnt_envelope e;
    assert_int_equal(gnt_envelope_read(make(&grouped), &e), GNT_OK);
    assert_slice(e.group, "g");
    /* A time before 1970 has passed. */
    const struct made old = {.expiry_ms = -5};
    assert_int_equal(gnt_envelope_read(make(&old), &e), GNT_OK);
    assert_int_equal(gnt_envelope_expires(&e, 1000, &clock), 1000);
}

/* Every front part of a message is one, or is not; nothing reads beyond. */
static void cut_everywhere(void **state)
{
    (void)state;
    const struct made m = {.header = true, .annotation = "a", .color = "red", .body = LITERAL("x")};
    struct gnt_slice whole = make(&m);
    unsigned good = 0;
    for (size_t size = 0; size < whole.size; size++) {
        uint8_t *copy = malloc(size + !size);
        assert_non_null(copy);
        memcpy(copy, whole.data, size);
        struct gnt_envelope e;
        good += gnt_envelope_read(gnt_slice(copy, size), &e) == GNT_OK;
        free(copy);
    }
    assert_int_equal(good, 6); /* where a section ends */
}

/* A large message takes the buffer that it came in. */
static void large_ones_are_not_copied(void **state)
{
    (void)state;
    enum { SIZE = 40000 };
    struct gnt_buf owner = {0};
    uint8_t *data = calloc(1, SIZE);
    const uint8_t head[] = {0x00, 0x53, 0x75, 0xb0, 0, 0, SIZE >> 8, SIZE & 255};
    assert_int_equal(gnt_buf_put(&owner, gnt_slice(head, sizeof head)), GNT_OK);
    assert_int_equal(gnt_buf_put(&owner, gnt_slice(data, SIZE)), GNT_OK);
    free(data);
    struct gnt_envelope e;
    struct gnt_message *message;
    assert_int_equal(gnt_envelope_read(gnt_buf_slice(&owner), &e), GNT_OK);
    const struct gnt_seal s = {.topic = gnt_slice_str("t"), .expires = GNT_NEVER};
    assert_int_equal(gnt_envelope_seal(&e, &s, &owner, &message), GNT_OK);
    assert_null(owner.data);
    assert_int_equal(message->payload.size, SIZE + sizeof head);
    assert_slice(message->topic, "t");
    gnt_message_unref(&message);
}

/* ---- Out */

/* What HOP makes of MESSAGE, split again. */
static struct gnt_envelope opened(const struct gnt_message *message,
                                  const struct gnt_envelope_hop *hop)
{
    static uint8_t again[4096];
    struct gnt_buf scratch = {0};
    struct gnt_slice head, rest;
    struct gnt_envelope e;
    assert_int_equal(gnt_envelope_open(message, hop, &scratch, &head, &rest), GNT_OK);
    memcpy(again, head.data, head.size);
    memcpy(again + head.size, rest.data, rest.size);
    assert_int_equal(gnt_envelope_read(gnt_slice(again, head.size + rest.size), &e), GNT_OK);
    gnt_buf_fini(&scratch);
    return e;
}

static void each_delivery_has_its_header(void **state)
{
    (void)state;
    const struct made m = {
        .header = true, .durable = true, .ttl_ms = 1000, .annotation = "a", .body = LITERAL("x")};
    struct gnt_message *message = seal(&m);
    struct gnt_envelope_hop hop = {.now = 400 * GNT_NS_PER_MS};
    struct gnt_envelope e = opened(message, &hop);
    assert_true(e.header.durable);
    assert_true(e.header.first_acquirer);
    assert_int_equal(e.header.priority, 7);
    assert_int_equal(e.header.ttl, 600);
    assert_int_equal(e.header.delivery_count, 0);
    assert_int_equal(e.sections.delivery_annotations.size, 0);
    assert_true(gnt_slice_eq(e.sections.lasting, message->payload)); /* bit for bit */
    hop.failed = 3;
    hop.acquired = true;
    hop.now = 5000 * GNT_NS_PER_MS;
    e = opened(message, &hop);
    assert_false(e.header.first_acquirer);
    assert_int_equal(e.header.ttl, 0);
    assert_int_equal(e.header.delivery_count, 3);
    gnt_message_unref(&message);
}

static const char *text_of(const struct gnt_amqp_message *m, const char *name, char out[32])
{
    struct gnt_amqp_value value;
    if (!gnt_amqp_lookup(m->message_annotations, name, &value))
        return "";
    assert_true(value.bytes.size < 32);
    memcpy(out, value.bytes.data, value.bytes.size);
    out[value.bytes.size] = '\0';
    return out;
}

/* What a receiver leaves with a message takes the place of what was there. */
static void annotations_change(void **state)
{
    (void)state;
    char out[32];
    uint8_t map[64];
    struct gnt_amqp_writer w = gnt_amqp_writer(map, sizeof map);
    size_t mark = gnt_amqp_begin_map(&w);
    gnt_amqp_put_symbol(&w, gnt_slice_str("x-opt-b"));
    gnt_amqp_put_string(&w, gnt_slice_str("new"));
    gnt_amqp_put_symbol(&w, gnt_slice_str("x-opt-a"));
    gnt_amqp_put_string(&w, gnt_slice_str("other"));
    gnt_amqp_end_map(&w, mark, 4);
    struct gnt_amqp_value more = gnt_amqp_encoded(gnt_amqp_written(&w));
    for (int with = 0; with < 2; with++) {
        const struct made m = {.annotation = with ? "a" : NULL, .body = LITERAL("x")};
        struct gnt_message *message = seal(&m);
        struct gnt_buf section = {0};
        assert_int_equal(gnt_envelope_annotate(message, gnt_slice(NULL, 0), &more, &section),
                         GNT_OK);
        struct gnt_envelope_hop hop = {.annotations = gnt_buf_slice(&section)};
        struct gnt_envelope e = opened(message, &hop);
        assert_string_equal(text_of(&e.sections, "x-opt-a", out), "other");
        assert_string_equal(text_of(&e.sections, "x-opt-b", out), "new");
        assert_true(e.sections.bare.size > 0);
        hop.reason = gnt_slice_str("why");
        hop.source = gnt_slice_str("orders");
        e = opened(message, &hop);
        assert_string_equal(text_of(&e.sections, "x-opt-a", out), "other");
        assert_string_equal(text_of(&e.sections, "DeadLetterReason", out), "why");
        assert_string_equal(text_of(&e.sections, "x-opt-deadletter-source", out), "orders");
        assert_string_equal(text_of(&e.sections, "DeadLetterErrorDescription", out), "");
        gnt_buf_fini(&section);
        gnt_message_unref(&message);
    }
}

/* ---- Outcomes */

static void outcomes(void **state)
{
    (void)state;
    uint8_t inside[128], outside[160];
    const struct made m = {.annotation = "a"};
    struct gnt_message *message = seal(&m);
    struct gnt_buf scratch = {0};
    struct gnt_settling s = {.delivery = 1};
    struct gnt_amqp_value value = {.type = GNT_AMQP_NULL};
    const struct gnt_slice none = gnt_slice(NULL, 0);
    assert_int_equal(gnt_delivery_outcome(&value, message, none, &scratch, &s), GNT_MORE);
    value = gnt_amqp_fieldless(GNT_AMQP_ACCEPTED);
    assert_int_equal(gnt_delivery_outcome(&value, message, none, &scratch, &s), GNT_OK);
    assert_int_equal(s.outcome, GNT_SETTLE_ACCEPT);
    value = gnt_amqp_fieldless(GNT_AMQP_RELEASED);
    assert_int_equal(gnt_delivery_outcome(&value, message, none, &scratch, &s), GNT_OK);
    assert_int_equal(s.outcome, GNT_SETTLE_RELEASE);
    value = gnt_amqp_fieldless(GNT_AMQP_DELETE_ON_CLOSE);
    assert_int_equal(gnt_delivery_outcome(&value, message, none, &scratch, &s), GNT_MALFORMED);

    struct gnt_amqp_error error = {.condition = gnt_slice_str("my:reason")};
    error.has.condition = true;
    GNT_AMQP_SET(&error, description, gnt_slice_str("because"));
    struct gnt_amqp_writer w = gnt_amqp_writer(inside, sizeof inside);
    gnt_amqp_put_error(&w, &error);
    struct gnt_amqp_rejected rejected = {.has.error = true};
    rejected.error = gnt_amqp_encoded(gnt_amqp_written(&w));
    w = gnt_amqp_writer(outside, sizeof outside);
    gnt_amqp_put_rejected(&w, &rejected);
    value = gnt_amqp_encoded(gnt_amqp_written(&w));
    assert_int_equal(gnt_delivery_outcome(&value, message, none, &scratch, &s), GNT_OK);
    assert_int_equal(s.outcome, GNT_SETTLE_REJECT);
    assert_slice(s.reason, "my:reason");
    assert_slice(s.description, "because");

    struct gnt_amqp_modified modified = {.delivery_failed = true};
    modified.has.delivery_failed = true;
    w = gnt_amqp_writer(outside, sizeof outside);
    gnt_amqp_put_modified(&w, &modified);
    value = gnt_amqp_encoded(gnt_amqp_written(&w));
    assert_int_equal(gnt_delivery_outcome(&value, message, none, &scratch, &s), GNT_OK);
    assert_int_equal(s.outcome, GNT_SETTLE_MODIFY);
    assert_true(s.failed);
    assert_false(s.elsewhere);
    assert_null(s.annotations.data);
    gnt_delivery_default(&value, &s);
    assert_int_equal(s.outcome, GNT_SETTLE_MODIFY);
    assert_true(s.failed);
    gnt_buf_fini(&scratch);
    gnt_message_unref(&message);
}

static void default_outcomes(void **state)
{
    (void)state;
    static const struct {
        uint8_t encoded[4];
        enum gnt_settle outcome;
    } rows[] = {
        {{0, 0x53, GNT_AMQP_ACCEPTED, 0x45}, GNT_SETTLE_ACCEPT},
        {{0, 0x53, GNT_AMQP_REJECTED, 0x45}, GNT_SETTLE_REJECT},
        {{0, 0x53, GNT_AMQP_RELEASED, 0x45}, GNT_SETTLE_RELEASE},
        {{0, 0x53, GNT_AMQP_MODIFIED, 0x45}, GNT_SETTLE_MODIFY},
        {{0, 0x53, GNT_AMQP_RECEIVED, 0x45}, GNT_SETTLE_RELEASE}, /* which is none */
    };
    struct gnt_settling s;
    struct gnt_amqp_value value = {.type = GNT_AMQP_NULL};
    gnt_delivery_default(&value, &s);
    assert_int_equal(s.outcome, GNT_SETTLE_RELEASE);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        value = gnt_amqp_encoded(gnt_slice(rows[i].encoded, sizeof rows[i].encoded));
        gnt_delivery_default(&value, &s);
        assert_int_equal(s.outcome, rows[i].outcome);
        assert_false(s.failed);
    }
}

/* ---- Filters */

/* A set of one filter: NAME describes it, and VALUE, encoded, is inside. */
static struct gnt_amqp_value set_of(const char *name, uint64_t code, struct gnt_slice value)
{
    static uint8_t set[512];
    struct gnt_amqp_writer w = gnt_amqp_writer(set, sizeof set);
    size_t mark = gnt_amqp_begin_map(&w);
    gnt_amqp_put_symbol(&w, gnt_slice_str("mine"));
    if (name) {
        gnt_amqp_put_raw(&w, LITERAL("\x00"));
        gnt_amqp_put_symbol(&w, gnt_slice_str(name));
    } else {
        gnt_amqp_put_descriptor(&w, code);
    }
    gnt_amqp_put_raw(&w, value);
    gnt_amqp_end_map(&w, mark, 2);
    return gnt_amqp_encoded(gnt_amqp_written(&w));
}

#define SELECTOR "apache.org:selector-filter:string"

static void selectors(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t code;
        const char *selector;
        gnt_err err;
        bool in_force, red, blue;
    } rows[] = {
        {SELECTOR, 0, "color = 'red'", GNT_OK, true, true, false},
        {NULL, 0x468c00000004, "color <> 'red'", GNT_OK, true, false, true},
        {SELECTOR, 0, "JMSDeliveryMode = 'PERSISTENT' AND amqp.durable = TRUE", GNT_OK, true, true,
         true},
        {SELECTOR, 0, "JMSPriority = 7", GNT_OK, true, true, true},
        {SELECTOR, 0, "amqp.annotation.x-opt-a = 'red-a'", GNT_OK, true, true, false},
        {SELECTOR, 0, "amqp.subject = 's' AND JMSType = 's' AND nothing IS NULL", GNT_OK, true,
         true, true},
        {SELECTOR, 0, "", GNT_OK, true, true, true},
        {"somebody:else", 0, "color = 'red'", GNT_OK, false, true, true},
        {SELECTOR, 0, "color = ", GNT_INVALID, false, false, false},
        {"apache.org:no-local-filter:list", 0, "", GNT_OK, true, false, false}, /* both our own */
        {NULL, UINT64_C(0x0000468c00000003), "", GNT_OK, true, false, false},
    };
    struct made m = {.header = true, .durable = true, .color = "red", .annotation = "red-a"};
    struct gnt_message *red = seal(&m);
    m.color = "blue";
    m.annotation = "blue-a";
    struct gnt_message *blue = seal(&m);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t text[128];
        char why[GNT_SELECT_WHY] = "";
        struct gnt_buf in_force = {0};
        struct gnt_consumer_filter *filter;
        struct gnt_amqp_writer w = gnt_amqp_writer(text, sizeof text);
        print_message("%s\n", rows[i].selector);
        gnt_amqp_put_string(&w, gnt_slice_str(rows[i].selector));
        struct gnt_amqp_value set = set_of(rows[i].name, rows[i].code, gnt_amqp_written(&w));
        assert_int_equal(gnt_select_new(&set, 0, &in_force, &filter, why), rows[i].err);
        assert_int_equal(why[0] != '\0', rows[i].err != GNT_OK);
        assert_int_equal(filter != NULL, rows[i].in_force);
        if (filter) {
            assert_true(gnt_slice_eq(gnt_buf_slice(&in_force), set.encoded));
            assert_int_equal(filter->matches(filter, red), rows[i].red);
            assert_int_equal(filter->matches(filter, blue), rows[i].blue);
            filter->unref(filter);
        }
        gnt_buf_fini(&in_force);
    }
    gnt_message_unref(&red);
    gnt_message_unref(&blue);
}

/* Without memory nothing is left behind. */
static void without_memory(void **state)
{
    (void)state;
    uint8_t text[64];
    struct gnt_amqp_writer w = gnt_amqp_writer(text, sizeof text);
    gnt_amqp_put_string(&w, gnt_slice_str("color = 'red'"));
    struct gnt_amqp_value set = set_of(SELECTOR, 0, gnt_amqp_written(&w));
    gnt_err err = GNT_NOMEM;
    for (long n = 0; err == GNT_NOMEM; n++) {
        char why[GNT_SELECT_WHY];
        struct gnt_buf in_force = {0};
        struct gnt_consumer_filter *filter;
        gnt_alloc_fail_at(n);
        err = gnt_select_new(&set, 0, &in_force, &filter, why);
        gnt_alloc_fail_at(-1);
        if (err)
            assert_null(filter);
        else
            filter->unref(filter);
        gnt_buf_fini(&in_force);
    }
    assert_int_equal(err, GNT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_says),
        cmocka_unit_test(default_outcomes),
        cmocka_unit_test(cut_everywhere),
        cmocka_unit_test(large_ones_are_not_copied),
        cmocka_unit_test(each_delivery_has_its_header),
        cmocka_unit_test(annotations_change),
        cmocka_unit_test(outcomes),
        cmocka_unit_test(selectors),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
