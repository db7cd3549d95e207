#include "amqp/engine/inside.h"

#include "base/assert.h"

/* SASL frames are of 512 bytes at most [AMQP 5.3.1], but tokens of some mechanisms have grown
 * beyond that, and nobody knows their sender yet. */
enum { SASL_FRAME_MAX = 8192 };

/* A peer that wants a sign of life more often than this is not worth it [AMQP 2.4.5]. */
enum { PEER_IDLE_MIN_MS = 100 };

void gnt_amqp_move(struct gnt_amqp_connection *c, enum gnt_amqp_state to)
{
#define TO(state) (1u << GNT_AMQP_##state)
    static const uint8_t allowed[] = {
        [GNT_AMQP_AWAITS_HEADER] = TO(AWAITS_TLS) | TO(AWAITS_SASL) | TO(AWAITS_OPEN) | TO(ENDED),
        [GNT_AMQP_AWAITS_TLS] = TO(AWAITS_HEADER) | TO(ENDED),
        [GNT_AMQP_AWAITS_SASL] = TO(DECIDES_SASL) | TO(AWAITS_HEADER) | TO(ENDED),
        [GNT_AMQP_DECIDES_SASL] = TO(AWAITS_SASL) | TO(AWAITS_HEADER) | TO(ENDED),
        [GNT_AMQP_AWAITS_OPEN] = TO(OPENED) | TO(DISCARDS) | TO(ENDED),
        [GNT_AMQP_OPENED] = TO(DISCARDS) | TO(ENDED),
        [GNT_AMQP_DISCARDS] = TO(ENDED),
        [GNT_AMQP_ENDED] = TO(ENDED),
    };
#undef TO
    GNT_ASSERT(allowed[c->state] >> to & 1);
    c->state = (uint8_t)to;
}

void gnt_amqp_connection_init(struct gnt_amqp_connection *c, enum gnt_amqp_side side,
                              const struct gnt_amqp_options *options, struct gnt_outq *out,
                              uint64_t now)
{
    *c = (struct gnt_amqp_connection){.options = options,
                                      .out = out,
                                      .side = (uint8_t)side,
                                      .peer_max_frame_size = GNT_AMQP_FRAME_MAX_MIN,
                                      .peer_channel_max = UINT16_MAX,
                                      .heard_at = now,
                                      .wrote_at = now};
    gnt_list_init(&c->sessions);
    gnt_list_init(&c->ghosts);
    gnt_list_init(&c->dirty);
    gnt_list_init(&c->writable);
}

static void free_sessions(struct gnt_list *sessions)
{
    while (!gnt_list_empty(sessions))
        gnt_amqp_session_free(
            GNT_CONTAINER(sessions->next, struct gnt_amqp_session, in_connection));
}

/* What ended with the last event. */
static void let_go(struct gnt_amqp_connection *c)
{
    if (c->gone_delivery)
        gnt_amqp_delivery_free(c->gone_delivery);
    if (c->gone_link)
        gnt_amqp_link_gone(c->gone_link);
    if (c->gone_session)
        gnt_amqp_session_gone(c->gone_session);
    c->gone_delivery = NULL;
    c->gone_link = NULL;
    c->gone_session = NULL;
}

void gnt_amqp_connection_fini(struct gnt_amqp_connection *c)
{
    let_go(c);
    free_sessions(&c->sessions);
    free_sessions(&c->ghosts);
    gnt_amqp_table_fini(&c->local);
    gnt_amqp_table_fini(&c->remote);
}

void gnt_amqp_tell(struct gnt_amqp_event *out, enum gnt_amqp_event_type type,
                   struct gnt_amqp_session *session, struct gnt_amqp_link *link)
{
    out->type = type;
    out->session = session;
    out->link = link;
    out->delivery = NULL;
    out->condition = GNT_AMQP_NO_CONDITION;
    out->why = NULL;
    out->payload = (struct gnt_slice){0};
    out->state = (struct gnt_amqp_value){0};
    out->first = out->last = out->aborted = out->settled = false;
    out->resume = GNT_AMQP_RESUME_NONE;
}

/* ---- The end */

