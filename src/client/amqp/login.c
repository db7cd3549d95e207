/* SASL: who the client is [AMQP 5.3]. */
#include "client/amqp/client.h"

#include "base/random.h"

#include <stdio.h>

/* ---- Options */

static uint32_t usual(const struct gnatter_amqp_options *o, const struct gnt_link *l)
{
    bool plain = o->allow_plain || l->tls || l->file || l->loopback;
    bool external =
        l->file ||
        (l->tls && (o->tls.choose || o->tls.identity.certificate || o->tls.identity.pfx));
    uint32_t set = GNT_SASL_BIT(GNT_SASL_ANONYMOUS) | GNT_SASL_SCRAM;
    set |= plain ? GNT_SASL_BIT(GNT_SASL_PLAIN) : 0;
    return set | (external && !o->user ? GNT_SASL_BIT(GNT_SASL_EXTERNAL) : 0);
}

gnt_err gnt_amqp_login_options(const struct gnatter_amqp_options *o, const struct gnt_link *l,
                               uint32_t *mechanisms)
{
    *mechanisms = usual(o, l);
    if (!o->mechanism)
        return GNT_OK;
    if (strcmp(o->mechanism, "none") == 0) {
        *mechanisms = 0;
        return GNT_OK;
    }
    enum gnt_sasl_mechanism wanted = gnt_sasl_by_name(gnt_slice_str(o->mechanism));
    if (wanted == GNT_SASL_MECHANISMS)
        return GNT_UNSUPPORTED;
    bool safe = wanted != GNT_SASL_PLAIN || (*mechanisms & GNT_SASL_BIT(GNT_SASL_PLAIN));
    *mechanisms = GNT_SASL_BIT(wanted);
    return safe ? GNT_OK : GNT_INVALID;
}

static struct gnt_sasl_credentials credentials(const gnatter_amqp *c)
{
    return (struct gnt_sasl_credentials){.allowed = c->mechanisms,
                                         .user = gnt_slice_str(c->options.user),
                                         .password = gnt_slice_str(c->options.password)};
}

/* ---- Events */

static gnt_err say_open(gnatter_amqp *c)
{
    struct gnt_amqp_open open = {0};
    if (c->options.hostname)
        GNT_AMQP_SET(&open, hostname, gnt_slice_str(c->options.hostname));
    return gnt_amqp_connection_open(&c->engine, &open);
}

gnt_err gnt_amqp_login_begin(gnatter_amqp *c)
{
    gnt_sasl_client_fini(&c->sasl);
    c->sasl = (struct gnt_sasl_client){.proved = false};
    c->sasl_begun = false;
    return c->mechanisms ? gnt_amqp_connection_sasl_start(&c->engine) : say_open(c);
}

static uint32_t offered(const struct gnt_amqp_value *list)
{
    struct gnt_amqp_items symbols = gnt_amqp_symbols(list);
    struct gnt_slice name;
    uint32_t set = 0;
    while (gnt_amqp_next_symbol(&symbols, &name)) {
        enum gnt_sasl_mechanism m = gnt_sasl_by_name(name);
        if (m != GNT_SASL_MECHANISMS)
            set |= GNT_SASL_BIT(m);
    }
    return set;
}

static gnt_err on_mechanisms(gnatter_amqp *c, const struct gnt_amqp_value *list)
{
    const struct gnt_sasl_credentials who = credentials(c);
    struct gnt_buf first = {0};
    gnt_err err = gnt_sasl_client_begin(&c->sasl, &who, offered(list), &gnt_random_system, &first);
    if (err == GNT_UNSUPPORTED) {
        c->engine.why = "the server offers no mechanism that may be used";
        return GNT_DENIED;
    }
    c->sasl_begun = !err;
    struct gnt_amqp_sasl_init init = {0};
    GNT_AMQP_SET(&init, mechanism, gnt_slice_str(gnt_sasl_name(c->sasl.mechanism)));
    GNT_AMQP_SET(&init, initial_response, gnt_buf_slice(&first));
    if (c->options.hostname)
        GNT_AMQP_SET(&init, hostname, gnt_slice_str(c->options.hostname));
    if (!err)
        err = gnt_amqp_connection_sasl_init(&c->engine, &init);
    if (gnt_buf_size(&first))
        gnt_scram_wipe(first.data + first.start, gnt_buf_size(&first));
    gnt_buf_fini(&first);
    return err;
}

/* What SCRAM has to compute takes its time. */
static gnt_err on_challenge(gnatter_amqp *c, struct gnt_slice challenge)
{
    const struct gnt_sasl_credentials who = credentials(c);
    struct gnt_buf answer = {0};
    pthread_mutex_unlock(&c->thread->lock);
    gnt_err err = gnt_sasl_client_answer(&c->sasl, &who, challenge, &answer);
    pthread_mutex_lock(&c->thread->lock);
    if (!err)
        err = gnt_amqp_connection_sasl_respond(&c->engine, gnt_buf_slice(&answer));
    else if (err == GNT_DENIED)
        c->engine.why = "the server could not prove that it knows the user";
    gnt_buf_fini(&answer);
    return err;
}

static gnt_err on_outcome(gnatter_amqp *c, const struct gnt_amqp_sasl_outcome *outcome)
{
    if (outcome->code == GNT_AMQP_SASL_SYS_TEMP || outcome->code == GNT_AMQP_SASL_SYS) {
        c->engine.why = "the server cannot check who this is now";
        return GNT_REFUSED;
    }
    if (outcome->code != GNT_AMQP_SASL_OK) {
        c->engine.why = "the server does not accept user and password";
        return GNT_DENIED;
    }
    struct gnt_slice data =
        outcome->has.additional_data ? outcome->additional_data : (struct gnt_slice){0};
    gnt_err err = gnt_sasl_client_confirm(&c->sasl, data);
    if (err) {
        c->engine.why = "the server could not prove that it knows the user";
        return GNT_DENIED;
    }
    return say_open(c);
}

gnt_err gnt_amqp_login_event(gnatter_amqp *c, const struct gnt_amqp_event *event)
{
    const struct gnt_amqp_composite *p = &event->performative;
    switch ((int)event->type) {
    case GNT_AMQP_EVENT_SASL_MECHANISMS:
        return on_mechanisms(c, &p->sasl_mechanisms.sasl_server_mechanisms);
    case GNT_AMQP_EVENT_SASL_CHALLENGE: return on_challenge(c, p->sasl_challenge.challenge);
    case GNT_AMQP_EVENT_SASL_OUTCOME: return on_outcome(c, &p->sasl_outcome);
    default: return GNT_PROTOCOL;
    }
}
