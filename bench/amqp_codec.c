/* What encoding and decoding cost, in our codec and in qpid-proton's, side by side: the same
 * message and the same performatives, whose fields are all looked at once they are decoded.
 * bench/amqp_codec.py builds it and counts instructions.
 *
 *     amqp_codec ours|proton message|transfer|disposition|flow encode|decode ROUNDS
 *
 * Proton's engine has generated functions for its performatives that its library does not export;
 * what is measured of it there is pn_data_fill and pn_data_scan, which it exports for the same
 * purpose. */
#include "amqp/codec/message.h"

#include <proton/codec.h>
#include <proton/message.h>
#include <stdio.h>
#include <stdlib.h>

/* Exported, but in none of the installed headers. */
int pn_data_fill(pn_data_t *data, const char *format, ...);
int pn_data_scan(pn_data_t *data, const char *format, ...);

enum { BYTES_MAX = 1024, BODY = 100, PROPERTIES = 5 };

static const char *const names[PROPERTIES] = {"site", "device", "kind", "unit", "sequence"};
static const char *const values[PROPERTIES] = {"north", "t-0042", "temperature", "celsius", ""};

static uint8_t bytes[BYTES_MAX];
static size_t size;
static char body[BODY];
static uint64_t seen; /* what the decoders add up, so that nothing of it is left out */

static void fail(const char *what)
{
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

static void see(struct gnt_slice text)
{
    seen += text.size + text.data[0];
}

/* ---- Ours */

static void ours_message_encode(void)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    struct gnt_amqp_header header = {0};
    GNT_AMQP_SET(&header, durable, true);
    GNT_AMQP_SET(&header, ttl, 60000);
    gnt_amqp_put_header(&w, &header);

    size_t mark = gnt_amqp_begin_section(&w, GNT_AMQP_MESSAGE_ANNOTATIONS);
    gnt_amqp_put_symbol(&w, gnt_slice_str("x-opt-partition-key"));
    gnt_amqp_put_string(&w, gnt_slice_str("t-0042"));
    gnt_amqp_put_symbol(&w, gnt_slice_str("x-opt-enqueued-time"));
    gnt_amqp_put_timestamp(&w, 1763870000000);
    gnt_amqp_end_map(&w, mark, 4);

    struct gnt_amqp_properties p = {0};
    GNT_AMQP_SET(&p, message_id, gnt_amqp_bytes(GNT_AMQP_STRING, gnt_slice_str("m-000001")));
    GNT_AMQP_SET(&p, to, gnt_slice_str("telemetry"));
    GNT_AMQP_SET(&p, subject, gnt_slice_str("reading"));
    GNT_AMQP_SET(&p, correlation_id, gnt_amqp_bytes(GNT_AMQP_STRING, gnt_slice_str("c-000001")));
    GNT_AMQP_SET(&p, content_type, gnt_slice_str("application/json"));
    gnt_amqp_put_properties(&w, &p);

    mark = gnt_amqp_begin_section(&w, GNT_AMQP_APPLICATION_PROPERTIES);
    for (int i = 0; i < PROPERTIES; i++) {
        gnt_amqp_put_string(&w, gnt_slice_str(names[i]));
        if (values[i][0])
            gnt_amqp_put_string(&w, gnt_slice_str(values[i]));
        else
            gnt_amqp_put_long(&w, 123456);
    }
    gnt_amqp_end_map(&w, mark, 2 * PROPERTIES);
    gnt_amqp_put_data(&w, gnt_slice(body, sizeof body));
    size = w.size;
}

static void ours_map(struct gnt_slice section)
{
    struct gnt_amqp_value map, key, value;
    if (!gnt_amqp_section(section, &map))
        fail("section");
    struct gnt_amqp_items items = gnt_amqp_items(&map);
    while (gnt_amqp_items_pair(&items, &key, &value)) {
        see(key.bytes);
        if (value.type == GNT_AMQP_STRING)
            see(value.bytes);
        else
            seen += value.number;
    }
    if (items.in.bad)
        fail("map");
}

static void ours_message_decode(void)
{
    struct gnt_amqp_message m;
    struct gnt_amqp_header header;
    struct gnt_amqp_properties p;
    struct gnt_amqp_value data;
    if (gnt_amqp_message_split(gnt_slice(bytes, size), &m) ||
        gnt_amqp_decode_header(m.header, &header) || gnt_amqp_decode_properties(m.properties, &p) ||
        !gnt_amqp_section(m.body, &data))
        fail("message");
    seen += header.durable + header.ttl;
    see(p.message_id.bytes);
    see(p.to);
    see(p.subject);
    see(p.correlation_id.bytes);
    see(p.content_type);
    ours_map(m.message_annotations);
    ours_map(m.application_properties);
    seen += data.bytes.size;
}