static gnt_err say_close(struct gnt_amqp_connection *c, const struct gnt_amqp_error *error)
{
    gnt_err err = c->open_sent ? GNT_OK : gnt_amqp_connection_open(c, &(struct gnt_amqp_open){0});
    struct gnt_amqp_composite frame = {.code = GNT_AMQP_CLOSE};
    return err ? err : gnt_amqp_say_last(c, 0, GNT_AMQP_CLOSE, &frame, error);
}

/* Whether frames can be sent. */
static bool talks(const struct gnt_amqp_connection *c)
{
    return c->header_sent && (c->state == GNT_AMQP_AWAITS_OPEN || c->state == GNT_AMQP_OPENED);
}

gnt_err gnt_amqp_fail(struct gnt_amqp_connection *c, gnt_err err, enum gnt_amqp_condition condition,
                      const char *why)
{
    struct gnt_amqp_error error = gnt_amqp_error_of(condition, why);
    if (talks(c) && gnt_amqp_connection_flush(c, c->wrote_at) == GNT_OK &&
        say_close(c, &error) == GNT_OK)
        c->condition = (uint8_t)condition;
    c->why = why;
    gnt_amqp_move(c, GNT_AMQP_ENDED);
    return err;
}

gnt_err gnt_amqp_fail_nomem(struct gnt_amqp_connection *c)
{
    return gnt_amqp_fail(c, GNT_NOMEM, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED, "out of memory");
}

gnt_err gnt_amqp_connection_close(struct gnt_amqp_connection *c, const struct gnt_amqp_error *error)
{
    if (c->state == GNT_AMQP_DISCARDS || c->state == GNT_AMQP_ENDED)
        return GNT_STATE;
    if (!talks(c)) {
        gnt_amqp_move(c, GNT_AMQP_ENDED);
        return GNT_OK;
    }
    gnt_err err = gnt_amqp_connection_flush(c, c->wrote_at);
    if (!err)
        err = say_close(c, error);
    if (err)
        return err;
    gnt_amqp_move(c, GNT_AMQP_DISCARDS);
    return GNT_OK;
}

static gnt_err on_close(struct gnt_amqp_connection *c, struct gnt_amqp_event *out)
{
    if (c->state != GNT_AMQP_DISCARDS && say_close(c, NULL))
        return gnt_amqp_fail_nomem(c);
    gnt_amqp_move(c, GNT_AMQP_ENDED);
    gnt_amqp_tell(out, GNT_AMQP_EVENT_CLOSE, NULL, NULL);
    return GNT_OK;
}

/* ---- Open */

gnt_err gnt_amqp_connection_open(struct gnt_amqp_connection *c, const struct gnt_amqp_open *open)
{
    bool client_begins = c->side == GNT_AMQP_CLIENT && c->state == GNT_AMQP_AWAITS_HEADER &&
                         c->sasl_done == c->sasl_header && c->secured == c->tls_offered;
    if (c->open_sent || !(client_begins || talks(c)))
        return GNT_STATE;
    const struct gnt_amqp_options *o = c->options;
    struct gnt_amqp_open frame = *open;
    GNT_AMQP_SET(&frame, container_id, o->container_id);
    GNT_AMQP_SET(&frame, max_frame_size, o->max_frame_size);
    GNT_AMQP_SET(&frame, channel_max, (uint16_t)(o->sessions_max - 1));
    if (o->idle_timeout_ms)
        GNT_AMQP_SET(&frame, idle_time_out, o->idle_timeout_ms / 2);
    if (!frame.has.properties)
        GNT_AMQP_SET(&frame, properties, gnt_amqp_no_properties());
    if (!c->header_sent) {
        gnt_err err = gnt_amqp_say_header(c, GNT_AMQP_PROTOCOL_AMQP);
        if (err)
            return err;
        c->header_sent = true;
    }
    gnt_err err = gnt_amqp_say(c, 0, GNT_AMQP_OPEN, &frame);
    c->open_sent = !err;
    return err;
}

