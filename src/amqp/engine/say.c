#include "amqp/engine/inside.h"

gnt_err gnt_amqp_say_header(struct gnt_amqp_connection *c, enum gnt_amqp_protocol_id id)
{
    uint8_t *at;
    gnt_err err = gnt_outq_reserve(c->out, GNT_AMQP_PROTOCOL_SIZE, &at);
    if (err)
        return err;
    struct gnt_amqp_writer w = gnt_amqp_writer(at, GNT_AMQP_PROTOCOL_SIZE);
    gnt_amqp_put_protocol(&w, id);
    gnt_outq_wrote(c->out, w.size);
    c->wrote = true;
    return GNT_OK;
}

static size_t write_frame(uint8_t *at, size_t room, enum gnt_amqp_frame_type type, uint16_t channel,
                          enum gnt_amqp_descriptor code, const void *composite)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(at, room);
    size_t mark = gnt_amqp_begin_frame(&w, type, channel);
    if (composite)
        gnt_amqp_put_as(&w, code, composite);
    gnt_amqp_end_frame(&w, mark, 0);
    return w.size;
}

/* Most frames are small; the size of others is found out by writing them for nothing. */
static gnt_err say(struct gnt_amqp_connection *c, enum gnt_amqp_frame_type type, uint16_t channel,
                   enum gnt_amqp_descriptor code, const void *composite)
{
    enum { USUAL = 256 };
    uint8_t *at;
    gnt_err err = gnt_outq_reserve(c->out, USUAL, &at);
    if (err)
        return err;
    size_t size = write_frame(at, USUAL, type, channel, code, composite);
    if (size <= USUAL) {
        gnt_outq_wrote(c->out, size);
        c->wrote = true;
        return GNT_OK;
    }
    gnt_outq_wrote(c->out, 0);
    if (size > c->peer_max_frame_size)
        return GNT_TOOBIG;
    err = gnt_outq_reserve(c->out, size, &at);
    if (err)
        return err;
    write_frame(at, size, type, channel, code, composite);
    gnt_outq_wrote(c->out, size);
    c->wrote = true;
    return GNT_OK;
}

gnt_err gnt_amqp_say(struct gnt_amqp_connection *c, uint16_t channel, enum gnt_amqp_descriptor code,
                     const void *composite)
{
    return say(c, GNT_AMQP_FRAME_AMQP, channel, code, composite);
}

gnt_err gnt_amqp_say_sasl(struct gnt_amqp_connection *c, enum gnt_amqp_descriptor code,
                          const void *composite)
{
    return say(c, GNT_AMQP_FRAME_SASL, 0, code, composite);
}

gnt_err gnt_amqp_say_nothing(struct gnt_amqp_connection *c)
{
    return say(c, GNT_AMQP_FRAME_AMQP, 0, (enum gnt_amqp_descriptor)0, NULL);
}

static void set_error(struct gnt_amqp_composite *frame, enum gnt_amqp_descriptor code,
                      struct gnt_amqp_value error)
{
    if (code == GNT_AMQP_DETACH)
        GNT_AMQP_SET(&frame->detach, error, error);
    else if (code == GNT_AMQP_END)
        GNT_AMQP_SET(&frame->end, error, error);
    else
        GNT_AMQP_SET(&frame->close, error, error);
}

static gnt_err say_with_error(struct gnt_amqp_connection *c, uint16_t channel,
                              enum gnt_amqp_descriptor code, struct gnt_amqp_composite *frame,
                              const struct gnt_amqp_error *error)
{
    uint8_t bytes[1024];
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    gnt_amqp_put_error(&w, error);
    if (!gnt_amqp_fits(&w))
        return GNT_TOOBIG;
    set_error(frame, code, gnt_amqp_encoded(gnt_amqp_written(&w)));
    return gnt_amqp_say(c, channel, code, &frame->open);
}

gnt_err gnt_amqp_say_last(struct gnt_amqp_connection *c, uint16_t channel,
                          enum gnt_amqp_descriptor code, struct gnt_amqp_composite *frame,
                          const struct gnt_amqp_error *error)
{
    if (!error)
        return gnt_amqp_say(c, channel, code, &frame->open);
    gnt_err err = say_with_error(c, channel, code, frame, error);
    if (err != GNT_TOOBIG)
        return err;
    struct gnt_amqp_error brief = {0};
    GNT_AMQP_SET(&brief, condition, error->condition);
    return say_with_error(c, channel, code, frame, &brief);
}

struct gnt_amqp_error gnt_amqp_error_of(enum gnt_amqp_condition condition, const char *why)
{
    struct gnt_amqp_error error = {0};
    GNT_AMQP_SET(&error, condition, gnt_amqp_condition_symbol(condition));
    if (why)
        GNT_AMQP_SET(&error, description, gnt_slice_str(why));
    return error;
}

struct gnt_amqp_value gnt_amqp_no_properties(void)
{
    static const uint8_t empty[] = {GNT_AMQP_FORM_MAP8, 1, 0};
    return gnt_amqp_encoded(gnt_slice(empty, sizeof empty));
}
