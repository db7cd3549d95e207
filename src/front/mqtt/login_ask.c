/* A program that has the broker inside: it may be asked who a client is, and told of those that
 * come and go (front/base/hooks.h). */

#include "front/mqtt/login_private.h"

#include <stdlib.h>

static const char by_program[] = "program", protocol[] = "mqtt";

bool gnt_login_has_program(const struct gnt_mqtt_connection *c)
{
    return gnt_lobby_has_program(c->front->shared->lobby);
}

/* ---- The question */

/* There, if it HAS been said, even if it is empty. */
static struct gnt_slice said(bool has, struct gnt_slice text)
{
    return has ? gnt_slice(text.data ? text.data : (const uint8_t *)"", text.size)
               : gnt_slice(NULL, 0);
}

gnt_err gnt_login_ask(struct gnt_mqtt_connection *c, const struct gnt_mqtt_connect *p)
{
    char name[GNT_NAME_SIZE];
    const struct gnt_visitor visitor = gnt_connection_visitor(c, name);
    const struct gnt_lobby_shown shown = {.protocol = protocol,
                                          .client = p->client_id,
                                          .user = said(p->has_username, p->username),
                                          .password = said(p->has_password, p->password),
                                          .named = gnt_slice_str(c->login->user)};
    gnt_err err =
        gnt_lobby_ask(&visitor, &shown, c, gnt_login_on_checked, &c->login->asking->check);
    if (err != GNT_DENIED)
        return err;
    gnt_connection_fail(c, GNT_REASON_BAD_USER_OR_PASSWORD, NULL);
    return GNT_OK;
}

void gnt_login_heed(struct gnt_mqtt_connection *c, const struct gnt_lobby_check *check)
{
    struct gnt_login *login = c->login;
    bool guesses = check->told.password.data != NULL;
    if (check->said == GNT_LOGIN_USUAL) {
        gnt_login_usual(c);
    } else if (check->said == GNT_LOGIN_REFUSE && guesses) {
        gnt_login_refuse(c, GNT_REASON_BAD_USER_OR_PASSWORD, gnt_slice_str(check->told.user), NULL);
    } else if (check->said == GNT_LOGIN_REFUSE) {
        gnt_connection_fail(c, GNT_REASON_NOT_AUTHORIZED, NULL);
    } else {
        free(login->user);
        login->user = check->user[0] ? strdup(check->user) : NULL;
        if (check->user[0] && !login->user) {
            gnt_connection_unanswered(c, GNT_NOMEM);
            return;
        }
        gnt_login_let_in(c, by_program, gnt_slice(NULL, 0));
        gnt_connection_read(c); /* what has come behind the CONNECT */
    }
}

/* ---- Those who come and go */

gnt_err gnt_login_expect(struct gnt_mqtt_connection *c, struct gnt_slice client)
{
    if (!gnt_lobby_tells(c->front->shared->lobby))
        return GNT_OK;
    gnt_err err = gnt_login_make(c);
    if (!err)
        c->login->client = strndup((const char *)client.data, client.size);
    return !err && !c->login->client ? GNT_NOMEM : err;
}

static struct gnt_guest guest_of(const struct gnt_mqtt_connection *c)
{
    return (
        struct gnt_guest){.protocol = protocol, .client = c->login->client, .user = c->login->user};
}

void gnt_login_came(struct gnt_mqtt_connection *c)
{
    char name[GNT_NAME_SIZE];
    const struct gnt_visitor visitor = gnt_connection_visitor(c, name);
    if (!c->login || !c->login->client)
        return;
    c->login->told = true;
    gnt_lobby_came(&visitor, guest_of(c));
}

void gnt_login_went(struct gnt_mqtt_connection *c, const char *why)
{
    char name[GNT_NAME_SIZE];
    const struct gnt_visitor visitor = gnt_connection_visitor(c, name);
    if (!c->login || !c->login->told)
        return;
    c->login->told = false;
    gnt_lobby_went(&visitor, guest_of(c), why);
}
