#include "support/amqp_pair.h"

#include "support/unit.h"

struct gnt_amqp_options pair_options(void)
{
    return (struct gnt_amqp_options){.container_id = gnt_slice_str("test"),
                                     .max_frame_size = 65536,
                                     .sessions_max = 16,
                                     .links_max = 16,
                                     .unsettled_max = 1000,
                                     .incoming_window = 100};
}

void pair_init(struct pair *p, const struct gnt_amqp_options *options)
{
    *p = (struct pair){.now = GNT_NS_PER_S};
    for (int side = 0; side < 2; side++) {
        struct pair_end *e = &p->end[side];
        e->options = options ? *options : pair_options();
        gnt_outq_init(&e->out);
        gnt_amqp_connection_init(&e->c, (enum gnt_amqp_side)side, &e->options, &e->out, p->now);
    }
}

void pair_fini(struct pair *p)
{
    for (int side = 0; side < 2; side++) {
        gnt_amqp_connection_fini(&p->end[side].c);
        gnt_outq_fini(&p->end[side].out);
        gnt_buf_fini(&p->end[side].in);
    }
}

size_t pair_move_some(struct pair *p, int side, size_t max)
{
    struct gnt_outq *out = &p->end[side].out;
    size_t moved = 0;
    while (out->size && moved < max) {
        struct iovec iov;
        assert_int_equal(gnt_outq_iov(out, &iov, 1), 1);
        size_t n = iov.iov_len < max - moved ? iov.iov_len : max - moved;
        if (!p->cut)
            assert_int_equal(gnt_buf_put(&p->end[!side].in, gnt_slice(iov.iov_base, n)), GNT_OK);
        gnt_outq_take(out, n);
        moved += n;
    }
    return moved;
}

void pair_move(struct pair *p)
{
    for (int side = 0; side < 2; side++) {
        assert_int_equal(gnt_amqp_connection_flush(&p->end[side].c, p->now), GNT_OK);
        pair_move_some(p, side, SIZE_MAX);
    }
}

static bool next(struct pair *p, int side, struct gnt_amqp_event *event)
{
    struct pair_end *e = &p->end[side];
    struct gnt_slice in = gnt_buf_slice(&e->in);
    size_t before = in.size;
    e->err = gnt_amqp_connection_next(&e->c, &in, p->now, event, NULL);
    gnt_buf_take(&e->in, before - in.size);
    return e->err == GNT_OK;
}

bool pair_next(struct pair *p, int side, struct gnt_amqp_event *event)
{
    if (!gnt_buf_size(&p->end[side].in))
        pair_move(p);
    return next(p, side, event);
}

void pair_expect(struct pair *p, int side, enum gnt_amqp_event_type type,
                 struct gnt_amqp_event *event)
{
    struct gnt_amqp_event unused;
    struct gnt_amqp_event *e = event ? event : &unused;
    if (!pair_next(p, side, e) && !pair_next(p, side, e))
        fail_msg("no event %d at %d: %s, %s", (int)type, side, gnt_err_text(p->end[side].err),
                 p->end[side].c.why ? p->end[side].c.why : "-");
    assert_int_equal(e->type, type);
}

void pair_expect_none(struct pair *p, int side)
{
    struct gnt_amqp_event event;
    pair_move(p);
    if (pair_next(p, side, &event))
        fail_msg("an event %d at %d", (int)event.type, side);
    assert_int_equal(p->end[side].err, GNT_MORE);
}

void pair_open(struct pair *p)
{
    const struct gnt_amqp_open open = {0};
    assert_int_equal(gnt_amqp_connection_open(&p->end[CLIENT].c, &open), GNT_OK);
    pair_expect(p, SERVER, GNT_AMQP_EVENT_OPEN, NULL);
    assert_int_equal(gnt_amqp_connection_open(&p->end[SERVER].c, &open), GNT_OK);
    pair_expect(p, CLIENT, GNT_AMQP_EVENT_OPEN, NULL);
}