static void ours_transfer_encode(void)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    struct gnt_amqp_transfer t = {0};
    GNT_AMQP_SET(&t, handle, 1);
    GNT_AMQP_SET(&t, delivery_id, 1000);
    GNT_AMQP_SET(&t, delivery_tag, gnt_slice("12345678", 8));
    GNT_AMQP_SET(&t, message_format, 0);
    GNT_AMQP_SET(&t, settled, false);
    GNT_AMQP_SET(&t, more, false);
    gnt_amqp_put_transfer(&w, &t);
    size = w.size;
}

static void ours_disposition_encode(void)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    struct gnt_amqp_disposition d = {0};
    GNT_AMQP_SET(&d, role, GNT_AMQP_RECEIVER);
    GNT_AMQP_SET(&d, first, 1000);
    GNT_AMQP_SET(&d, last, 1010);
    GNT_AMQP_SET(&d, settled, true);
    GNT_AMQP_SET(&d, state, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED));
    gnt_amqp_put_disposition(&w, &d);
    size = w.size;
}

static void ours_flow_encode(void)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    struct gnt_amqp_flow f = {0};
    GNT_AMQP_SET(&f, next_incoming_id, 1000);
    GNT_AMQP_SET(&f, incoming_window, 2048);
    GNT_AMQP_SET(&f, next_outgoing_id, 5);
    GNT_AMQP_SET(&f, outgoing_window, 2048);
    GNT_AMQP_SET(&f, handle, 1);
    GNT_AMQP_SET(&f, delivery_count, 1000);
    GNT_AMQP_SET(&f, link_credit, 500);
    gnt_amqp_put_flow(&w, &f);
    size = w.size;
}

static void ours_performative_decode(void)
{
    struct gnt_reader in = gnt_reader(gnt_slice(bytes, size));
    struct gnt_amqp_composite c;
    if (gnt_amqp_read_composite(&in, &c))
        fail("performative");
    switch (c.code) {
    case GNT_AMQP_TRANSFER:
        seen += c.transfer.delivery_id + c.transfer.handle;
        see(c.transfer.delivery_tag);
        break;
    case GNT_AMQP_DISPOSITION:
        seen += c.disposition.first + c.disposition.last;
        seen += (uint64_t)gnt_amqp_code_of(c.disposition.state.encoded);
        break;
    default: seen += c.flow.link_credit + c.flow.delivery_count; break;
    }
}

/* ---- Proton's */

static pn_message_t *message;
static pn_data_t *data;

static pn_bytes_t text(const char *s)
{
    return pn_bytes(strlen(s), s);
}

static void proton_message_encode(void)
{
    pn_message_clear(message);
    pn_message_set_durable(message, true);
    pn_message_set_ttl(message, 60000);
    pn_data_t *annotations = pn_message_annotations(message);
    pn_data_put_map(annotations);
    pn_data_enter(annotations);
    pn_data_put_symbol(annotations, text("x-opt-partition-key"));
    pn_data_put_string(annotations, text("t-0042"));
    pn_data_put_symbol(annotations, text("x-opt-enqueued-time"));
    pn_data_put_timestamp(annotations, 1763870000000);
    pn_data_exit(annotations);
    pn_atom_t id = {.type = PN_STRING, .u.as_bytes = text("m-000001")};
    pn_message_set_id(message, id);
    id.u.as_bytes = text("c-000001");
    pn_message_set_correlation_id(message, id);
    pn_message_set_address(message, "telemetry");
    pn_message_set_subject(message, "reading");
    pn_message_set_content_type(message, "application/json");
    pn_data_t *properties = pn_message_properties(message);
    pn_data_put_map(properties);
    pn_data_enter(properties);
    for (int i = 0; i < PROPERTIES; i++) {
        pn_data_put_string(properties, text(names[i]));
        if (values[i][0])
            pn_data_put_string(properties, text(values[i]));
        else
            pn_data_put_long(properties, 123456);
    }
    pn_data_exit(properties);
    pn_message_set_inferred(message, true);
    pn_data_put_binary(pn_message_body(message), pn_bytes(sizeof body, body));
    size = sizeof bytes;
    if (pn_message_encode(message, (char *)bytes, &size))
        fail("pn_message_encode");
}

static void proton_map(pn_data_t *map)
{
    pn_data_rewind(map);
    pn_data_next(map);
    pn_data_enter(map);
    while (pn_data_next(map)) {
        if (pn_data_type(map) == PN_STRING)
            seen += pn_data_get_string(map).size;
        else if (pn_data_type(map) == PN_SYMBOL)
            seen += pn_data_get_symbol(map).size;
        else if (pn_data_type(map) == PN_LONG)
            seen += (uint64_t)pn_data_get_long(map);
        else
            seen += (uint64_t)pn_data_get_timestamp(map);
    }
}

