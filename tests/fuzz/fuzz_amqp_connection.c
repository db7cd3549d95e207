/* Any bytes as what the peer of an AMQP engine sends, to a server or a client whose owner says yes
 * to everything.  The first byte says how the connection begins (below); the second one where the
 * bytes are cut the second time: cut or not, the same must have happened, and the same must have
 * been answered.  FRAMED: the bytes are pieces, each a byte with a length, one with the channel,
 * and that many bytes of a frame's body. */
#include "fuzz.h"

#include "base/assert.h"
#include "base/hash.h"
#include "support/amqp_owner.h"

#include <stdlib.h>

enum {
    HOW = 0x0f,     /* enum in amqp_owner.h */
    FRAMED = 0x10,  /* behind a header and an open in good order */
    NARROW = 0x20,  /* small windows and bounds */
    BOUNDED = 0x40, /* names and properties have bounds */
};

struct outcome {
    uint64_t told, written;
    unsigned events;
    gnt_err err;
};

static void take_output(struct gnt_outq *q, uint64_t *hash)
{
    struct iovec iov;
    while (gnt_outq_iov(q, &iov, 1) == 1) {
        for (size_t i = 0; i < iov.iov_len; i++)
            *hash = (*hash ^ ((const uint8_t *)iov.iov_base)[i]) * UINT64_C(0x100000001b3);
        gnt_outq_take(q, iov.iov_len);
    }
}

/* The first header or frame of IN, or all if there is none. */
static size_t first_unit(struct gnt_slice in)
{
    struct gnt_reader r = gnt_reader(in);
    uint32_t size = gnt_read_u32(&r);
    if (gnt_slice_starts(in, gnt_slice_str("AMQP")))
        size = GNT_AMQP_PROTOCOL_SIZE;
    return size < in.size && size ? size : in.size;
}

/* BYTES at a time, 0: a header or a frame; what is not taken stays in front. */
static struct outcome run(unsigned how, struct gnt_slice in, size_t bytes)
{
    const struct gnt_amqp_options options = {.container_id = gnt_slice_str("fuzz"),
                                             .max_frame_size = 2048,
                                             .idle_timeout_ms = 60000,
                                             .open_timeout_ms = 10000,
                                             .sessions_max = how & NARROW ? 2 : 64,
                                             .links_max = how & NARROW ? 2 : 64,
                                             .unsettled_max = how & NARROW ? 4 : 100,
                                             .incoming_window = how & NARROW ? 2 : 100,
                                             .properties_max = how & BOUNDED ? 16 : 0,
                                             .link_name_max = how & BOUNDED ? 8 : 0};
    struct gnt_amqp_connection c;
    struct amqp_owner owner;
    struct gnt_outq out;
    struct outcome o = {0};
    gnt_outq_init(&out);
    gnt_amqp_connection_init(&c, how & OWNER_CLIENT ? GNT_AMQP_CLIENT : GNT_AMQP_SERVER, &options,
                             &out, 1);
    o.err = amqp_owner_init(&owner, &c, how & HOW);
    GNT_ASSERT(!o.err);
    size_t seen = 0;
    struct gnt_slice left = gnt_slice(in.data, 0);
    do {
        struct gnt_slice unseen = gnt_slice_skip(in, seen);
        size_t more = bytes == 0 ? first_unit(unseen) : bytes < unseen.size ? bytes : unseen.size;
        seen += more;
        left.size += more;
        o.err = amqp_owner_take(&owner, &left, 1);
        take_output(&out, &o.written);
    } while (o.err == GNT_MORE && seen < in.size);
    GNT_ASSERT(gnt_amqp_connection_deadline(&c) > 1);
    gnt_err late = gnt_amqp_connection_tick(&c, GNT_FAR);
    GNT_ASSERT(late == GNT_TIMEOUT || c.state == GNT_AMQP_ENDED);
    amqp_owner_fini(&owner);
    GNT_ASSERT(owner.unsettled == 0);
    gnt_amqp_connection_fini(&c);
    take_output(&out, &o.written);
    gnt_outq_fini(&out);
    o.told = owner.told;
    o.events = owner.events;
    return o;
}

/* Pieces as frames, behind what comes before them. */
static struct gnt_slice frames(unsigned how, struct gnt_slice in, uint8_t *to, size_t size)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(to, size);
    struct gnt_amqp_open open = {0};
    GNT_AMQP_SET(&open, container_id, gnt_slice_str("peer"));
    GNT_AMQP_SET(&open, max_frame_size, how & NARROW ? 512 : 4096);
    gnt_amqp_put_protocol(&w, GNT_AMQP_PROTOCOL_AMQP);
    size_t mark = gnt_amqp_begin_frame(&w, GNT_AMQP_FRAME_AMQP, 0);
    gnt_amqp_put_open(&w, &open);
    gnt_amqp_end_frame(&w, mark, 0);
    size_t good = w.size;
    while (in.size >= 2) {
        size_t body = in.data[0] < in.size - 2 ? in.data[0] : in.size - 2;
        mark = gnt_amqp_begin_frame(&w, GNT_AMQP_FRAME_AMQP, in.data[1] & 7);
        gnt_amqp_put_raw(&w, gnt_slice(in.data + 2, body));
        gnt_amqp_end_frame(&w, mark, 0);
        if (!gnt_amqp_fits(&w))
            break;
        good = w.size;
        in = gnt_slice_skip(in, 2 + body);
    }
    return gnt_slice(to, good);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { INPUT_MAX = 1 << 16 };
    static uint8_t made[4 * INPUT_MAX];
    if (size < 2 || size > INPUT_MAX)
        return 0;
    unsigned how = data[0];
    struct gnt_slice in = gnt_slice(data + 2, size - 2);
    if (how & FRAMED) {
        how &= ~(unsigned)(OWNER_SASL | OWNER_REQUIRED | OWNER_TLS);
        in = frames(how, in, made, sizeof made);
    }
    struct outcome whole = run(how, in, 0);
    struct outcome cut = run(how, in, 1 + data[1] % 8);
    GNT_ASSERT(whole.err == cut.err && whole.events == cut.events);
    GNT_ASSERT(whole.told == cut.told && whole.written == cut.written);
    return 0;
}
