#include "store/message_codec.h"

#include "base/assert.h"
#include "store/bytes.h"

enum {
    QOS_MASK = 0x03,
    RETAIN = 0x04,
    EXPIRES = 0x08,
    KNOWN_FLAGS = QOS_MASK | RETAIN | EXPIRES,
    HEAD = 3 + 4 + 4, /* without the time of expiry */
};

static bool does_expire(const struct gnt_message *m)
{
    return m->expires != GNT_NEVER;
}

size_t gnt_message_encoded_size(const struct gnt_message *m)
{
    return HEAD + (does_expire(m) ? sizeof(uint64_t) : 0) + m->topic.size + m->extras.size +
           m->payload.size;
}

gnt_err gnt_message_encode(const struct gnt_message *m, const struct gnt_store_time *time,
                           struct gnt_buf *to)
{
    if (m->topic.size > UINT32_MAX || m->extras.size > UINT32_MAX)
        return GNT_TOOBIG;
    size_t size = gnt_message_encoded_size(m);
    gnt_err err = gnt_buf_reserve(to, size);
    if (err)
        return err;
    uint8_t *at = gnt_buf_tail(to);
    *at++ = GNT_MESSAGE_CODEC_VERSION;
    *at++ = (uint8_t)(m->qos | (m->retain ? RETAIN : 0) | (does_expire(m) ? EXPIRES : 0));
    *at++ = m->format;
    if (does_expire(m))
        at = gnt_put_u64(at, gnt_store_time_from(time, m->expires));
    at = gnt_put_u32(at, (uint32_t)m->topic.size);
    at = gnt_put_u32(at, (uint32_t)m->extras.size);
    at = gnt_put_bytes(at, m->topic);
    at = gnt_put_bytes(at, m->extras);
    at = gnt_put_bytes(at, m->payload);
    GNT_ASSERT(at == gnt_buf_tail(to) + size);
    gnt_buf_wrote(to, size);
    return GNT_OK;
}

gnt_err gnt_message_decode(struct gnt_slice bytes, const struct gnt_store_time *time,
                           struct gnt_message **out)
{
    struct gnt_reader r = gnt_reader(bytes);
    uint8_t version = gnt_read_u8(&r), flags = gnt_read_u8(&r), format = gnt_read_u8(&r);
    if (version > GNT_MESSAGE_CODEC_VERSION)
        return GNT_UNSUPPORTED;
    if (version == 0 || flags & ~KNOWN_FLAGS || (flags & QOS_MASK) > 2 || format > GNT_EXTRAS_AMQP)
        return GNT_MALFORMED;
    struct gnt_message_init init = {
        .format = (enum gnt_extras_format)format,
        .qos = flags & QOS_MASK,
        .retain = flags & RETAIN,
        .expires = GNT_NEVER,
    };
    if (flags & EXPIRES)
        init.expires = gnt_store_time_to(time, gnt_read_u64(&r));
    uint32_t topic_size = gnt_read_u32(&r), extras_size = gnt_read_u32(&r);
    init.topic = gnt_read_bytes(&r, topic_size);
    init.extras = gnt_read_bytes(&r, extras_size);
    init.payload = gnt_read_bytes(&r, gnt_read_left(&r));
    return r.bad ? GNT_MALFORMED : gnt_message_new(&init, out);
}