static void proton_message_decode(void)
{
    pn_message_clear(message);
    if (pn_message_decode(message, (const char *)bytes, size))
        fail("pn_message_decode");
    seen += pn_message_is_durable(message) + pn_message_get_ttl(message);
    seen += pn_message_get_id(message).u.as_bytes.size;
    seen += pn_message_get_correlation_id(message).u.as_bytes.size;
    seen += (uint64_t)pn_message_get_address(message)[0];
    seen += (uint64_t)pn_message_get_subject(message)[0];
    seen += (uint64_t)pn_message_get_content_type(message)[0];
    proton_map(pn_message_annotations(message));
    proton_map(pn_message_properties(message));
    pn_data_t *content = pn_message_body(message);
    pn_data_rewind(content);
    pn_data_next(content);
    seen += pn_data_get_binary(content).size;
}

static void proton_encoded(void)
{
    ssize_t n = pn_data_encode(data, (char *)bytes, sizeof bytes);
    if (n < 0)
        fail("pn_data_encode");
    size = (size_t)n;
}

static void proton_transfer_encode(void)
{
    pn_data_clear(data);
    pn_data_fill(data, "DL[IIzI?o?o]", (uint64_t)GNT_AMQP_TRANSFER, 1u, 1000u, (size_t)8,
                 "12345678", 0u, true, false, true, false);
    proton_encoded();
}

static void proton_disposition_encode(void)
{
    pn_data_clear(data);
    pn_data_fill(data, "DL[oIIoDL[]]", (uint64_t)GNT_AMQP_DISPOSITION, true, 1000u, 1010u, true,
                 (uint64_t)GNT_AMQP_ACCEPTED);
    proton_encoded();
}

static void proton_flow_encode(void)
{
    pn_data_clear(data);
    pn_data_fill(data, "DL[IIIIIII]", (uint64_t)GNT_AMQP_FLOW, 1000u, 2048u, 5u, 2048u, 1u, 1000u,
                 500u);
    proton_encoded();
}

static void proton_decoded(void)
{
    pn_data_clear(data);
    if (pn_data_decode(data, (const char *)bytes, size) < 0)
        fail("pn_data_decode");
}

static void proton_transfer_decode(void)
{
    uint32_t handle, id, format;
    pn_bytes_t tag;
    bool has_id, has_format, settled, more;
    proton_decoded();
    pn_data_scan(data, "D.[I?Iz?Ioo]", &handle, &has_id, &id, &tag, &has_format, &format, &settled,
                 &more);
    seen += handle + id + tag.size;
}

static void proton_disposition_decode(void)
{
    uint32_t first, last;
    uint64_t state;
    bool role, has_last, settled;
    proton_decoded();
    pn_data_scan(data, "D.[oI?IoD?L.]", &role, &first, &has_last, &last, &settled, &has_last,
                 &state);
    seen += first + last + state;
}

static void proton_flow_decode(void)
{
    uint32_t in, iwin, out, owin, handle, count, credit;
    bool has_in, has_handle, has_count, has_credit;
    proton_decoded();
    pn_data_scan(data, "D.[?IIII?I?I?I]", &has_in, &in, &iwin, &out, &owin, &has_handle, &handle,
                 &has_count, &count, &has_credit, &credit);
    seen += count + credit;
}

/* ---- */

static const struct {
    const char *whose, *what;
    void (*encode)(void);
    void (*decode)(void);
} rows[] = {
    {"ours", "message", ours_message_encode, ours_message_decode},
    {"ours", "transfer", ours_transfer_encode, ours_performative_decode},
    {"ours", "disposition", ours_disposition_encode, ours_performative_decode},
    {"ours", "flow", ours_flow_encode, ours_performative_decode},
    {"proton", "message", proton_message_encode, proton_message_decode},
    {"proton", "transfer", proton_transfer_encode, proton_transfer_decode},
    {"proton", "disposition", proton_disposition_encode, proton_disposition_decode},
    {"proton", "flow", proton_flow_encode, proton_flow_decode},
};

int main(int argc, char **argv)
{
    if (argc != 5)
        return 64;
    message = pn_message();
    data = pn_data(64);
    memset(body, 'x', sizeof body);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].what, argv[2]) != 0)
            continue;
        if (strcmp(rows[i].whose, "ours") == 0)
            rows[i].encode(); /* which is what both decode */
        if (strcmp(rows[i].whose, argv[1]) != 0)
            continue;
        void (*work)(void) = strcmp(argv[3], "encode") == 0 ? rows[i].encode : rows[i].decode;
        for (long n = atol(argv[4]); n > 0; n--)
            work();
        printf("%zu bytes, sum %llu\n", size, (unsigned long long)seen);
    }
    pn_message_free(message);
    pn_data_free(data);
    return 0;
}
