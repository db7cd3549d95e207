/* Who a client is: by its certificate, by user name and password, by enhanced authentication
 * (login_scram.c), or as a program says (login_ask.c).
 *
 * What takes long is done by the hasher's thread; meanwhile the connection is not read.  The answer
 * to a login that has failed may be held back for a while (auth/guess.h). */

#include "auth/users.h"
#include "front/mqtt/login_private.h"
#include "net/tls.h"

#include <stdio.h>
#include <stdlib.h>

/* Who is to be told something later, and talks on, is not listened to any more after so many reads
 * of a turn: then its end is seen only when it is told. */
enum { LISTENS_MAX = 16 };

static const char by_password[] = "password", by_certificate[] = "certificate";

/* ---- Its life */

gnt_err gnt_login_make(struct gnt_mqtt_connection *c)
{
    if (!c->login)
        c->login = calloc(1, sizeof *c->login);
    return c->login ? GNT_OK : GNT_NOMEM;
}

void gnt_login_stop_asking(struct gnt_login *login)
{
    struct gnt_login_asking *a = login->asking;
    login->asking = NULL;
    if (!a)
        return;
    gnt_lobby_abandon(&a->check);
    if (a->connect.data) /* it may hold a password */
        gnt_scram_wipe(a->connect.data, a->connect.cap);
    gnt_buf_fini(&a->connect);
    gnt_scram_server_fini(&a->scram);
    free(a);
}

void gnt_login_free(struct gnt_login **login)
{
    struct gnt_login *gone = *login;
    *login = NULL;
    if (!gone)
        return;
    gnt_login_stop_asking(gone);
    free(gone->held);
    free(gone->client);
    free(gone->user);
    free(gone);
}

const char *gnt_login_user(const struct gnt_mqtt_connection *c)
{
    return c->login ? c->login->user : NULL;
}

const char *gnt_login_by(const struct gnt_mqtt_connection *c)
{
    return c->login && c->login->by ? c->login->by : "anonymous";
}

/* ---- By certificate */

static gnt_err take_name(struct gnt_mqtt_connection *c, const struct gnt_buf *name)
{
    struct gnt_slice text = gnt_buf_slice(name);
    gnt_err err = gnt_login_make(c);
    if (err)
        return err;
    c->login->user = strndup((const char *)text.data, text.size);
    if (!c->login->user)
        return GNT_NOMEM;
    c->login->by = by_certificate;
    return GNT_OK;
}

/* Whom its certificate names, if it is one that names a user.  GNT_DENIED: it has to, and does not;
 * GNT_NOMEM. */
static gnt_err identify(struct gnt_mqtt_connection *c)
{
    const struct gnt_stream *tls = gnt_tls_of(c->stream);
    struct gnt_buf name = {0};
    if (!tls || (c->login && c->login->by))
        return GNT_OK;
    gnt_err err = gnt_tls_peer_name(tls, &name);
    if (!err)
        err = take_name(c, &name);
    else if (err == GNT_NOTFOUND)
        err = gnt_tls_peer_has_to_be_named(tls) ? GNT_DENIED : GNT_OK;
    gnt_buf_fini(&name);
    return err;
}

/* ---- What stands against it */

static bool is_named(const struct gnt_mqtt_connection *c)
{
    return c->login && c->login->by == by_certificate;
}

static uint8_t usual_objection(const struct gnt_mqtt_connection *c,
                               const struct gnt_mqtt_connect *p)
{
    if (is_named(c)) /* what it says besides does not count */
        return GNT_REASON_SUCCESS;
    if (c->front->users && (p->has_username || p->has_password)) {
        bool complete =
            p->has_username && p->has_password && p->password.size <= GNT_SCRAM_PASSWORD_MAX;
        return complete ? GNT_REASON_SUCCESS : GNT_REASON_BAD_USER_OR_PASSWORD;
    }
    if (c->front->shared->lobby->anonymous)
        return GNT_REASON_SUCCESS;
    return p->has_username ? GNT_REASON_BAD_USER_OR_PASSWORD : GNT_REASON_NOT_AUTHORIZED;
}

