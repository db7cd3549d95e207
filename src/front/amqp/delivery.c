#include "front/amqp/delivery.h"

#include "amqp/codec/form.h"
#include "base/assert.h"
#include "front/amqp/envelope.h"

static gnt_err rejected(struct gnt_slice encoded, struct gnt_settling *settling)
{
    struct gnt_amqp_rejected state;
    struct gnt_amqp_error error;
    if (gnt_amqp_decode_rejected(encoded, &state))
        return GNT_MALFORMED;
    settling->outcome = GNT_SETTLE_REJECT;
    if (!state.has.error)
        return GNT_OK;
    if (gnt_amqp_decode_error(state.error.encoded, &error))
        return GNT_MALFORMED;
    settling->reason = error.condition;
    settling->description = error.description;
    return GNT_OK;
}

static gnt_err modified(struct gnt_slice encoded, const struct gnt_message *message,
                        struct gnt_slice in_place, struct gnt_buf *scratch,
                        struct gnt_settling *settling)
{
    struct gnt_amqp_modified state;
    if (gnt_amqp_decode_modified(encoded, &state))
        return GNT_MALFORMED;
    settling->outcome = GNT_SETTLE_MODIFY;
    settling->failed = state.delivery_failed;
    settling->elsewhere = state.undeliverable_here;
    if (!state.has.message_annotations)
        return GNT_OK;
    gnt_err err = gnt_envelope_annotate(message, in_place, &state.message_annotations, scratch);
    settling->annotations = gnt_buf_slice(scratch);
    return !err && settling->annotations.size > GNT_QUEUE_ANNOTATIONS_MAX ? GNT_TOOBIG : err;
}

gnt_err gnt_delivery_outcome(const struct gnt_amqp_value *state, const struct gnt_message *message,
                             struct gnt_slice annotations, struct gnt_buf *scratch,
                             struct gnt_settling *settling)
{
    if (state->type == GNT_AMQP_NULL)
        return GNT_MORE;
    switch (gnt_amqp_code_of(state->encoded)) {
    case GNT_AMQP_ACCEPTED: settling->outcome = GNT_SETTLE_ACCEPT; return GNT_OK;
    case GNT_AMQP_RELEASED: settling->outcome = GNT_SETTLE_RELEASE; return GNT_OK;
    case GNT_AMQP_REJECTED: return rejected(state->encoded, settling);
    case GNT_AMQP_MODIFIED:
        return modified(state->encoded, message, annotations, scratch, settling);
    case GNT_AMQP_RECEIVED: return GNT_MORE;
    case GNT_AMQP_TRANSACTIONAL_STATE: return GNT_UNSUPPORTED;
    default: return GNT_MALFORMED;
    }
}

struct gnt_slice gnt_delivery_echo(const struct gnt_amqp_value *state)
{
    enum { ECHO_MAX = 256, DESCRIBED = GNT_AMQP_FORM_DESCRIBED, CODE = GNT_AMQP_FORM_SMALLULONG };
    static const uint8_t brief[][4] = {
        {DESCRIBED, CODE, GNT_AMQP_ACCEPTED, GNT_AMQP_FORM_LIST0},
        {DESCRIBED, CODE, GNT_AMQP_REJECTED, GNT_AMQP_FORM_LIST0},
        {DESCRIBED, CODE, GNT_AMQP_RELEASED, GNT_AMQP_FORM_LIST0},
        {DESCRIBED, CODE, GNT_AMQP_MODIFIED, GNT_AMQP_FORM_LIST0},
    };
    if (state->encoded.size <= ECHO_MAX)
        return state->encoded;
    uint64_t row = gnt_amqp_code_of(state->encoded) - GNT_AMQP_ACCEPTED;
    GNT_ASSERT(row < sizeof brief / sizeof brief[0]); /* else it is no outcome */
    return gnt_slice(brief[row], sizeof brief[row]);
}

void gnt_delivery_default(const struct gnt_amqp_value *outcome, struct gnt_settling *settling)
{
    struct gnt_amqp_modified state;
    *settling = (struct gnt_settling){.outcome = GNT_SETTLE_RELEASE};
    if (outcome->type == GNT_AMQP_NULL)
        return;
    uint64_t code = gnt_amqp_code_of(outcome->encoded);
    if (code == GNT_AMQP_ACCEPTED)
        settling->outcome = GNT_SETTLE_ACCEPT;
    else if (code == GNT_AMQP_REJECTED)
        settling->outcome = GNT_SETTLE_REJECT;
    else if (!gnt_amqp_decode_modified(outcome->encoded, &state))
        *settling = (struct gnt_settling){.outcome = GNT_SETTLE_MODIFY,
                                          .failed = state.delivery_failed,
                                          .elsewhere = state.undeliverable_here};
}
