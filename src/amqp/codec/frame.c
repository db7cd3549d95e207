#include "amqp/codec/frame.h"

enum {
    WORD = 4,       /* the data offset counts these [AMQP 2.3.1] */
    OFFSET_MIN = 2, /* the fixed header's own */
    SIZE_BYTES = 4,
};

static const uint8_t magic[] = {'A', 'M', 'Q', 'P'};

gnt_err gnt_amqp_protocol(struct gnt_slice in, struct gnt_amqp_protocol *out)
{
    const size_t seen = in.size < sizeof magic ? in.size : sizeof magic;
    if (!gnt_slice_eq(gnt_slice(in.data, seen), gnt_slice(magic, seen)))
        return GNT_MALFORMED;
    if (in.size < GNT_AMQP_PROTOCOL_SIZE)
        return GNT_MORE;
    *out = (struct gnt_amqp_protocol){in.data[4], in.data[5], in.data[6], in.data[7]};
    return GNT_OK;
}

void gnt_amqp_put_protocol(struct gnt_amqp_writer *w, enum gnt_amqp_protocol_id id)
{
    const uint8_t header[GNT_AMQP_PROTOCOL_SIZE] = {'A', 'M', 'Q', 'P', (uint8_t)id, 1, 0, 0};
    gnt_amqp_put_raw(w, gnt_slice(header, sizeof header));
}

/* Whether the header, as far as it has come, can be one. */
static bool head_possible(struct gnt_slice in, size_t size)
{
    if (size < GNT_AMQP_FRAME_HEAD)
        return false;
    if (in.size > 4 && (in.data[4] < OFFSET_MIN || (size_t)in.data[4] * WORD > size))
        return false;
    return in.size <= 5 || in.data[5] <= GNT_AMQP_FRAME_SASL;
}

gnt_err gnt_amqp_frame(struct gnt_slice in, size_t max, struct gnt_amqp_frame *out)
{
    *out = (struct gnt_amqp_frame){0};
    if (in.size < SIZE_BYTES)
        return GNT_MORE;
    struct gnt_reader r = gnt_reader(in);
    const size_t size = gnt_read_u32(&r);
    if (size < GNT_AMQP_FRAME_HEAD)
        return GNT_MALFORMED;
    out->size = size;
    if (size > max)
        return GNT_TOOBIG;
    if (!head_possible(in, size))
        return GNT_MALFORMED;
    if (in.size < size)
        return GNT_MORE;
    const size_t offset = (size_t)in.data[4] * WORD;
    out->type = in.data[5];
    out->channel = (uint16_t)(in.data[6] << 8 | in.data[7]);
    out->body = gnt_slice(in.data + offset, size - offset);
    return GNT_OK;
}

size_t gnt_amqp_begin_frame(struct gnt_amqp_writer *w, enum gnt_amqp_frame_type type,
                            uint16_t channel)
{
    const size_t mark = w->size;
    const uint8_t head[GNT_AMQP_FRAME_HEAD] = {
        0, 0, 0, 0, OFFSET_MIN, (uint8_t)type, (uint8_t)(channel >> 8), (uint8_t)channel};
    gnt_amqp_put_raw(w, gnt_slice(head, sizeof head));
    return mark;
}

void gnt_amqp_end_frame(struct gnt_amqp_writer *w, size_t mark, size_t behind)
{
    if (!gnt_amqp_fits(w))
        return;
    const size_t size = w->size - mark + behind;
    uint8_t *at = w->data + mark;
    at[0] = (uint8_t)(size >> 24);
    at[1] = (uint8_t)(size >> 16);
    at[2] = (uint8_t)(size >> 8);
    at[3] = (uint8_t)size;
}
