/* Who a client is: its user name and password, or enhanced authentication by SCRAM-SHA-256 [MQTT5
 * 4.12], before its CONNECT is answered and, if it likes, again later.
 *
 * A password is checked by the hasher's thread; meanwhile the connection is not read.  An exchange
 * needs no such work here, as it is the client that derives the keys.
 *
 * The answer to a login that has failed may be held back for a while (guessing.c). */

#include "auth/hasher.h"
#include "auth/users.h"
#include "base/log.h"
#include "front/mqtt/connection.h"
#include "net/post.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Who is to be told something later, and talks on, is not listened to any more after so many reads
 * of a turn: then its end is seen only when it is told. */
enum { LISTENS_MAX = 16 };

/* A password on its way to the hasher and back; the connection may go meanwhile. */
struct check {
    struct gnt_hasher_job job;
    struct gnt_mqtt_front *front;
    struct gnt_mqtt_connection *connection; /* NULL: gone; only the front's thread looks at it */
};

/* While the client is asked who it is. */
struct asking {
    struct gnt_buf connect; /* its CONNECT, until that is answered */
    struct check *check;    /* of a password, or: */
    struct gnt_scram_server scram;
    bool asked; /* for the first message, which did not come with CONNECT or 0x19 */
    bool begun; /* the first message has come */
};

/* What the client will be told, and how often it was listened to meanwhile. */
struct held {
    uint64_t until;
    unsigned listened;
    uint8_t reason;
    char why[48]; /* "": the reason's own words */
};

struct gnt_login {
    char *user; /* NULL: not known yet */
    struct asking *asking;
    struct held *held; /* NULL: no answer is held back */
};

static void stop_asking(struct gnt_login *login)
{
    struct asking *a = login->asking;
    login->asking = NULL;
    if (!a)
        return;
    if (a->check) {
        a->check->connection = NULL;
        atomic_store(&a->check->job.unwanted, true);
    }
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
    stop_asking(gone);
    free(gone->held);
    free(gone->user);
    free(gone);
}

static bool is_scram(const struct gnt_mqtt_props *props)
{
    return gnt_slice_eq_str(gnt_mqtt_text(props, GNT_PROP_AUTH_METHOD), GNT_SCRAM_METHOD);
}

uint8_t gnt_login_objection(const struct gnt_mqtt_connection *c,
                            const struct gnt_mqtt_packet *packet)
{
    const struct gnt_mqtt_connect *p = &packet->connect;
    const struct gnt_users *users = c->front->users;
    if (gnt_guessing_blocks(c)) /* since it was accepted, or behind a proxy */
        return GNT_REASON_BANNED;
    if (gnt_mqtt_has(&packet->props, GNT_PROP_AUTH_METHOD)) /* [MQTT-4.12.0-1] */
        return users && is_scram(&packet->props) ? GNT_REASON_SUCCESS : GNT_REASON_BAD_AUTH_METHOD;
    if (users && (p->has_username || p->has_password)) {
        bool complete =
            p->has_username && p->has_password && p->password.size <= GNT_SCRAM_PASSWORD_MAX;
        return complete ? GNT_REASON_SUCCESS : GNT_REASON_BAD_USER_OR_PASSWORD;
    }
    if (c->front->shared->anonymous)
        return GNT_REASON_SUCCESS;
    return p->has_username ? GNT_REASON_BAD_USER_OR_PASSWORD : GNT_REASON_NOT_AUTHORIZED;
}

/* ---- The verdict */

static void log_failure(const struct gnt_mqtt_connection *c, struct gnt_slice user)
{
    char peer[64], name[GNT_NAME_SIZE];
    if (!gnt_log_enabled(GNT_LOG_INFO))
        return;
    gnt_stream_peer(c->stream, peer, sizeof peer);
    gnt_log_limited(GNT_LOG_INFO, gnt_connection_name(c, name), "login failed",
                    GNT_F_TEXT("user", user), GNT_F_STR("from", peer));
}