void pair_begin(struct pair *p, struct gnt_amqp_session *s[2])
{
    struct gnt_amqp_event event;
    assert_int_equal(gnt_amqp_session_begin(&p->end[CLIENT].c, &s[CLIENT]), GNT_OK);
    pair_expect(p, SERVER, GNT_AMQP_EVENT_BEGIN, &event);
    s[SERVER] = event.session;
    pair_expect(p, CLIENT, GNT_AMQP_EVENT_BEGIN, &event);
    assert_ptr_equal(event.session, s[CLIENT]);
}

void pair_attach(struct pair *p, struct gnt_amqp_session *const s[2], const char *name, bool sender,
                 const struct gnt_amqp_attach *attach, struct gnt_amqp_link *l[2])
{
    struct gnt_amqp_event event;
    struct gnt_amqp_attach a = attach ? *attach : (struct gnt_amqp_attach){0};
    a.name = gnt_slice_str(name);
    a.role = sender ? GNT_AMQP_SENDER : GNT_AMQP_RECEIVER;
    assert_int_equal(gnt_amqp_link_attach(s[CLIENT], &a, NULL, 0, &l[CLIENT]), GNT_OK);
    pair_expect(p, SERVER, GNT_AMQP_EVENT_ATTACH, &event);
    l[SERVER] = event.link;
    a = attach ? *attach : (struct gnt_amqp_attach){0};
    assert_int_equal(gnt_amqp_link_answer(l[SERVER], &a, NULL, 0), GNT_OK);
    pair_expect(p, CLIENT, GNT_AMQP_EVENT_ATTACH, &event);
    assert_ptr_equal(event.link, l[CLIENT]);
}

gnt_err pair_send(struct gnt_amqp_link *l, uint8_t tag, struct gnt_slice bytes,
                  struct gnt_amqp_delivery **d)
{
    size_t taken;
    const struct gnt_amqp_sending sending = {.tag = gnt_slice(&tag, 1)};
    const struct gnt_amqp_piece piece = {.bytes = bytes};
    *d = NULL;
    return gnt_amqp_link_send(l, &sending, &piece, 1, &taken, d);
}

/* ---- By hand */

void pair_inject_bytes(struct pair *p, int side, struct gnt_slice bytes)
{
    assert_int_equal(gnt_buf_put(&p->end[side].in, bytes), GNT_OK);
}

void pair_inject(struct pair *p, int side, uint16_t channel, enum gnt_amqp_descriptor code,
                 const void *composite, struct gnt_slice payload)
{
    static uint8_t bytes[1 << 17];
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    size_t mark = gnt_amqp_begin_frame(&w, GNT_AMQP_FRAME_AMQP, channel);
    if (composite)
        gnt_amqp_put_as(&w, code, composite);
    gnt_amqp_put_raw(&w, payload);
    gnt_amqp_end_frame(&w, mark, 0);
    assert_true(gnt_amqp_fits(&w));
    pair_inject_bytes(p, side, gnt_amqp_written(&w));
}

bool pair_written(struct pair *p, int side, struct gnt_amqp_frame *frame,
                  struct gnt_amqp_composite *out)
{
    static uint8_t bytes[1 << 17];
    struct gnt_outq *q = &p->end[side].out;
    struct iovec iov[64];
    size_t size = 0;
    int n = gnt_outq_iov(q, iov, 64);
    for (int i = 0; i < n && size + iov[i].iov_len <= sizeof bytes; i++) {
        memcpy(bytes + size, iov[i].iov_base, iov[i].iov_len);
        size += iov[i].iov_len;
    }
    if (gnt_amqp_frame(gnt_slice(bytes, size), sizeof bytes, frame))
        return false;
    gnt_outq_take(q, frame->size);
    out->code = 0;
    if (frame->body.size) {
        struct gnt_reader r = gnt_reader(frame->body);
        assert_int_equal(gnt_amqp_read_composite(&r, out), GNT_OK);
    }
    return true;
}
