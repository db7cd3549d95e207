/* A program that has the broker inside: it may be asked who a client is, and told of those that
 * come and go (hooks.h). */

#include "front/mqtt/hooks.h"
#include "front/mqtt/login_private.h"
#include "net/tls.h"

#include <stdlib.h>

static const char by_program[] = "program";

/* What it is asked, in memory of its own, since the connection may go meanwhile. */
struct question {
    struct gnt_login_check check;
    struct gnt_login_question told;
    const struct gnt_mqtt_hooks *hooks;
    enum gnt_login_answer answer;
    char user[GNT_LOGIN_USER_SIZE];
    char address[64];
    size_t size; /* of the texts */
    char texts[];
};

static struct question *question_of(struct gnt_login_check *check)
{
    return GNT_CONTAINER(check, struct question, check);
}

bool gnt_login_has_program(const struct gnt_mqtt_connection *c)
{
    const struct gnt_mqtt_hooks *hooks = c->front->shared->hooks;
    return hooks && hooks->login;
}

/* ---- The question */

/* On the hasher's thread. */
static gnt_err ask(struct gnt_hasher_job *job)
{
    struct question *q = question_of(GNT_CONTAINER(job, struct gnt_login_check, job));
    q->answer = q->hooks->login(q->hooks->context, &q->told, q->user);
    return GNT_OK;
}

/* Back on the connection's. */
static void heed(struct gnt_login_check *check, struct gnt_mqtt_connection *c)
{
    struct question *q = question_of(check);
    struct gnt_login *login = c->login;
    bool guesses = q->told.password.data != NULL;
    if (q->answer == GNT_LOGIN_USUAL) {
        gnt_login_usual(c);
    } else if (q->answer == GNT_LOGIN_REFUSE && guesses) {
        gnt_login_refuse(c, GNT_REASON_BAD_USER_OR_PASSWORD, gnt_slice_str(q->told.user), NULL);
    } else if (q->answer == GNT_LOGIN_REFUSE) {
        gnt_connection_fail(c, GNT_REASON_NOT_AUTHORIZED, NULL);
    } else {
        q->user[sizeof q->user - 1] = '\0';
        free(login->user);
        login->user = q->user[0] ? strdup(q->user) : NULL;
        if (q->user[0] && !login->user) {
            gnt_connection_unanswered(c, GNT_NOMEM);
            return;
        }
        gnt_login_let_in(c, by_program, gnt_slice(NULL, 0));
        gnt_connection_read(c); /* what has come behind the CONNECT */
    }
}

static void question_free(struct gnt_login_check *check)
{
    struct question *q = question_of(check);
    X509_free(q->told.certificate);
    gnt_scram_wipe(q, sizeof *q + q->size);
    free(q);
}

/* Appends TEXT with a zero byte behind it. */
static const char *put(struct question *q, struct gnt_slice text)
{
    char *at = q->texts + q->size;
    if (text.size)
        memcpy(at, text.data, text.size);
    at[text.size] = '\0';
    q->size += text.size + 1;
    return at;
}

static void fill(struct question *q, const struct gnt_mqtt_connection *c,
                 const struct gnt_mqtt_connect *p)
{
    const struct gnt_stream *tls = gnt_tls_of(c->stream);
    q->told.client = put(q, p->client_id);
    if (p->has_username)
        q->told.user = put(q, p->username);
    if (p->has_password)
        q->told.password = gnt_slice(put(q, p->password), p->password.size);
    if (c->login->user)
        q->told.named = put(q, gnt_slice_str(c->login->user));
    q->told.certificate = tls ? gnt_tls_peer_certificate(tls) : NULL;
    if (q->told.certificate)
        X509_up_ref(q->told.certificate);
    gnt_stream_peer(c->stream, q->address, sizeof q->address);
    q->told.address = q->address;
    const char *user = q->told.named ? q->told.named : q->told.user;
    if (user)
        memcpy(q->user, user, strlen(user) + 1);
}

gnt_err gnt_login_ask(struct gnt_mqtt_connection *c, const struct gnt_mqtt_connect *p)
{
    size_t named = c->login->user ? strlen(c->login->user) : 0;
    if (p->username.size >= GNT_LOGIN_USER_SIZE) {
        gnt_connection_fail(c, GNT_REASON_BAD_USER_OR_PASSWORD, NULL);
        return GNT_OK;
    }
    struct question *q =
        calloc(1, sizeof *q + p->client_id.size + p->username.size + p->password.size + named + 4);
    if (!q)
        return GNT_NOMEM;
    q->hooks = c->front->shared->hooks;
    q->check.answer = heed;
    q->check.free = question_free;
    q->check.job.ask = ask;
    fill(q, c, p);
    gnt_err err = gnt_login_submit(c, &q->check);
    if (err)
        question_free(&q->check);
    return err;
}

/* ---- Those who come and go */

gnt_err gnt_login_expect(struct gnt_mqtt_connection *c, struct gnt_slice client)
{
    const struct gnt_mqtt_hooks *hooks = c->front->shared->hooks;
    if (!hooks || (!hooks->came && !hooks->went))
        return GNT_OK;
    gnt_err err = gnt_login_make(c);
    if (!err)
        c->login->client = strndup((const char *)client.data, client.size);
    return !err && !c->login->client ? GNT_NOMEM : err;
}

static struct gnt_guest guest_of(const struct gnt_mqtt_connection *c, char address[64])
{
    gnt_stream_peer(c->stream, address, 64);
    return (struct gnt_guest){c->login->client, c->login->user, address};
}

void gnt_login_came(struct gnt_mqtt_connection *c)
{
    const struct gnt_mqtt_hooks *hooks = c->front->shared->hooks;
    char address[64];
    if (!c->login || !c->login->client)
        return;
    const struct gnt_guest guest = guest_of(c, address);
    c->login->told = true;
    if (hooks->came)
        hooks->came(hooks->context, &guest);
}

void gnt_login_went(struct gnt_mqtt_connection *c, const char *why)
{
    const struct gnt_mqtt_hooks *hooks = c->front->shared->hooks;
    char address[64];
    if (!c->login || !c->login->told)
        return;
    const struct gnt_guest guest = guest_of(c, address);
    c->login->told = false;
    if (hooks->went)
        hooks->went(hooks->context, &guest, why);
}