/* Holds nothing meanwhile but the answer itself. */
static void hold(struct gnt_mqtt_connection *c, uint64_t delay_ns, uint8_t reason, const char *why)
{
    struct gnt_login *login = c->login;
    login->held = calloc(1, sizeof *login->held);
    if (!login->held) {
        gnt_connection_unanswered(c, GNT_NOMEM);
        return;
    }
    login->held->until = gnt_deadline(c->front->loop->now, delay_ns);
    login->held->reason = reason;
    snprintf(login->held->why, sizeof login->held->why, "%s", why ? why : "");
    stop_asking(login);
    free(login->user);
    login->user = NULL;
    gnt_connection_keep_time(c);
    gnt_connection_want(c);
}

/* It is not who it says.  Who has been let in before has no time to be in for any longer. */
static void refuse(struct gnt_mqtt_connection *c, uint8_t reason, struct gnt_slice user,
                   const char *why)
{
    log_failure(c, user);
    uint64_t delay_ns = gnt_guessing_failed(c);
    if (delay_ns && c->engine.state != GNT_MQTT_OPEN)
        hold(c, delay_ns, reason, why);
    else
        gnt_connection_fail(c, reason, why);
}

/* Its address has been blocked meanwhile, so nothing that it says matters. */
static void refuse_unheard(struct gnt_mqtt_connection *c)
{
    bool open = c->engine.state == GNT_MQTT_OPEN;
    gnt_connection_fail(c, open ? GNT_REASON_NOT_AUTHORIZED : GNT_REASON_BANNED, NULL);
}

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
    const struct held *held = c->login->held;
    gnt_connection_fail(c, held->reason, held->why[0] ? held->why : NULL);
}

/* The client has shown who it is: its CONNECT is answered. */
static void let_in(struct gnt_mqtt_connection *c, struct gnt_slice auth_data)
{
    struct gnt_mqtt_packet connect;
    gnt_mqtt_server_recall(&c->engine, gnt_buf_slice(&c->login->asking->connect), &connect);
    gnt_connection_welcome(c, &connect, auth_data);
    stop_asking(c->login);
}

static struct gnt_slice user_of(const struct gnt_mqtt_connection *c)
{
    return gnt_slice_str(c->login->user);
}

const char *gnt_login_user(const struct gnt_mqtt_connection *c)
{
    return c->login ? c->login->user : NULL;
}

/* ---- By password */

static void on_checked(const struct gnt_mail *mail)
{
    struct check *check = mail->object;
    struct gnt_mqtt_connection *c = check->connection;
    gnt_err result = check->job.result;
    free(check);
    if (!c)
        return;
    c->login->asking->check = NULL;
    if (c->state != GNT_CONNECTION_OPEN)
        return;
    if (gnt_guessing_blocks(c)) {
        refuse_unheard(c);
    } else if (result == GNT_DENIED) {
        refuse(c, GNT_REASON_BAD_USER_OR_PASSWORD, user_of(c), NULL);
    } else if (result) {
        gnt_connection_unanswered(c, result);
    } else {
        let_in(c, gnt_slice(NULL, 0));
        gnt_connection_read(c); /* what has come behind the CONNECT */
    }
}

/* On the hasher's thread: back to the connection's. */
static void on_hashed(struct gnt_hasher_job *job)
{
    enum { PAUSE_US = 1000 };
    struct check *check = GNT_CONTAINER(job, struct check, job);
    struct gnt_loop *loop = check->front->loop;
    const struct gnt_mail mail = {.run = on_checked, .to = check->front, .object = check};
    while (gnt_post_send_outside(loop->post, loop->address, &mail))
        usleep(PAUSE_US); /* out of memory; a moment may help, and it has to be told */
}

static gnt_err check_password(struct gnt_mqtt_connection *c, const struct gnt_mqtt_connect *p)
{
    struct check *check = calloc(1, sizeof *check);
    c->login->user = strndup((const char *)p->username.data, p->username.size);
    if (!check || !c->login->user) {
        free(check);
        return GNT_NOMEM;
    }
    check->front = c->front;
    check->connection = c;
    check->job.known = gnt_users_find(c->front->users, p->username, &check->job.verifier);
    check->job.done = on_hashed;
    check->job.password_size = p->password.size;
    if (p->password.size)
        memcpy(check->job.password, p->password.data, p->password.size);
    gnt_err err = gnt_hasher_submit(c->front->shared->hasher, &check->job);
    if (err) {
        gnt_scram_wipe(check, sizeof *check);
        free(check);
    } else {
        c->login->asking->check = check;
    }
    return err == GNT_FULL ? GNT_BUSY : err;
}