uint8_t gnt_login_objection(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet)
{
    if (gnt_login_is_blocked(c)) /* since it was accepted, or behind a proxy */
        return GNT_REASON_BANNED;
    gnt_err err = identify(c);
    if (err)
        return err == GNT_DENIED ? GNT_REASON_NOT_AUTHORIZED : GNT_REASON_SERVER_BUSY;
    if (gnt_mqtt_has(&packet->props, GNT_PROP_AUTH_METHOD)) { /* [MQTT-4.12.0-1] */
        bool possible =
            c->front->users && !is_named(c) && gnt_login_method(&packet->props) != GNT_SCRAM_HASHES;
        return possible ? GNT_REASON_SUCCESS : GNT_REASON_BAD_AUTH_METHOD;
    }
    return gnt_login_has_program(c) ? GNT_REASON_SUCCESS : usual_objection(c, &packet->connect);
}

/* ---- The verdict */

bool gnt_login_is_blocked(const struct gnt_mqtt_connection *c)
{
    char name[GNT_NAME_SIZE];
    const struct gnt_visitor visitor = gnt_connection_visitor(c, name);
    return gnt_lobby_blocks(&visitor);
}

/* Holds nothing meanwhile but the answer itself. */
static void hold(struct gnt_mqtt_connection *c, uint64_t delay_ns, uint8_t reason, const char *why)
{
    struct gnt_login *login = c->login;
    struct gnt_login_held *held = calloc(1, sizeof *held);
    if (!held) {
        gnt_connection_unanswered(c, GNT_NOMEM);
        return;
    }
    held->until = gnt_deadline(c->front->loop->now, delay_ns);
    held->reason = reason;
    snprintf(held->why, sizeof held->why, "%s", why ? why : "");
    login->held = held;
    gnt_login_stop_asking(login);
    free(login->user);
    login->user = NULL;
    gnt_connection_keep_time(c);
    gnt_connection_want(c);
}

/* Who has been let in before has no time to be in for any longer. */
void gnt_login_refuse(struct gnt_mqtt_connection *c, uint8_t reason, struct gnt_slice user,
                      const char *why)
{
    char name[GNT_NAME_SIZE];
    const struct gnt_visitor visitor = gnt_connection_visitor(c, name);
    uint64_t delay_ns = gnt_lobby_failed(&visitor, user, NULL);
    if (delay_ns && c->engine.state != GNT_MQTT_OPEN)
        hold(c, delay_ns, reason, why);
    else
        gnt_connection_fail(c, reason, why);
}

void gnt_login_refuse_unheard(struct gnt_mqtt_connection *c)
{
    bool open = c->engine.state == GNT_MQTT_OPEN;
    gnt_connection_fail(c, open ? GNT_REASON_NOT_AUTHORIZED : GNT_REASON_BANNED, NULL);
}

void gnt_login_recall(const struct gnt_mqtt_connection *c, struct gnt_mqtt_packet *out)
{
    gnt_mqtt_server_recall(&c->engine, gnt_buf_slice(&c->login->asking->connect), out);
}

void gnt_login_let_in(struct gnt_mqtt_connection *c, const char *by, struct gnt_slice auth_data)
{
    struct gnt_mqtt_packet connect;
    gnt_login_recall(c, &connect);
    c->login->by = by;
    gnt_connection_welcome(c, &connect, auth_data);
    gnt_login_stop_asking(c->login);
}

/* ---- While the answer is held back */

uint64_t gnt_login_held_until(const struct gnt_mqtt_connection *c)
{
    bool held = c->state == GNT_CONNECTION_OPEN && c->login && c->login->held;
    return held ? c->login->held->until : 0;
}

bool gnt_login_listens(const struct gnt_mqtt_connection *c)
{
    return gnt_login_held_until(c) && c->login->held->listened < LISTENS_MAX;
}

void gnt_login_listen(struct gnt_mqtt_connection *c)
{
    c->login->held->listened++;
    gnt_err err = gnt_connection_discard(c);
    if (err)
        gnt_connection_input_ended(c, err);
    else
        gnt_connection_want(c);
}

