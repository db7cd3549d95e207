#include "amqp/engine/inside.h"

/* What a server says to whoever begins with something else [AMQP 2.2]. */
static enum gnt_amqp_protocol_id spoken(const struct gnt_amqp_connection *c)
{
    bool sasl = c->sasl_required && !c->sasl_done;
    return sasl ? GNT_AMQP_PROTOCOL_SASL : GNT_AMQP_PROTOCOL_AMQP;
}

static gnt_err refuse(struct gnt_amqp_connection *c)
{
    gnt_err err = GNT_OK;
    if (c->side == GNT_AMQP_SERVER && !c->header_sent)
        err = gnt_amqp_say_header(c, spoken(c));
    gnt_amqp_move(c, GNT_AMQP_ENDED);
    c->why = "a protocol header that is not expected";
    return err ? err : GNT_UNSUPPORTED;
}

static gnt_err on_tls(struct gnt_amqp_connection *c, struct gnt_amqp_event *out)
{
    if (!c->tls_offered || c->secured || c->sasl_done)
        return refuse(c);
    if (c->side == GNT_AMQP_SERVER) {
        gnt_err err = gnt_amqp_say_header(c, GNT_AMQP_PROTOCOL_TLS);
        if (err)
            return gnt_amqp_fail_nomem(c);
    }
    gnt_amqp_move(c, GNT_AMQP_AWAITS_TLS);
    gnt_amqp_tell(out, GNT_AMQP_EVENT_TLS, NULL, NULL);
    return GNT_OK;
}

static gnt_err on_sasl(struct gnt_amqp_connection *c)
{
    bool server = c->side == GNT_AMQP_SERVER;
    if (c->sasl_done || !(server ? c->sasl_offered : c->sasl_header))
        return refuse(c);
    return gnt_amqp_sasl_begin(c) ? gnt_amqp_fail_nomem(c) : GNT_MORE;
}

static gnt_err on_amqp(struct gnt_amqp_connection *c)
{
    bool server = c->side == GNT_AMQP_SERVER;
    if (server ? spoken(c) != GNT_AMQP_PROTOCOL_AMQP : c->sasl_header && !c->sasl_done)
        return refuse(c);
    if (server && !c->header_sent) {
        if (gnt_amqp_say_header(c, GNT_AMQP_PROTOCOL_AMQP))
            return gnt_amqp_fail_nomem(c);
        c->header_sent = true;
    }
    gnt_amqp_move(c, GNT_AMQP_AWAITS_OPEN);
    return GNT_MORE;
}

gnt_err gnt_amqp_on_header(struct gnt_amqp_connection *c, struct gnt_slice *in,
                           struct gnt_amqp_event *out)
{
    struct gnt_amqp_protocol p;
    gnt_err err = gnt_amqp_protocol(*in, &p);
    if (err == GNT_MORE)
        return err;
    if (err || p.major != 1 || p.minor != 0 || p.revision != 0)
        return refuse(c);
    *in = gnt_slice_skip(*in, GNT_AMQP_PROTOCOL_SIZE);
    switch ((enum gnt_amqp_protocol_id)p.id) {
    case GNT_AMQP_PROTOCOL_AMQP: return on_amqp(c);
    case GNT_AMQP_PROTOCOL_TLS: return on_tls(c, out);
    case GNT_AMQP_PROTOCOL_SASL: return on_sasl(c);
    }
    return refuse(c);
}

gnt_err gnt_amqp_connection_tls(struct gnt_amqp_connection *c)
{
    if (c->state != GNT_AMQP_AWAITS_HEADER || c->secured || c->header_sent || c->sasl_header)
        return GNT_STATE;
    if (c->side == GNT_AMQP_CLIENT && !c->tls_offered) {
        gnt_err err = gnt_amqp_say_header(c, GNT_AMQP_PROTOCOL_TLS);
        if (err)
            return err;
    }
    c->tls_offered = true;
    return GNT_OK;
}

void gnt_amqp_connection_secured(struct gnt_amqp_connection *c)
{
    gnt_amqp_move(c, GNT_AMQP_AWAITS_HEADER);
    c->secured = true;
}
