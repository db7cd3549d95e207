#include "net/ws_frame.h"

#include "base/assert.h"

#include <pthread.h>
#include <stdlib.h>
#include <wslay/wslay.h>

struct gnt_ws_framer {
    wslay_frame_context_ptr wslay;
    /* Reading: */
    struct gnt_slice in; /* what wslay has not been given */
    size_t inside;       /* bytes that it was given, and that no frame has accounted for */
    uint64_t left;       /* payload of this frame that has not come */
    uint8_t control_size;
    uint8_t control[GNT_WS_CONTROL_MAX]; /* a control frame, which may come in parts */
    /* Writing: */
    uint8_t *to;  /* where the frame goes, with room enough */
    size_t taken; /* how much that is */
    bool head_only;
    const struct gnt_random *masks; /* that this one has ever used */
};

/* ---- What wslay calls */

static ssize_t give(uint8_t *to, size_t size, int flags, void *context)
{
    struct gnt_ws_framer *f = context;
    size_t n = size < f->in.size ? size : f->in.size;
    (void)flags;
    if (n == 0)
        return -1;
    memcpy(to, f->in.data, n);
    f->in = gnt_slice_skip(f->in, n);
    f->inside += n;
    return (ssize_t)n;
}

/* The header first, then payload. */
static ssize_t take(const uint8_t *data, size_t size, int flags, void *context)
{
    struct gnt_ws_framer *f = context;
    (void)flags;
    if (f->to) {
        memcpy(f->to, data, size);
        f->to = f->head_only ? NULL : f->to + size;
    }
    f->taken += f->head_only && f->taken ? 0 : size;
    return (ssize_t)size;
}

static int make_mask(uint8_t *to, size_t size, void *context)
{
    const struct gnt_ws_framer *f = context;
    f->masks->fill(f->masks->self, to, size);
    return 0;
}

/* ---- Framers, of which each thread keeps one */

static _Thread_local struct gnt_ws_framer *kept;
static pthread_key_t key;
static bool keyed;

static void framer_free(struct gnt_ws_framer *f)
{
    if (!f)
        return;
    wslay_frame_context_free(f->wslay);
    free(f);
}

static void thread_ends(void *framer)
{
    kept = NULL;
    framer_free(framer);
}

static void make_key(void)
{
    keyed = pthread_key_create(&key, thread_ends) == 0;
}

static struct gnt_ws_framer *framer_get(void)
{
    static const struct wslay_frame_callbacks callbacks = {.send_callback = take,
                                                           .recv_callback = give,
                                                           .genmask_callback = make_mask};
    struct gnt_ws_framer *f = kept;
    if (f) {
        kept = NULL;
        pthread_setspecific(key, NULL);
        return f;
    }
    f = calloc(1, sizeof *f);
    if (f && wslay_frame_context_init(&f->wslay, &callbacks, f)) {
        free(f);
        f = NULL;
    }
    return f;
}

/* F is between two frames.  wslay remembers for good that it has masked. */
static void framer_put(struct gnt_ws_framer *f)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_key);
    if (kept || f->masks || !keyed || pthread_setspecific(key, f))
        framer_free(f);
    else
        kept = f;
}

/* ---- Reading */

gnt_err gnt_ws_reader_ready(struct gnt_ws_reader *r)
{
    if (!r->framer)
        r->framer = framer_get();
    return r->framer ? GNT_OK : GNT_NOMEM;
}

/* The size that FRAME's header had on the wire. */
static size_t head_size(const struct wslay_frame_iocb *frame)
{
    size_t length = frame->payload_length > UINT16_MAX ? 8 : frame->payload_length > 125 ? 2 : 0;
    return 2 + length + (frame->mask ? 4 : 0);
}

/* What wslay leaves to its caller [RFC 6455 5.1, 5.2, 5.4].  MQTT goes in binary frames only
 * [MQTT5 6.0]. */
static enum gnt_ws_status objection(const struct gnt_ws_reader *r,
                                    const struct wslay_frame_iocb *frame)
{
    if (frame->rsv || (frame->mask != 0) != r->masked)
        return GNT_WS_PROTOCOL_ERROR;
    switch (frame->opcode) {
    case GNT_WS_CONTINUATION: return r->message ? GNT_WS_NO_STATUS : GNT_WS_PROTOCOL_ERROR;
    case GNT_WS_BINARY: return r->message ? GNT_WS_PROTOCOL_ERROR : GNT_WS_NO_STATUS;
    case GNT_WS_TEXT: return r->message ? GNT_WS_PROTOCOL_ERROR : GNT_WS_UNSUPPORTED_DATA;
    case GNT_WS_CLOSE:
    case GNT_WS_PING:
    case GNT_WS_PONG: return GNT_WS_NO_STATUS;
    default: return GNT_WS_PROTOCOL_ERROR;
    }
}