static gnt_err on_open(struct gnt_amqp_connection *c, uint64_t now, struct gnt_amqp_event *out)
{
    const struct gnt_amqp_open *open = &out->performative.open;
    gnt_amqp_move(c, GNT_AMQP_OPENED);
    c->heard_at = now;
    if (open->max_frame_size < GNT_AMQP_FRAME_MAX_MIN)
        return gnt_amqp_fail(c, GNT_PROTOCOL, GNT_AMQP_INVALID_FIELD,
                             "a max-frame-size of less than 512");
    c->peer_max_frame_size = open->max_frame_size;
    c->peer_channel_max = open->channel_max;
    c->peer_idle_ms = open->idle_time_out;
    if (c->peer_idle_ms && c->peer_idle_ms < PEER_IDLE_MIN_MS)
        return gnt_amqp_fail(c, GNT_PROTOCOL, GNT_AMQP_NOT_ALLOWED,
                             "an idle-time-out that is too short to keep to");
    if (gnt_amqp_over(open->properties.encoded.size, c->options->properties_max))
        return gnt_amqp_fail(c, GNT_PROTOCOL, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
                             "too many bytes of properties");
    gnt_amqp_tell(out, GNT_AMQP_EVENT_OPEN, NULL, NULL);
    return GNT_OK;
}

/* ---- In */

static gnt_err on_bad_composite(struct gnt_amqp_connection *c, gnt_err err)
{
    if (err == GNT_UNSUPPORTED)
        return gnt_amqp_fail(c, GNT_PROTOCOL, GNT_AMQP_NOT_IMPLEMENTED,
                             "a frame that AMQP 1.0 does not have");
    if (err == GNT_PROTOCOL)
        return gnt_amqp_fail(c, err, GNT_AMQP_INVALID_FIELD, "a mandatory field is absent");
    return gnt_amqp_fail(c, GNT_MALFORMED, GNT_AMQP_DECODE_ERROR, "a frame that cannot be decoded");
}

static gnt_err out_of_order(struct gnt_amqp_connection *c)
{
    return gnt_amqp_fail(c, GNT_PROTOCOL, GNT_AMQP_ILLEGAL_STATE,
                         "a frame that may not come in this state");
}

/* Between open and close: everything that belongs to a session. */
static gnt_err on_session_frame(struct gnt_amqp_connection *c, const struct gnt_amqp_arrival *in,
                                struct gnt_amqp_event *out)
{
    static gnt_amqp_handler *const handlers[] = {
        [GNT_AMQP_BEGIN - GNT_AMQP_OPEN] = gnt_amqp_on_begin,
        [GNT_AMQP_ATTACH - GNT_AMQP_OPEN] = gnt_amqp_on_attach,
        [GNT_AMQP_FLOW - GNT_AMQP_OPEN] = gnt_amqp_on_flow,
        [GNT_AMQP_TRANSFER - GNT_AMQP_OPEN] = gnt_amqp_on_transfer,
        [GNT_AMQP_DISPOSITION - GNT_AMQP_OPEN] = gnt_amqp_on_disposition,
        [GNT_AMQP_DETACH - GNT_AMQP_OPEN] = gnt_amqp_on_detach,
        [GNT_AMQP_END - GNT_AMQP_OPEN] = gnt_amqp_on_end,
    };
    uint64_t code = out->performative.code;
    if (in->channel >= c->options->sessions_max)
        return gnt_amqp_fail(c, GNT_PROTOCOL, GNT_AMQP_CONNECTION_FRAMING_ERROR,
                             "a channel above channel-max");
    struct gnt_amqp_session *s =
        (struct gnt_amqp_session *)gnt_amqp_table_at(&c->remote, in->channel);
    if ((s != NULL) != (code != GNT_AMQP_BEGIN)) {
        /* Some clients settle and give credit on a channel after they have ended it. */
        bool late = !s && code != GNT_AMQP_ATTACH && in->channel < c->channels_seen;
        return late ? GNT_MORE : out_of_order(c);
    }
    if (s && s->end_sent && code != GNT_AMQP_END) /* [AMQP 2.5.5] */
        return GNT_MORE;
    return handlers[code - GNT_AMQP_OPEN](c, in, out);
}

