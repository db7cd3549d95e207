/* The answers to OPEN and ATTACH: what is said about this side. */

#include "front/amqp/link.h"

#include <stdlib.h>

/* What a source may come to [AMQP 3.4]. */
static const char *const outcomes[] = {"amqp:accepted:list", "amqp:rejected:list",
                                       "amqp:released:list", "amqp:modified:list"};
enum { OUTCOMES = sizeof outcomes / sizeof outcomes[0], SYMBOLS_SIZE = 128 };

/* An array of COUNT symbols, in BYTES. */
static struct gnt_amqp_value symbols(const char *const *words, uint32_t count,
                                     uint8_t bytes[SYMBOLS_SIZE])
{
    struct gnt_slice list[OUTCOMES];
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, SYMBOLS_SIZE);
    for (uint32_t i = 0; i < count; i++)
        list[i] = gnt_slice_str(words[i]);
    gnt_amqp_put_symbols(&w, list, count);
    return gnt_amqp_encoded(gnt_amqp_written(&w));
}

/* COMPOSITE, which is encoded as CODE in *out. */
static gnt_err encode(enum gnt_amqp_descriptor code, const void *composite, struct gnt_buf *out,
                      struct gnt_amqp_value *value)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(NULL, 0);
    gnt_amqp_put_as(&w, code, composite);
    gnt_err err = gnt_buf_reserve(out, w.size);
    if (err)
        return err;
    w = gnt_amqp_writer(gnt_buf_tail(out), w.size);
    gnt_amqp_put_as(&w, code, composite);
    gnt_buf_wrote(out, w.size);
    *value = gnt_amqp_encoded(gnt_amqp_written(&w));
    return GNT_OK;
}

/* ---- Attach */

static const char *capability(const struct gnt_wanted *wanted)
{
    return wanted->facts ? "queue" : "topic";
}

/* Whatever was asked for: a dynamic node goes with its link [AMQP 3.5.9]. */
static struct gnt_amqp_value node_properties(uint8_t bytes[SYMBOLS_SIZE])
{
    static const uint8_t delete_on_close[] = {0, 0x53, 0x2b, 0x45};
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, SYMBOLS_SIZE);
    size_t mark = gnt_amqp_begin_map(&w);
    gnt_amqp_put_symbol(&w, gnt_slice_str("lifetime-policy"));
    gnt_amqp_put_raw(&w, gnt_slice(delete_on_close, sizeof delete_on_close));
    gnt_amqp_end_map(&w, mark, 2);
    return gnt_amqp_encoded(gnt_amqp_written(&w));
}

static bool is_outcome(const struct gnt_amqp_value *state)
{
    uint64_t code = gnt_amqp_code_of(state->encoded);
    return code >= GNT_AMQP_ACCEPTED && code <= GNT_AMQP_MODIFIED;
}

/* How long it lives is said where that was asked for. */
#define TELL_LIFE(ours, asked, life)                                  \
    do {                                                              \
        if ((asked)->has.expiry_policy || (asked)->has.timeout) {     \
            GNT_AMQP_SET(ours, expiry_policy, gnt_life_policy(life)); \
            GNT_AMQP_SET(ours, timeout, (life).timeout_s);            \
        }                                                             \
    } while (0)

static gnt_err our_source(const struct gnt_wanted *wanted, struct gnt_slice filter,
                          struct gnt_buf *out, struct gnt_amqp_value *value)
{
    uint8_t outcome_bytes[SYMBOLS_SIZE], capability_bytes[SYMBOLS_SIZE], node_bytes[SYMBOLS_SIZE];
    const struct gnt_amqp_source *asked = &wanted->source;
    const char *word = capability(wanted);
    struct gnt_amqp_source s = {.address = asked->dynamic ? wanted->queue : asked->address};
    s.has.address = true;
    s.dynamic = s.has.dynamic = asked->dynamic;
    if (asked->has.dynamic_node_properties)
        GNT_AMQP_SET(&s, dynamic_node_properties, node_properties(node_bytes));
    s.distribution_mode = asked->distribution_mode;
    s.has.distribution_mode = asked->has.distribution_mode;
    s.default_outcome = asked->default_outcome;
    s.has.default_outcome = asked->has.default_outcome && is_outcome(&asked->default_outcome);
    if (wanted->facts)
        TELL_LIFE(&s, asked, wanted->life);
    if (filter.size)
        GNT_AMQP_SET(&s, filter, gnt_amqp_encoded(filter));
    GNT_AMQP_SET(&s, outcomes, symbols(outcomes, OUTCOMES, outcome_bytes));
    GNT_AMQP_SET(&s, capabilities, symbols(&word, 1, capability_bytes));
    return encode(GNT_AMQP_SOURCE, &s, out, value);
}