/* ---- By SCRAM-SHA-256 */

/* AUTH with CODE, which says DATA. */
static void say(struct gnt_mqtt_connection *c, uint8_t code, struct gnt_slice data)
{
    gnt_err err = gnt_mqtt_server_auth(&c->engine, code, gnt_slice_str(GNT_SCRAM_METHOD), data);
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
            let_in(c, data);
        else
            gnt_connection_unanswered(c, GNT_NOMEM);
    } else if (strcmp(login->user, s->name) != 0) {
        refuse(c, GNT_REASON_NOT_AUTHORIZED, gnt_slice_str(s->name),
               "only the same user can authenticate again");
    } else {
        say(c, GNT_REASON_SUCCESS, data);
        stop_asking(login);
    }
}

static gnt_err begin(struct gnt_mqtt_connection *c, struct gnt_slice data, struct gnt_buf *out)
{
    struct gnt_scram_server *s = &c->login->asking->scram;
    struct gnt_scram_verifier verifier;
    gnt_err err = gnt_scram_server_begin(s, data, out);
    if (err)
        return err;
    bool known = gnt_users_find_scram(c->front->users, gnt_slice_str(s->name), &verifier);
    err = gnt_scram_server_challenge(s, &verifier, known, c->front->shared->random, out);
    gnt_scram_wipe(&verifier, sizeof verifier);
    return err;
}

/* What the client says in its CONNECT or an AUTH.  SCRAM begins with the client; if it leaves that
 * out, it is asked [RFC 4422 3.3]. */
static void hear(struct gnt_mqtt_connection *c, const struct gnt_mqtt_props *props)
{
    struct asking *a = c->login->asking;
    struct gnt_slice data = gnt_mqtt_text(props, GNT_PROP_AUTH_DATA);
    struct gnt_buf out = {0};
    if (gnt_guessing_blocks(c)) {
        refuse_unheard(c);
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
            refuse(c, GNT_REASON_NOT_AUTHORIZED, gnt_slice_str(a->scram.name),
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
    if (!is_scram(&packet->props)) { /* [MQTT-4.12.0-5, MQTT-4.12.1-1] */
        gnt_connection_broke(c, GNT_REASON_PROTOCOL_ERROR, "another authentication method");
        return;
    }
    if (!c->login->asking)
        c->login->asking = calloc(1, sizeof *c->login->asking);
    if (c->login->asking)
        hear(c, &packet->props);
    else
        gnt_connection_unanswered(c, GNT_NOMEM);
}

/* ---- The beginning */

/* Keeps the CONNECT that stands at the front of WHOLE. */
static gnt_err ask(struct gnt_mqtt_connection *c, struct gnt_slice whole)
{
    struct gnt_mqtt_frame frame;
    gnt_err err = gnt_mqtt_frame(whole, SIZE_MAX, &frame);
    if (!err)
        c->login = calloc(1, sizeof *c->login);
    if (!err && c->login)
        c->login->asking = calloc(1, sizeof *c->login->asking);
    if (!c->login || !c->login->asking)
        return GNT_NOMEM;
    return gnt_buf_put(&c->login->asking->connect, gnt_slice(whole.data, frame.size));
}

bool gnt_login_begin(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet,
                     struct gnt_slice whole)
{
    bool by_method = gnt_mqtt_has(&packet->props, GNT_PROP_AUTH_METHOD);
    if (!by_method && !(c->front->users && packet->connect.has_username))
        return false;
    gnt_err err = ask(c, whole);
    if (!err && by_method)
        hear(c, &packet->props);
    else if (!err)
        err = check_password(c, &packet->connect);
    if (err)
        gnt_connection_unanswered(c, err);
    return true;
}