static gnt_err on_amqp_frame(struct gnt_amqp_connection *c, const struct gnt_amqp_frame *frame,
                             struct gnt_slice whole, uint64_t now, struct gnt_amqp_event *out)
{
    if (c->state == GNT_AMQP_DISCARDS && gnt_amqp_code_of(frame->body) != GNT_AMQP_CLOSE)
        return GNT_MORE;
    struct gnt_reader r = gnt_reader(frame->body);
    gnt_err err = gnt_amqp_read_composite(&r, &out->performative);
    if (err && c->state == GNT_AMQP_DISCARDS)
        return on_close(c, out);
    if (err)
        return on_bad_composite(c, err);
    struct gnt_amqp_arrival in = {.whole = whole,
                                  .payload = gnt_slice(r.at, gnt_read_left(&r)),
                                  .channel = frame->channel};
    uint64_t code = out->performative.code;
    if (in.payload.size && code != GNT_AMQP_TRANSFER)
        return on_bad_composite(c, GNT_MALFORMED);
    if (code < GNT_AMQP_OPEN || code > GNT_AMQP_CLOSE)
        return on_bad_composite(c, GNT_UNSUPPORTED);
    if ((code == GNT_AMQP_OPEN) != (c->state == GNT_AMQP_AWAITS_OPEN))
        return out_of_order(c);
    if (code == GNT_AMQP_OPEN)
        return on_open(c, now, out);
    if (code == GNT_AMQP_CLOSE)
        return on_close(c, out);
    return on_session_frame(c, &in, out);
}

static size_t frame_max(const struct gnt_amqp_connection *c)
{
    bool sasl = c->state == GNT_AMQP_AWAITS_SASL && c->options->max_frame_size > SASL_FRAME_MAX;
    return sasl ? SASL_FRAME_MAX : c->options->max_frame_size;
}

/* A frame that is not of the type of this state, or too large, or none. */
static gnt_err framing_error(struct gnt_amqp_connection *c, gnt_err err)
{
    return gnt_amqp_fail(c, err, GNT_AMQP_CONNECTION_FRAMING_ERROR,
                         err == GNT_TOOBIG ? "a frame above max-frame-size"
                                           : "bytes that are no frame");
}

static gnt_err on_frame(struct gnt_amqp_connection *c, struct gnt_slice *in, uint64_t now,
                        struct gnt_amqp_event *out, size_t *need)
{
    struct gnt_amqp_frame frame;
    gnt_err err = gnt_amqp_frame(*in, frame_max(c), &frame);
    if (err == GNT_MORE && need)
        *need = frame.size;
    if (err)
        return err == GNT_MORE ? err : framing_error(c, err);
    gnt_amqp_connection_lives(c, now);
    bool sasl = c->state == GNT_AMQP_AWAITS_SASL;
    if (sasl != (frame.type == GNT_AMQP_FRAME_SASL))
        return framing_error(c, GNT_PROTOCOL);
    struct gnt_slice whole = gnt_slice(in->data, frame.size);
    c->hold = GNT_AMQP_HOLD_NOT;
    if (sasl)
        err = gnt_amqp_on_sasl(c, frame.body, out);
    else if (frame.body.size == 0) /* it lives */
        err = GNT_MORE;
    else
        err = on_amqp_frame(c, &frame, whole, now, out);
    if (!c->hold)
        *in = gnt_slice_skip(*in, frame.size);
    return err;
}

/* What the first frame of IN has left to tell, unless it was about what the owner has ended since.
 */
static gnt_err on_rest(struct gnt_amqp_connection *c, struct gnt_slice *in,
                       struct gnt_amqp_event *out)
{
    struct gnt_amqp_frame frame;
    gnt_err err = gnt_amqp_frame(*in, SIZE_MAX, &frame);
    GNT_ASSERT(err == GNT_OK); /* the owner has kept it */
    struct gnt_slice whole = gnt_slice(in->data, frame.size);
    err = GNT_MORE;
    if (c->state == GNT_AMQP_DISCARDS) {
        c->rest.session = NULL;
        c->rest.link = NULL;
    }
    if (c->rest.session)
        err = gnt_amqp_rest_of_disposition(c, whole, out);
    else if (c->rest.link)
        err = gnt_amqp_rest_of_attach(c, whole, out);
    if (!c->rest.session && !c->rest.link) {
        c->hold = GNT_AMQP_HOLD_NOT;
        *in = gnt_slice_skip(*in, frame.size);
    }
    return err;
}