void gnt_login_tell(struct gnt_mqtt_connection *c)
{
    const struct gnt_login_held *held = c->login->held;
    gnt_connection_fail(c, held->reason, held->why[0] ? held->why : NULL);
}

/* ---- By password */

static void on_password(struct gnt_mqtt_connection *c, gnt_err result)
{
    if (result == GNT_DENIED) {
        gnt_login_refuse(c, GNT_REASON_BAD_USER_OR_PASSWORD, gnt_slice_str(c->login->user), NULL);
        return;
    }
    gnt_login_let_in(c, by_password, gnt_slice(NULL, 0));
    gnt_connection_read(c); /* what has come behind the CONNECT */
}

void gnt_login_on_checked(struct gnt_lobby_check *check, void *owner)
{
    struct gnt_mqtt_connection *c = owner;
    gnt_err err = check->job.result;
    c->login->asking->check = NULL;
    if (c->state != GNT_CONNECTION_OPEN)
        return;
    if (gnt_login_is_blocked(c))
        gnt_login_refuse_unheard(c);
    else if (err && err != GNT_DENIED)
        gnt_connection_unanswered(c, err);
    else if (check->asked)
        gnt_login_heed(c, check);
    else
        on_password(c, err);
}

static gnt_err check_password(struct gnt_mqtt_connection *c, const struct gnt_mqtt_connect *p)
{
    char name[GNT_NAME_SIZE];
    const struct gnt_visitor visitor = gnt_connection_visitor(c, name);
    c->login->user = strndup((const char *)p->username.data, p->username.size);
    if (!c->login->user)
        return GNT_NOMEM;
    return gnt_lobby_check_password(&visitor, c->front->users, p->username, p->password, c,
                                    gnt_login_on_checked, &c->login->asking->check);
}

/* ---- The beginning */

/* Keeps the CONNECT that stands at the front of WHOLE. */
static gnt_err keep(struct gnt_mqtt_connection *c, struct gnt_slice whole)
{
    struct gnt_mqtt_frame frame;
    gnt_err err = gnt_mqtt_frame(whole, SIZE_MAX, &frame);
    if (!err)
        err = gnt_login_make(c);
    if (err)
        return err;
    c->login->asking = calloc(1, sizeof *c->login->asking);
    if (!c->login->asking)
        return GNT_NOMEM;
    return gnt_buf_put(&c->login->asking->connect, gnt_slice(whole.data, frame.size));
}

static bool needs_password(const struct gnt_mqtt_connection *c, const struct gnt_mqtt_connect *p)
{
    return c->front->users && p->has_username && !is_named(c);
}

void gnt_login_usual(struct gnt_mqtt_connection *c)
{
    struct gnt_mqtt_packet packet;
    gnt_login_recall(c, &packet);
    uint8_t reason = usual_objection(c, &packet.connect);
    if (reason != GNT_REASON_SUCCESS) {
        gnt_connection_fail(c, reason, NULL);
    } else if (needs_password(c, &packet.connect)) {
        gnt_err err = check_password(c, &packet.connect);
        if (err)
            gnt_connection_unanswered(c, err);
    } else {
        gnt_login_let_in(c, c->login->by, gnt_slice(NULL, 0));
        gnt_connection_read(c);
    }
}

bool gnt_login_begin(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet,
                     struct gnt_slice whole)
{
    bool by_method = gnt_mqtt_has(&packet->props, GNT_PROP_AUTH_METHOD);
    bool by_program = !by_method && gnt_login_has_program(c);
    if (!by_method && !by_program && !needs_password(c, &packet->connect))
        return false;
    gnt_err err = keep(c, whole);
    if (!err && by_method) {
        c->login->method = gnt_login_method(&packet->props);
        gnt_login_hear(c, &packet->props);
    } else if (!err && by_program)
        err = gnt_login_ask(c, &packet->connect);
    else if (!err)
        err = check_password(c, &packet->connect);
    if (err)
        gnt_connection_unanswered(c, err);
    return true;
}