static gnt_err our_target(const struct gnt_wanted *wanted, struct gnt_buf *out,
                          struct gnt_amqp_value *value)
{
    uint8_t capability_bytes[SYMBOLS_SIZE], node_bytes[SYMBOLS_SIZE];
    const struct gnt_amqp_target *asked = &wanted->target;
    const char *word = capability(wanted);
    struct gnt_amqp_target t = {.address = asked->dynamic ? wanted->queue : asked->address};
    t.has.address = t.address.size > 0;
    t.dynamic = t.has.dynamic = asked->dynamic;
    if (asked->has.dynamic_node_properties)
        GNT_AMQP_SET(&t, dynamic_node_properties, node_properties(node_bytes));
    if (wanted->facts)
        TELL_LIFE(&t, asked, wanted->life);
    if (t.has.address)
        GNT_AMQP_SET(&t, capabilities, symbols(&word, 1, capability_bytes));
    return encode(GNT_AMQP_TARGET, &t, out, value);
}

static gnt_err our_coordinator(struct gnt_buf *out, struct gnt_amqp_value *value)
{
    static const char *const able[] = {"amqp:local-transactions", "amqp:multi-txns-per-ssn",
                                       "amqp:multi-ssns-per-txn"};
    uint8_t bytes[SYMBOLS_SIZE];
    struct gnt_amqp_coordinator c = {.has.capabilities = false};
    GNT_AMQP_SET(&c, capabilities, symbols(able, 3, bytes));
    return encode(GNT_AMQP_COORDINATOR, &c, out, value);
}

/* What the peer has said about its own end. */
static struct gnt_amqp_value echo(struct gnt_slice bytes)
{
    return bytes.size ? gnt_amqp_encoded(bytes) : (struct gnt_amqp_value){.type = GNT_AMQP_NULL};
}

gnt_err gnt_attach_answer(struct gnt_amqp_peer *p, const struct gnt_wanted *wanted,
                          struct gnt_slice filter)
{
    struct gnt_amqp_attach a = {.snd_settle_mode = wanted->snd_settle_mode};
    struct gnt_buf bytes = {0};
    gnt_err err;
    a.has.snd_settle_mode = true;
    GNT_AMQP_SET(&a, rcv_settle_mode, GNT_AMQP_RECEIVER_FIRST);
    if (wanted->link->sender) {
        err = our_source(wanted, filter, &bytes, &a.source);
        a.target = echo(wanted->target_bytes);
        a.rcv_settle_mode = wanted->rcv_settle_mode;
    } else {
        err = wanted->coordinator ? our_coordinator(&bytes, &a.target)
                                  : our_target(wanted, &bytes, &a.target);
        a.source = echo(wanted->source_bytes);
        GNT_AMQP_SET(&a, max_message_size, p->front->limits.message_max);
    }
    a.has.source = wanted->link->sender || wanted->source_bytes.size > 0;
    a.has.target = !wanted->link->sender || wanted->target_bytes.size > 0;
    if (!err)
        err = gnt_amqp_link_answer(wanted->link, &a, wanted->unsettled, wanted->unsettled_count);
    gnt_buf_fini(&bytes);
    return err;
}

/* ---- Open */

gnt_err gnt_amqp_peer_open(struct gnt_amqp_peer *p)
{
    static const char *const offered[] = {"ANONYMOUS-RELAY"};
    uint8_t bytes[SYMBOLS_SIZE], map[128];
    struct gnt_amqp_open answer = {.max_frame_size = 0};
    struct gnt_amqp_writer w = gnt_amqp_writer(map, sizeof map);
    size_t mark = gnt_amqp_begin_map(&w);
    gnt_amqp_put_symbol(&w, gnt_slice_str("product"));
    gnt_amqp_put_string(&w, gnt_slice_str("gnatter"));
    gnt_amqp_put_symbol(&w, gnt_slice_str("version"));
    gnt_amqp_put_string(&w, gnt_slice_str(GNATTER_VERSION));
    gnt_amqp_end_map(&w, mark, 4);
    GNT_AMQP_SET(&answer, properties, gnt_amqp_encoded(gnt_amqp_written(&w)));
    GNT_AMQP_SET(&answer, offered_capabilities, symbols(offered, 1, bytes));
    return gnt_amqp_connection_open(&p->engine, &answer);
}
