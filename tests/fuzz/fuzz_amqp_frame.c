/* Any bytes as a stream of frames.  No cut changes what is told; a performative that decodes comes
 * out of its own encoding as itself; a payload is split as a message, and so is the body of a
 * frame; whatever it is, the printer keeps its bound, says the same each time, and nothing that
 * moves a terminal. */
#include "fuzz.h"

#include "../support/amqp_value.h"

#include "amqp/codec/frame.h"
#include "amqp/codec/message.h"
#include "amqp/codec/performative.h"

enum { FRAME_MAX = 65536, TEXT_MAX = 300 };

static void check_cuts(struct gnt_slice in, size_t size)
{
    struct gnt_amqp_frame frame;
    for (size_t cut = 0; cut < size; cut += cut < 8 ? 1 : 1 + size / 8)
        GNT_ASSERT(gnt_amqp_frame(gnt_slice(in.data, cut), FRAME_MAX, &frame) == GNT_MORE);
}

static void check_text(const struct gnt_buf *out, size_t max)
{
    const struct gnt_slice text = gnt_buf_slice(out);
    GNT_ASSERT(text.size <= max && gnt_amqp_text_valid(text));
    for (size_t i = 0; i < text.size; i++)
        GNT_ASSERT(text.data[i] >= 0x20 && text.data[i] != 0x7f);
}

static void check_printed(const struct gnt_amqp_frame *frame)
{
    static const size_t bounds[] = {2, TEXT_MAX, FRAME_MAX * 8};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        struct gnt_buf out = {0};
        GNT_ASSERT(gnt_amqp_print_frame(&out, bounds[i], frame) == GNT_OK);
        check_text(&out, bounds[i]);
        gnt_buf_clear(&out);
        GNT_ASSERT(gnt_amqp_print_message(&out, bounds[i], frame->body) == GNT_OK);
        check_text(&out, bounds[i]);
        gnt_buf_fini(&out);
    }
}

/* Encoded again and decoded again, it is written the same, and its composites are as good as it is.
 */
static void check_composite(const struct gnt_amqp_composite *c)
{
    struct gnt_amqp_writer sizing = gnt_amqp_writer(NULL, 0);
    gnt_amqp_put_composite(&sizing, c);
    uint8_t *bytes = malloc(2 * sizing.size);
    GNT_ASSERT(bytes != NULL);
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizing.size);
    gnt_amqp_put_composite(&w, c);
    GNT_ASSERT(gnt_amqp_fits(&w) && w.size == sizing.size);
    struct gnt_amqp_composite again;
    GNT_ASSERT(gnt_amqp_decode(gnt_amqp_written(&w), &again) == GNT_OK && again.code == c->code);
    struct gnt_amqp_writer v = gnt_amqp_writer(bytes + w.size, w.size);
    gnt_amqp_put_composite(&v, &again);
    GNT_ASSERT(gnt_slice_eq(gnt_amqp_written(&v), gnt_amqp_written(&w)));
    if (c->code == GNT_AMQP_ATTACH && c->attach.has.source) {
        struct gnt_amqp_source source;
        (void)!gnt_amqp_decode_source(c->attach.source.encoded, &source);
    }
    free(bytes);
}

static void check_message(struct gnt_slice bytes)
{
    struct gnt_amqp_message m;
    if (gnt_amqp_message_split(bytes, &m) != GNT_OK)
        return;
    GNT_ASSERT(m.header.size + m.delivery_annotations.size + m.lasting.size == bytes.size);
    GNT_ASSERT(m.message_annotations.size + m.bare.size + m.footer.size == m.lasting.size);
    GNT_ASSERT(m.properties.size + m.application_properties.size + m.body.size == m.bare.size);
    GNT_ASSERT((m.body_kind == 0) == (m.body.size == 0));
    struct gnt_amqp_value value;
    struct gnt_slice body = m.body;
    uint32_t sections = 0;
    while (gnt_amqp_next_section(&body, &value))
        sections++;
    GNT_ASSERT((sections == m.body_sections) == (body.size == 0));
    GNT_ASSERT(body.size == 0 || !gnt_amqp_message_valid(&m));
    (void)gnt_amqp_lookup(m.message_annotations, "x", &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gnt_slice in = gnt_slice(data, size);
    struct gnt_amqp_protocol protocol;
    if (gnt_amqp_protocol(in, &protocol) == GNT_OK)
        in = gnt_slice_skip(in, GNT_AMQP_PROTOCOL_SIZE);
    check_message(in);
    struct gnt_amqp_frame frame;
    while (gnt_amqp_frame(in, FRAME_MAX, &frame) == GNT_OK) {
        check_cuts(in, frame.size);
        check_printed(&frame);
        check_message(frame.body);
        struct gnt_reader body = gnt_reader(frame.body);
        struct gnt_amqp_composite c;
        if (gnt_amqp_read_composite(&body, &c) == GNT_OK) {
            check_composite(&c);
            check_message(gnt_slice(body.at, gnt_read_left(&body)));
        } else {
            GNT_ASSERT(body.bad);
        }
        in = gnt_slice_skip(in, frame.size);
    }
    return 0;
}
