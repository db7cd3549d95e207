#include "amqp/engine/inside.h"

/* Whose turn it is within AWAITS_SASL, as the frames that the peer may send.
 *
 *   a server:  INIT, then after each answer of the owner's RESPONSE, until an outcome
 *   a client:  MECHANISMS, and once it has sent init and for each response: CHALLENGE or OUTCOME */
enum turn { AWAITS_MECHANISMS, AWAITS_INIT, AWAITS_RESPONSE, AWAITS_SERVER };

static gnt_err say_mechanisms(struct gnt_amqp_connection *c)
{
    uint8_t bytes[GNT_AMQP_FRAME_MAX_MIN];
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    gnt_amqp_put_symbols(&w, c->mechanisms, c->mechanism_count);
    if (!gnt_amqp_fits(&w))
        return GNT_TOOBIG;
    struct gnt_amqp_sasl_mechanisms frame = {0};
    GNT_AMQP_SET(&frame, sasl_server_mechanisms, gnt_amqp_encoded(gnt_amqp_written(&w)));
    return gnt_amqp_say_sasl(c, GNT_AMQP_SASL_MECHANISMS, &frame);
}

gnt_err gnt_amqp_sasl_begin(struct gnt_amqp_connection *c)
{
    if (c->side == GNT_AMQP_SERVER) {
        gnt_err err = gnt_amqp_say_header(c, GNT_AMQP_PROTOCOL_SASL);
        if (!err)
            err = say_mechanisms(c);
        if (err)
            return err;
    }
    c->sasl_turn = c->side == GNT_AMQP_SERVER ? AWAITS_INIT : AWAITS_MECHANISMS;
    gnt_amqp_move(c, GNT_AMQP_AWAITS_SASL);
    return GNT_OK;
}

/* There is no frame to say what is wrong [AMQP 5.3.2]. */
static gnt_err fail(struct gnt_amqp_connection *c, gnt_err err, const char *why)
{
    gnt_amqp_move(c, GNT_AMQP_ENDED);
    c->why = why;
    return err;
}

static gnt_err on_outcome(struct gnt_amqp_connection *c, uint8_t code)
{
    c->sasl_done = code == GNT_AMQP_SASL_OK;
    gnt_amqp_move(c, c->sasl_done ? GNT_AMQP_AWAITS_HEADER : GNT_AMQP_ENDED);
    return GNT_OK;
}

static gnt_err on_mechanisms(struct gnt_amqp_connection *c)
{
    if (c->sasl_init)
        c->sasl_turn = AWAITS_SERVER;
    else
        gnt_amqp_move(c, GNT_AMQP_DECIDES_SASL);
    return GNT_OK;
}

gnt_err gnt_amqp_on_sasl(struct gnt_amqp_connection *c, struct gnt_slice body,
                         struct gnt_amqp_event *out)
{
    /* clang-format off */
    static const struct {
        uint8_t code, turn, event;
    } rows[] = {
        {GNT_AMQP_SASL_MECHANISMS, AWAITS_MECHANISMS, GNT_AMQP_EVENT_SASL_MECHANISMS},
        {GNT_AMQP_SASL_INIT,       AWAITS_INIT,       GNT_AMQP_EVENT_SASL_INIT},
        {GNT_AMQP_SASL_RESPONSE,   AWAITS_RESPONSE,   GNT_AMQP_EVENT_SASL_RESPONSE},
        {GNT_AMQP_SASL_CHALLENGE,  AWAITS_SERVER,     GNT_AMQP_EVENT_SASL_CHALLENGE},
        {GNT_AMQP_SASL_OUTCOME,    AWAITS_SERVER,     GNT_AMQP_EVENT_SASL_OUTCOME},
    };
    /* clang-format on */
    gnt_err err = gnt_amqp_decode(body, &out->performative);
    if (err)
        return fail(c, GNT_PROTOCOL, "a SASL frame that cannot be read");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code != out->performative.code || rows[i].turn != c->sasl_turn)
            continue;
        gnt_amqp_tell(out, (enum gnt_amqp_event_type)rows[i].event, NULL, NULL);
        if (rows[i].code == GNT_AMQP_SASL_MECHANISMS)
            return on_mechanisms(c);
        if (rows[i].code == GNT_AMQP_SASL_OUTCOME)
            return on_outcome(c, out->performative.sasl_outcome.code);
        gnt_amqp_move(c, GNT_AMQP_DECIDES_SASL);
        return GNT_OK;
    }
    return fail(c, GNT_PROTOCOL, "a SASL frame out of order");
}