/* Some payload of FRAME has come, or all that is not there.  True: it makes a piece. */
static bool on_payload(struct gnt_ws_reader *r, const struct wslay_frame_iocb *frame,
                       struct gnt_ws_piece *piece)
{
    struct gnt_ws_framer *f = r->framer;
    if (!wslay_is_ctrl_frame(frame->opcode)) {
        r->message = f->left || !frame->fin;
        *piece = (struct gnt_ws_piece){GNT_WS_BINARY, gnt_slice(frame->data, frame->data_length)};
        return true;
    }
    memcpy(f->control + f->control_size, frame->data, frame->data_length);
    f->control_size = (uint8_t)(f->control_size + frame->data_length);
    *piece = (struct gnt_ws_piece){frame->opcode, gnt_slice(f->control, f->control_size)};
    return f->left == 0;
}

/* *made: there is a piece. */
static gnt_err read_frame(struct gnt_ws_reader *r, struct gnt_ws_piece *piece, bool *made,
                          enum gnt_ws_status *status)
{
    struct gnt_ws_framer *f = r->framer;
    struct wslay_frame_iocb frame = {0};
    ssize_t n = wslay_frame_recv(f->wslay, &frame);
    *status = GNT_WS_PROTOCOL_ERROR;
    if (n < 0)
        return n == WSLAY_ERR_WANT_READ ? GNT_MORE : GNT_PROTOCOL;
    if (!f->left) {
        *status = objection(r, &frame);
        if (*status)
            return GNT_PROTOCOL;
        f->inside -= head_size(&frame);
        f->left = frame.payload_length;
        f->control_size = 0;
    }
    f->inside -= frame.data_length;
    f->left -= frame.data_length;
    *made = on_payload(r, &frame, piece);
    return GNT_OK;
}

gnt_err gnt_ws_read(struct gnt_ws_reader *r, struct gnt_slice *in, struct gnt_ws_piece *piece,
                    enum gnt_ws_status *status)
{
    gnt_err err = gnt_ws_reader_ready(r);
    if (err)
        return err;
    struct gnt_ws_framer *f = r->framer;
    bool made = false;
    f->in = *in;
    while (!err && !made)
        err = read_frame(r, piece, &made, status);
    *in = f->in;
    if (err == GNT_MORE && !f->left && !f->inside) { /* between two frames */
        framer_put(f);
        r->framer = NULL;
    }
    return err;
}

void gnt_ws_reader_fini(struct gnt_ws_reader *r)
{
    framer_free(r->framer); /* it may be within a frame */
    r->framer = NULL;
}

/* ---- Writing */

/* A whole frame with the first SIZE bytes of IOV; without IOV its header.  Returns its size. */
static size_t write_frame(struct gnt_ws_framer *f, enum gnt_ws_opcode opcode,
                          const struct iovec *iov, size_t size, uint8_t *to)
{
    static const uint8_t nothing[1];
    struct wslay_frame_iocb frame = {
        .fin = 1, .opcode = (uint8_t)opcode, .payload_length = size, .mask = f->masks != NULL};
    f->to = to;
    f->taken = 0;
    f->head_only = !iov;
    size_t left = size;
    do {
        frame.data = iov ? iov->iov_base : nothing;
        frame.data_length = iov && iov->iov_len < left ? iov->iov_len : left;
        left -= frame.data_length;
        ssize_t n = wslay_frame_send(f->wslay, &frame);
        GNT_ASSERT(n == (ssize_t)frame.data_length); /* `take` takes all */
        if (iov)
            iov++;
    } while (left);
    return f->taken;
}

gnt_err gnt_ws_head(enum gnt_ws_opcode opcode, size_t size, uint8_t *out, size_t *n)
{
    struct gnt_ws_framer *f = framer_get();
    if (!f)
        return GNT_NOMEM;
    *n = write_frame(f, opcode, NULL, size, out);
    framer_put(f);
    return GNT_OK;
}

gnt_err gnt_ws_put(struct gnt_buf *to, const struct gnt_random *masks, enum gnt_ws_opcode opcode,
                   const struct iovec *iov, size_t size)
{
    gnt_err err = gnt_buf_reserve(to, size + GNT_WS_MASKED_MAX);
    struct gnt_ws_framer *f = err ? NULL : framer_get();
    if (!f)
        return GNT_NOMEM;
    f->masks = masks;
    gnt_buf_wrote(to, write_frame(f, opcode, iov, size, gnt_buf_tail(to)));
    framer_put(f);
    return GNT_OK;
}