gnt_err gnt_amqp_connection_next(struct gnt_amqp_connection *c, struct gnt_slice *in, uint64_t now,
                                 struct gnt_amqp_event *out, size_t *need)
{
    let_go(c);
    if (need)
        *need = 0;
    for (;;) {
        gnt_err err = GNT_MORE;
        size_t before = in->size;
        enum gnt_amqp_state state = (enum gnt_amqp_state)c->state;
        if (state == GNT_AMQP_ENDED)
            return GNT_CLOSED;
        else if (c->hold == GNT_AMQP_HOLD_REST)
            err = on_rest(c, in, out);
        else if (state == GNT_AMQP_OPENED && gnt_amqp_next_writable(c, out))
            return GNT_OK;
        else if (state == GNT_AMQP_DECIDES_SASL || state == GNT_AMQP_AWAITS_TLS ||
                 (state == GNT_AMQP_OPENED && !c->open_sent))
            return GNT_MORE;
        else if (state == GNT_AMQP_AWAITS_HEADER)
            err = gnt_amqp_on_header(c, in, out);
        else
            err = on_frame(c, in, now, out, need);
        if (err != GNT_MORE || in->size == before)
            return err;
    }
}

/* ---- Out, and time */

gnt_err gnt_amqp_connection_flush(struct gnt_amqp_connection *c, uint64_t now)
{
    while (gnt_amqp_talking(c) && !gnt_list_empty(&c->dirty)) {
        struct gnt_amqp_session *s =
            GNT_CONTAINER(c->dirty.next, struct gnt_amqp_session, in_dirty);
        gnt_err err = gnt_amqp_session_flush(s);
        if (err)
            return err;
        gnt_list_remove(&s->in_dirty);
    }
    if (c->wrote)
        c->wrote_at = now;
    c->wrote = false;
    return GNT_OK;
}

void gnt_amqp_connection_lives(struct gnt_amqp_connection *c, uint64_t now)
{
    if (c->state == GNT_AMQP_OPENED)
        c->heard_at = now;
}

static uint64_t after_ms(uint64_t since, uint32_t ms)
{
    return ms ? gnt_deadline(since, ms * GNT_NS_PER_MS) : GNT_NEVER;
}

/* When the peer has been silent too long. */
static uint64_t silence_deadline(const struct gnt_amqp_connection *c)
{
    if (c->state == GNT_AMQP_ENDED)
        return GNT_NEVER;
    bool opened = c->state == GNT_AMQP_OPENED && c->open_sent;
    return after_ms(c->heard_at,
                    opened ? c->options->idle_timeout_ms : c->options->open_timeout_ms);
}

/* When the peer is due a sign of life. */
static uint64_t heartbeat_deadline(const struct gnt_amqp_connection *c)
{
    if (c->state != GNT_AMQP_OPENED || !c->open_sent)
        return GNT_NEVER;
    return after_ms(c->wrote_at, c->peer_idle_ms / 2);
}

uint64_t gnt_amqp_connection_deadline(const struct gnt_amqp_connection *c)
{
    uint64_t silence = silence_deadline(c), heartbeat = heartbeat_deadline(c);
    return silence < heartbeat ? silence : heartbeat;
}

gnt_err gnt_amqp_connection_tick(struct gnt_amqp_connection *c, uint64_t now)
{
    if (now >= silence_deadline(c)) {
        bool opened = c->state == GNT_AMQP_OPENED;
        return gnt_amqp_fail(c, GNT_TIMEOUT, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED,
                             opened ? "silent for longer than the idle-time-out"
                                    : "the connection took too long to open or to close");
    }
    if (now >= heartbeat_deadline(c)) {
        /* What still waits to be written says the same. */
        gnt_err err = c->out->size ? GNT_OK : gnt_amqp_say_nothing(c);
        if (err)
            return err;
        c->wrote_at = now;
    }
    return GNT_OK;
}
