#include "net/stream.h"

#include "base/assert.h"
#include "net/loop.h"

#include <sys/socket.h>

/* The one place where the ready list's rule is kept: a stream is linked exactly while it is in a
 * loop and something that is wanted is possible. */
static void settle(struct gnt_stream *s)
{
    bool ready = s->loop && (s->events & s->want);
    if (ready && !gnt_list_linked(&s->ready))
        gnt_list_push_back(&s->loop->ready, &s->ready);
    else if (!ready)
        gnt_list_remove(&s->ready);
}

void gnt_stream_init(struct gnt_stream *s, const struct gnt_stream_ops *ops, struct gnt_loop *loop)
{
    *s = (struct gnt_stream){.ops = ops, .loop = loop};
    gnt_list_init(&s->ready);
}

void gnt_stream_want(struct gnt_stream *s, uint8_t want)
{
    GNT_ASSERT(!want || s->on_ready);
    s->want = want;
    settle(s);
}

void gnt_stream_notify(struct gnt_stream *s, uint8_t events)
{
    s->events |= events;
    if (s->carries)
        gnt_stream_notify(s->owner, events);
    settle(s);
}

void gnt_stream_stand_on(struct gnt_stream *upper, struct gnt_stream *lower)
{
    lower->owner = upper;
    lower->carries = true;
    gnt_stream_notify(upper, lower->events);
}

static void clear(struct gnt_stream *s, uint8_t events)
{
    s->events &= (uint8_t)~events;
}

gnt_err gnt_stream_read(struct gnt_stream *s, void *to, size_t cap, size_t *n)
{
    GNT_ASSERT(cap > 0);
    *n = 0;
    gnt_err err = s->ops->read(s, to, cap, n);
    if (err == GNT_MORE)
        clear(s, GNT_READABLE);
    settle(s); /* the implementation may have cleared it, too */
    return err;
}

static size_t total_size(const struct iovec *iov, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += iov[i].iov_len;
    return size;
}

gnt_err gnt_stream_writev(struct gnt_stream *s, const struct iovec *iov, int count, size_t *n)
{
    if (count > GNT_STREAM_IOV_MAX)
        count = GNT_STREAM_IOV_MAX;
    *n = 0;
    gnt_err err = s->ops->writev(s, iov, count, n);
    if (err == GNT_MORE || (err == GNT_OK && *n < total_size(iov, count)))
        clear(s, GNT_WRITABLE);
    settle(s);
    return err;
}

void gnt_stream_finish(struct gnt_stream *s)
{
    s->ops->finish(s);
}

void gnt_stream_close(struct gnt_stream **s)
{
    struct gnt_stream *stream = *s;
    *s = NULL;
    if (!stream)
        return;
    gnt_stream_want(stream, 0); /* nor does what happens to it in its close put it into the list */
    stream->ops->close(stream);
}

gnt_err gnt_stream_move(struct gnt_stream *s, struct gnt_loop *loop)
{
    GNT_ASSERT(!s->loop || !loop);
    gnt_err err = s->ops->move(s, loop);
    if (err)
        return err;
    s->loop = loop;
    settle(s);
    return GNT_OK;
}

const struct gnt_stream *gnt_stream_below(const struct gnt_stream *s)
{
    return s->ops->below ? s->ops->below(s) : NULL;
}

/* The one that all of them stand on. */
static const struct gnt_stream *ground_of(const struct gnt_stream *s)
{
    for (const struct gnt_stream *below = s; below; below = gnt_stream_below(s))
        s = below;
    return s;
}

void gnt_stream_peer(const struct gnt_stream *s, char *out, size_t cap)
{
    s = ground_of(s);
    s->ops->peer(s, out, cap);
}

void gnt_stream_address(const struct gnt_stream *s, struct sockaddr_storage *out)
{
    s = ground_of(s);
    *out = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    if (s->ops->address)
        s->ops->address(s, out);
}

size_t gnt_stream_untaken(const struct gnt_stream *s)
{
    return s->ops->untaken ? s->ops->untaken(s) : 0;
}
