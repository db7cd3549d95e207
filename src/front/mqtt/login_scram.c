/* Enhanced authentication by SCRAM [MQTT5 4.12], before CONNECT is answered and, if the
 * client likes, again later.  It needs no work that would have to be done elsewhere, as it is the
 * client that derives the keys. */

#include "auth/users.h"
#include "front/mqtt/login_private.h"

#include <stdlib.h>

enum gnt_scram_hash gnt_login_method(const struct gnt_mqtt_props *props)
{
    return gnt_scram_by_name(gnt_mqtt_text(props, GNT_PROP_AUTH_METHOD));
}

/* AUTH with CODE, which says DATA. */
static void say(struct gnt_mqtt_connection *c, uint8_t code, struct gnt_slice data)
{
    const char *method = gnt_scram_name(c->login->method);
    gnt_err err = gnt_mqtt_server_auth(&c->engine, code, gnt_slice_str(method), data);
    if (err)
        gnt_connection_unanswered(c, err);
    else
        gnt_connection_dirty(c);
}

/* The client has proved that it is s->name. */
static void proved(struct gnt_mqtt_connection *c, const struct gnt_scram_server *s,
                   struct gnt_slice data)
{
    struct gnt_login *login = c->login;
    if (!login->user) {
        login->user = strdup(s->name);
        if (login->user)
            gnt_login_let_in(c, gnt_scram_name(login->method), data);
        else
            gnt_connection_unanswered(c, GNT_NOMEM);
    } else if (strcmp(login->user, s->name) != 0) {
        gnt_login_refuse(c, GNT_REASON_NOT_AUTHORIZED, gnt_slice_str(s->name),
                         "only the same user can authenticate again");
    } else {
        say(c, GNT_REASON_SUCCESS, data);
        gnt_login_stop_asking(login);
    }
}

static gnt_err begin(struct gnt_mqtt_connection *c, struct gnt_slice data, struct gnt_buf *out)
{
    struct gnt_scram_server *s = &c->login->asking->scram;
    struct gnt_scram_verifier verifier;
    gnt_err err = gnt_scram_server_begin(s, data, out);
    if (err)
        return err;
    bool known =
        gnt_users_find_scram(c->front->users, gnt_slice_str(s->name), c->login->method, &verifier);
    err = gnt_scram_server_challenge(s, &verifier, known, c->front->shared->lobby->random, out);
    gnt_scram_wipe(&verifier, sizeof verifier);
    return err;
}

/* SCRAM begins with the client; if it leaves that out, it is asked [RFC 4422 3.3]. */
void gnt_login_hear(struct gnt_mqtt_connection *c, const struct gnt_mqtt_props *props)
{
    struct gnt_login_asking *a = c->login->asking;
    struct gnt_slice data = gnt_mqtt_text(props, GNT_PROP_AUTH_DATA);
    struct gnt_buf out = {0};
    if (gnt_login_is_blocked(c)) {
        gnt_login_refuse_unheard(c);
        return;
    }
    if (data.size == 0 && !a->asked && !a->begun) {
        a->asked = true;
        say(c, GNT_REASON_CONTINUE_AUTHENTICATION, data);
        return;
    }
    bool first = !a->begun;
    gnt_err err = first ? begin(c, data, &out) : gnt_scram_server_finish(&a->scram, data, &out);
    a->begun = true;
    if (err == GNT_DENIED || err == GNT_MALFORMED) { /* OUT is "e=why" */
        err = gnt_buf_put(&out, gnt_slice("", 1));
        if (!err)
            gnt_login_refuse(c, GNT_REASON_NOT_AUTHORIZED, gnt_slice_str(a->scram.name),
                             (const char *)gnt_buf_slice(&out).data + 2);
    } else if (!err && first) {
        say(c, GNT_REASON_CONTINUE_AUTHENTICATION, gnt_buf_slice(&out));
    } else if (!err) {
        proved(c, &a->scram, gnt_buf_slice(&out));
    }
    if (err)
        gnt_connection_unanswered(c, err);
    gnt_buf_fini(&out);
}

void gnt_login_on_auth(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet)
{
    if (gnt_login_method(&packet->props) != c->login->method) { /* [MQTT-4.12.0-5, MQTT-4.12.1-1] */
        gnt_connection_broke(c, GNT_REASON_PROTOCOL_ERROR, "another authentication method");
        return;
    }
    if (!c->login->asking)
        c->login->asking = calloc(1, sizeof *c->login->asking);
    if (c->login->asking)
        gnt_login_hear(c, &packet->props);
    else
        gnt_connection_unanswered(c, GNT_NOMEM);
}