/* ---- Server */

void gnt_amqp_connection_sasl_offer(struct gnt_amqp_connection *c,
                                    const struct gnt_slice *mechanisms, uint32_t count,
                                    bool required)
{
    c->mechanisms = mechanisms;
    c->mechanism_count = count;
    c->sasl_offered = true;
    c->sasl_required = required;
}

static bool owner_has_turn(const struct gnt_amqp_connection *c, enum gnt_amqp_side side)
{
    return c->state == GNT_AMQP_DECIDES_SASL && c->side == side;
}

gnt_err gnt_amqp_connection_sasl_challenge(struct gnt_amqp_connection *c,
                                           struct gnt_slice challenge)
{
    if (!owner_has_turn(c, GNT_AMQP_SERVER))
        return GNT_STATE;
    struct gnt_amqp_sasl_challenge frame = {0};
    GNT_AMQP_SET(&frame, challenge, challenge);
    gnt_err err = gnt_amqp_say_sasl(c, GNT_AMQP_SASL_CHALLENGE, &frame);
    if (err)
        return err;
    c->sasl_turn = AWAITS_RESPONSE;
    gnt_amqp_move(c, GNT_AMQP_AWAITS_SASL);
    return GNT_OK;
}

gnt_err gnt_amqp_connection_sasl_outcome(struct gnt_amqp_connection *c, uint8_t code,
                                         struct gnt_slice additional_data)
{
    if (!owner_has_turn(c, GNT_AMQP_SERVER))
        return GNT_STATE;
    struct gnt_amqp_sasl_outcome frame = {0};
    GNT_AMQP_SET(&frame, code, code);
    if (additional_data.size)
        GNT_AMQP_SET(&frame, additional_data, additional_data);
    gnt_err err = gnt_amqp_say_sasl(c, GNT_AMQP_SASL_OUTCOME, &frame);
    return err ? err : on_outcome(c, code);
}

/* ---- Client */

gnt_err gnt_amqp_connection_sasl_start(struct gnt_amqp_connection *c)
{
    if (c->side != GNT_AMQP_CLIENT || c->state != GNT_AMQP_AWAITS_HEADER || c->header_sent ||
        c->sasl_header || (c->tls_offered && !c->secured))
        return GNT_STATE;
    gnt_err err = gnt_amqp_say_header(c, GNT_AMQP_PROTOCOL_SASL);
    c->sasl_header = !err;
    return err;
}

gnt_err gnt_amqp_connection_sasl_init(struct gnt_amqp_connection *c,
                                      const struct gnt_amqp_sasl_init *init)
{
    if (!c->sasl_header || c->sasl_init || c->sasl_done || c->state == GNT_AMQP_ENDED)
        return GNT_STATE;
    gnt_err err = gnt_amqp_say_sasl(c, GNT_AMQP_SASL_INIT, init);
    if (err)
        return err;
    c->sasl_init = true;
    if (c->state == GNT_AMQP_DECIDES_SASL) {
        c->sasl_turn = AWAITS_SERVER;
        gnt_amqp_move(c, GNT_AMQP_AWAITS_SASL);
    }
    return GNT_OK;
}

gnt_err gnt_amqp_connection_sasl_respond(struct gnt_amqp_connection *c, struct gnt_slice response)
{
    if (!owner_has_turn(c, GNT_AMQP_CLIENT) || !c->sasl_init)
        return GNT_STATE;
    struct gnt_amqp_sasl_response frame = {0};
    GNT_AMQP_SET(&frame, response, response);
    gnt_err err = gnt_amqp_say_sasl(c, GNT_AMQP_SASL_RESPONSE, &frame);
    if (err)
        return err;
    c->sasl_turn = AWAITS_SERVER;
    gnt_amqp_move(c, GNT_AMQP_AWAITS_SASL);
    return GNT_OK;
}
