#include "support/amqp_script.h"

#include "amqp/codec/frame.h"
#include "amqp/codec/print.h"
#include "support/unit.h"

#include <stdio.h>

void amqp_put_frame(struct gnt_amqp_writer *w, enum gnt_amqp_descriptor code, const void *composite,
                    struct gnt_slice payload)
{
    size_t mark = gnt_amqp_begin_frame(w, GNT_AMQP_FRAME_AMQP, 0);
    gnt_amqp_put_as(w, code, composite);
    gnt_amqp_put_raw(w, payload);
    gnt_amqp_end_frame(w, mark, 0);
}

void amqp_put_opening(struct gnt_amqp_writer *w)
{
    struct gnt_amqp_open open = {.has.container_id = true};
    struct gnt_amqp_begin begin = {.next_outgoing_id = 0};
    open.container_id = gnt_slice_str("peer");
    GNT_AMQP_SET(&begin, next_outgoing_id, 0);
    GNT_AMQP_SET(&begin, incoming_window, 100);
    GNT_AMQP_SET(&begin, outgoing_window, 100);
    gnt_amqp_put_protocol(w, GNT_AMQP_PROTOCOL_AMQP);
    amqp_put_frame(w, GNT_AMQP_OPEN, &open, gnt_slice(NULL, 0));
    amqp_put_frame(w, GNT_AMQP_BEGIN, &begin, gnt_slice(NULL, 0));
}

void amqp_put_attach(struct gnt_amqp_writer *w, const char *name, uint32_t handle, bool receiver,
                     const char *address)
{
    uint8_t source_bytes[128], target_bytes[128];
    struct gnt_amqp_writer s = gnt_amqp_writer(source_bytes, sizeof source_bytes);
    struct gnt_amqp_writer t = gnt_amqp_writer(target_bytes, sizeof target_bytes);
    struct gnt_amqp_source source = {.has.address = receiver};
    struct gnt_amqp_target target = {.has.address = !receiver};
    source.address = target.address = gnt_slice_str(address);
    gnt_amqp_put_source(&s, &source);
    gnt_amqp_put_target(&t, &target);
    struct gnt_amqp_attach attach = {.has.name = true};
    attach.name = gnt_slice_str(name);
    GNT_AMQP_SET(&attach, handle, handle);
    GNT_AMQP_SET(&attach, role, receiver);
    GNT_AMQP_SET(&attach, source, gnt_amqp_encoded(gnt_amqp_written(&s)));
    GNT_AMQP_SET(&attach, target, gnt_amqp_encoded(gnt_amqp_written(&t)));
    if (!receiver)
        GNT_AMQP_SET(&attach, initial_delivery_count, 0);
    amqp_put_frame(w, GNT_AMQP_ATTACH, &attach, gnt_slice(NULL, 0));
}

void amqp_put_sasl(struct gnt_amqp_writer *w, const char *mechanism, struct gnt_slice said)
{
    struct gnt_amqp_sasl_init init = {.has.mechanism = true};
    init.mechanism = gnt_slice_str(mechanism);
    if (said.data)
        GNT_AMQP_SET(&init, initial_response, said);
    gnt_amqp_put_protocol(w, GNT_AMQP_PROTOCOL_SASL);
    size_t mark = gnt_amqp_begin_frame(w, GNT_AMQP_FRAME_SASL, 0);
    gnt_amqp_put_as(w, GNT_AMQP_SASL_INIT, &init);
    gnt_amqp_end_frame(w, mark, 0);
}

/* ---- What it is told */

static void count(struct amqp_told *told, enum gnt_amqp_descriptor code)
{
    switch (code) {
    case GNT_AMQP_SASL_OUTCOME: told->outcome++; break;
    case GNT_AMQP_OPEN: told->open++; break;
    case GNT_AMQP_BEGIN: told->begin++; break;
    case GNT_AMQP_ATTACH: told->attach++; break;
    case GNT_AMQP_FLOW: told->flow++; break;
    case GNT_AMQP_TRANSFER: told->transfer++; break;
    case GNT_AMQP_DISPOSITION: told->disposition++; break;
    case GNT_AMQP_DETACH: told->detach++; break;
    case GNT_AMQP_END: told->end++; break;
    case GNT_AMQP_CLOSE: told->close++; break;
    default: break;
    }
}

static void add_text(struct amqp_told *told, const struct gnt_amqp_frame *frame)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    size_t used = strlen(told->text);
    assert_int_equal(gnt_amqp_print_frame(&text, sizeof told->text, frame), GNT_OK);
    struct gnt_slice line = gnt_buf_slice(&text);
    snprintf(told->text + used, sizeof told->text - used, "%.*s\n", (int)line.size,
             (const char *)line.data);
    gnt_buf_fini(&text);
}

const struct amqp_told *amqp_look(struct script_client *c)
{
    static struct amqp_told told;
    struct gnt_amqp_protocol protocol;
    struct gnt_amqp_frame frame;
    told = (struct amqp_told){0};
    script_read(c);
    struct gnt_slice in = gnt_slice(c->in, c->in_size);
    while (in.size) {
        if (gnt_amqp_protocol(in, &protocol) == GNT_OK) {
            in = gnt_slice_skip(in, GNT_AMQP_PROTOCOL_SIZE);
            continue;
        }
        assert_int_equal(gnt_amqp_frame(in, SIZE_MAX, &frame), GNT_OK);
        count(&told, gnt_amqp_code_of(frame.body));
        add_text(&told, &frame);
        in = gnt_slice_skip(in, frame.size);
    }
    return &told;
}
