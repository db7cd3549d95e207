#include "cli/decoder.h"

#include "amqp/codec/message.h"
#include "amqp/codec/print.h"
#include "mqtt/codec/print.h"

#include <stdio.h>
#include <stdlib.h>

static const char indent[] = "    ";

void gnt_decoder_init(struct gnt_decoder *d, enum gnt_decoder_protocol protocol)
{
    *d = (struct gnt_decoder){.protocol = protocol, .max = SIZE_MAX};
    gnt_list_init(&d->parts);
}

static gnt_err fail(struct gnt_decoder *d, gnt_err err, const char *why)
{
    snprintf(d->why, sizeof d->why, "%s", why);
    return err;
}

/* Shows what PRINTED has put into d->text. */
static gnt_err show(struct gnt_decoder *d, gnt_err printed)
{
    if (!printed)
        d->line(d->context, gnt_buf_slice(&d->text));
    gnt_buf_clear(&d->text);
    return printed;
}

/* ---- Messages of AMQP */

/* A delivery that goes on in further transfers of its link. */
struct part {
    struct gnt_list link;
    uint16_t channel;
    uint32_t handle;
    bool too_long; /* to be held, and so to be shown */
    struct gnt_buf bytes;
};

static void drop_part(struct gnt_decoder *d, struct part *part)
{
    d->held -= gnt_buf_size(&part->bytes);
    gnt_list_remove(&part->link);
    gnt_buf_fini(&part->bytes);
    free(part);
}

static struct part *find_part(struct gnt_decoder *d, uint16_t channel, uint32_t handle)
{
    gnt_list_each (node, &d->parts) {
        struct part *part = GNT_CONTAINER(node, struct part, link);
        if (part->channel == channel && part->handle == handle)
            return part;
    }
    return NULL;
}

static gnt_err hold(struct gnt_decoder *d, struct part **part, uint16_t channel, uint32_t handle,
                    struct gnt_slice payload)
{
    if (!*part) {
        *part = calloc(1, sizeof **part);
        if (!*part)
            return GNT_NOMEM;
        (*part)->channel = channel;
        (*part)->handle = handle;
        gnt_list_push_back(&d->parts, &(*part)->link);
    }
    if (payload.size > GNT_DECODER_FRAME_MAX - d->held)
        (*part)->too_long = true;
    if ((*part)->too_long)
        return GNT_OK;
    gnt_err err = gnt_buf_put(&(*part)->bytes, payload);
    if (!err)
        d->held += payload.size;
    return err;
}

static gnt_err show_message(struct gnt_decoder *d, struct gnt_slice message)
{
    gnt_err err = gnt_buf_put(&d->text, gnt_slice_str(indent));
    return show(d, err ? err : gnt_amqp_print_message(&d->text, d->max, message));
}

static gnt_err on_transfer(struct gnt_decoder *d, uint16_t channel,
                           const struct gnt_amqp_transfer *transfer, struct gnt_slice payload)
{
    struct part *part = find_part(d, channel, transfer->handle);
    if (!part && !transfer->more)
        return payload.size ? show_message(d, payload) : GNT_OK;
    gnt_err err = hold(d, &part, channel, transfer->handle, payload);
    if (err || (transfer->more && !transfer->aborted))
        return err;
    if (!part->too_long && !transfer->aborted)
        err = show_message(d, gnt_buf_slice(&part->bytes));
    drop_part(d, part);
    return err;
}

/* ---- Frames, packets: each shows the first one and takes it; GNT_MORE: there is no whole one */

static gnt_err next_protocol(struct gnt_decoder *d, struct gnt_slice *in)
{
    struct gnt_amqp_protocol protocol;
    gnt_err err = gnt_amqp_protocol(*in, &protocol);
    if (err)
        return err == GNT_MALFORMED ? fail(d, err, "neither a frame nor a protocol header") : err;
    *in = gnt_slice_skip(*in, GNT_AMQP_PROTOCOL_SIZE);
    return show(d, gnt_amqp_print_protocol(&d->text, d->max, &protocol));
}

static gnt_err next_frame(struct gnt_decoder *d, struct gnt_slice *in)
{
    if (in->size && in->data[0] == 'A') /* a frame so long is none */
        return next_protocol(d, in);
    struct gnt_amqp_frame frame;
    gnt_err err = gnt_amqp_frame(*in, GNT_DECODER_FRAME_MAX, &frame);
    if (err)
        return err == GNT_MORE ? err : fail(d, err, "not the beginning of a frame");
    *in = gnt_slice_skip(*in, frame.size);
    err = show(d, gnt_amqp_print_frame(&d->text, d->max, &frame));
    if (err || frame.body.size == 0)
        return err;
    struct gnt_reader r = gnt_reader(frame.body);
    struct gnt_amqp_composite composite;
    if (gnt_amqp_read_composite(&r, &composite) != GNT_OK || composite.code != GNT_AMQP_TRANSFER)
        return GNT_OK;
    return on_transfer(d, frame.channel, &composite.transfer, gnt_slice(r.at, gnt_read_left(&r)));
}

/* Who has sent it is not known: whoever may have. */
static gnt_err decode_packet(const struct gnt_decoder *d, const struct gnt_mqtt_frame *frame,
                             struct gnt_mqtt_packet *packet)
{
    uint8_t reason;
    gnt_err err = gnt_mqtt_decode(frame, *d->version, GNT_MQTT_FROM_CLIENT, packet, &reason);
    return err ? gnt_mqtt_decode(frame, *d->version, GNT_MQTT_FROM_SERVER, packet, &reason) : err;
}

static gnt_err next_packet(struct gnt_decoder *d, struct gnt_slice *in)
{
    struct gnt_mqtt_frame frame;
    gnt_err err = gnt_mqtt_frame(*in, GNT_DECODER_FRAME_MAX, &frame);
    if (err)
        return err == GNT_MORE ? err : fail(d, err, "not the beginning of a packet");
    struct gnt_mqtt_packet packet;
    err = decode_packet(d, &frame, &packet);
    if (err) {
        snprintf(d->why, sizeof d->why, "a broken %s of %zu bytes", gnt_mqtt_type_name(frame.type),
                 frame.size);
        return GNT_MALFORMED;
    }
    *in = gnt_slice_skip(*in, frame.size);
    if (packet.type == GNT_MQTT_CONNECT)
        *d->version = (enum gnt_mqtt_version)packet.connect.version;
    return show(d, gnt_mqtt_print(&d->text, d->max, &packet, *d->version));
}

gnt_err gnt_decoder_feed(struct gnt_decoder *d, struct gnt_slice bytes)
{
    gnt_err err = gnt_buf_put(&d->in, bytes);
    while (!err && gnt_buf_size(&d->in)) {
        struct gnt_slice in = gnt_buf_slice(&d->in);
        const size_t size = in.size;
        err = d->protocol == GNT_DECODER_AMQP ? next_frame(d, &in) : next_packet(d, &in);
        gnt_buf_take(&d->in, size - in.size);
        d->offset += size - in.size;
    }
    return err == GNT_MORE ? GNT_OK : err;
}

void gnt_decoder_fini(struct gnt_decoder *d)
{
    gnt_list_each_safe (node, &d->parts)
        drop_part(d, GNT_CONTAINER(node, struct part, link));
    gnt_buf_fini(&d->in);
    gnt_buf_fini(&d->text);
}
