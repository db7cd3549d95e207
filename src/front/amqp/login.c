/* Who a peer is: by its certificate, or by SASL.
 *
 * A peer that goes without SASL is anonymous, or whom its certificate names.  What takes long is
 * done by the hasher's thread; meanwhile the connection is not read.  The outcome of a login that
 * has failed may be held back for a while (auth/guess.h). */

#include "auth/guess.h"
#include "auth/hasher.h"
#include "auth/sasl.h"
#include "auth/users.h"
#include "base/log.h"
#include "front/amqp/peer.h"
#include "net/post.h"
#include "net/tls.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct check;

struct gnt_amqp_login {
    struct gnt_sasl_server sasl;
    struct gnt_sasl_terms terms;
    struct gnt_slice mechanisms[GNT_SASL_MECHANISMS]; /* of terms.offered, the best first */
    struct gnt_buf named;                             /* by its certificate */
    struct check *check;                              /* at the hasher; NULL: none is */
    uint64_t held_until; /* the outcome of a login that has failed; GNT_NEVER: none is held back */
};

/* A password that is looked at; the peer may go meanwhile. */
struct check {
    struct gnt_hasher_job job;
    struct gnt_amqp_front *front;
    struct gnt_amqp_peer *peer; /* NULL: gone; only the front's thread looks at it */
};

/* Codes of an outcome [AMQP 5.3.3.6]. */
static const uint8_t codes[] = {
    [GNT_SASL_ACCEPTED] = GNT_AMQP_SASL_OK,
    [GNT_SASL_REFUSED] = GNT_AMQP_SASL_AUTH,
    [GNT_SASL_UNOFFERED] = GNT_AMQP_SASL_AUTH,
    [GNT_SASL_UNAVAILABLE] = GNT_AMQP_SASL_SYS_TEMP,
};

void gnt_amqp_login_free(struct gnt_amqp_login **login)
{
    struct gnt_amqp_login *gone = *login;
    *login = NULL;
    if (!gone)
        return;
    if (gone->check) {
        gone->check->peer = NULL;
        atomic_store(&gone->check->job.unwanted, true);
    }
    gnt_sasl_server_fini(&gone->sasl);
    gnt_buf_fini(&gone->named);
    free(gone);
}

/* ---- What it is offered */

/* Whom its certificate names, if it is one that names a user.  GNT_DENIED: it has to, and does not.
 */
static gnt_err identify(const struct gnt_amqp_peer *p, struct gnt_buf *name)
{
    const struct gnt_stream *tls = gnt_tls_of(p->stream);
    gnt_err err = tls ? gnt_tls_peer_name(tls, name) : GNT_NOTFOUND;
    if (err != GNT_NOTFOUND)
        return err;
    return tls && gnt_tls_peer_has_to_be_named(tls) ? GNT_DENIED : GNT_OK;
}

/* Who is named by a certificate is that, whatever else he says. */
static uint32_t allowed_to(const struct gnt_amqp_peer *p, bool named)
{
    uint32_t allowed = 0;
    if (named || p->front->shared->anonymous)
        allowed |= GNT_SASL_BIT(GNT_SASL_ANONYMOUS);
    if (named)
        allowed |= GNT_SASL_BIT(GNT_SASL_EXTERNAL);
    else if (p->front->users)
        allowed |= GNT_SASL_BIT(GNT_SASL_PLAIN) | GNT_SASL_SCRAM;
    return allowed;
}

gnt_err gnt_amqp_login_offer(struct gnt_amqp_peer *p)
{
    struct gnt_amqp_login *login = calloc(1, sizeof *login);
    uint32_t count = 0;
    if (!login)
        return GNT_NOMEM;
    p->login = login;
    p->by = "anonymous";
    login->held_until = GNT_NEVER;
    gnt_err err = identify(p, &login->named);
    if (err)
        return err;
    login->terms.external = gnt_buf_slice(&login->named);
    login->terms.random = p->front->shared->random;
    bool named = login->terms.external.size > 0;
    login->terms.offered =
        gnt_sasl_offer(allowed_to(p, named), login->terms.external, p->front->users);
    for (unsigned m = GNT_SASL_MECHANISMS; m-- > 0;)
        if (login->terms.offered & GNT_SASL_BIT(m))
            login->mechanisms[count++] = gnt_slice_str(gnt_sasl_name((enum gnt_sasl_mechanism)m));
    gnt_amqp_connection_sasl_offer(&p->engine, login->mechanisms, count,
                                   !named && !p->front->shared->anonymous);
    return GNT_OK;
}

/* ---- What failing costs */

static struct gnt_guess_source source_of(const struct gnt_amqp_peer *p)
{
    struct sockaddr_storage address;
    gnt_stream_address(p->stream, &address);
    return gnt_guess_source((const struct sockaddr *)&address);
}

/* For how long nothing is looked at that comes from the peer's address. */
static uint64_t blocked_ns(const struct gnt_amqp_peer *p)
{
    struct gnt_guess_source source = source_of(p);
    struct gnt_guess *guess = p->front->shared->guess;
    return guess ? gnt_guess_blocked(guess, &source, p->front->loop->now) : 0;
}

static void log_failure(const struct gnt_amqp_peer *p)
{
    char peer[64], name[GNT_PEER_NAME_SIZE];
    if (!gnt_log_enabled(GNT_LOG_INFO))
        return;
    gnt_stream_peer(p->stream, peer, sizeof peer);
    gnt_log_limited(GNT_LOG_INFO, gnt_amqp_peer_name(p, name), "login failed",
                    GNT_F_STR("user", p->login->sasl.user), GNT_F_STR("from", peer));
}

/* Counts it; returns for how long (ns) the outcome is to be held back. */
static uint64_t failed(struct gnt_amqp_peer *p)
{
    char peer[64], name[GNT_PEER_NAME_SIZE];
    struct gnt_guess *guess = p->front->shared->guess;
    struct gnt_guess_source source = source_of(p);
    uint64_t delay_ns = 0;
    log_failure(p);
    gnt_count(gnt_amqp_peer_counters(p), GNT_COUNT_LOGINS_FAILED, 1);
    if (!guess || !gnt_guess_failed(guess, &source, p->front->loop->now, &delay_ns))
        return delay_ns;
    gnt_stream_peer(p->stream, peer, sizeof peer);
    gnt_log_limited(GNT_LOG_WARNING, gnt_amqp_peer_name(p, name), "block address",
                    GNT_F_STR("from", peer), GNT_F_STR("reason", "too many failed logins"),
                    GNT_F_NUM("seconds", blocked_ns(p) / GNT_NS_PER_S));
    return delay_ns;
}

/* ---- The verdict */

static void tell(struct gnt_amqp_peer *p, struct gnt_slice additional)
{
    uint8_t code = codes[p->login->sasl.state];
    gnt_err err = gnt_amqp_connection_sasl_outcome(&p->engine, code, additional);
    if (err)
        gnt_amqp_peer_broke(p, err);
    else if (code)
        gnt_amqp_peer_end(p,
                          code == GNT_AMQP_SASL_AUTH ? "not authorised" : gnt_err_text(GNT_BUSY));
    else
        gnt_amqp_peer_dirty(p);
}

uint64_t gnt_amqp_login_held_until(const struct gnt_amqp_peer *p)
{
    return p->login && p->state == GNT_PEER_OPEN ? p->login->held_until : GNT_NEVER;
}

void gnt_amqp_login_tell(struct gnt_amqp_peer *p)
{
    p->login->held_until = GNT_NEVER;
    tell(p, gnt_slice(NULL, 0));
}

static void refuse(struct gnt_amqp_peer *p)
{
    uint64_t delay_ns = failed(p);
    if (!delay_ns) {
        tell(p, gnt_slice(NULL, 0));
        return;
    }
    p->login->held_until = gnt_deadline(p->front->loop->now, delay_ns);
    gnt_amqp_peer_keep_time(p);
}

static void let_in(struct gnt_amqp_peer *p, struct gnt_slice additional)
{
    const struct gnt_sasl_server *sasl = &p->login->sasl;
    if (sasl->user[0]) {
        p->user = strdup(sasl->user);
        p->by = gnt_sasl_name(sasl->mechanism);
        if (!p->user) {
            gnt_amqp_peer_broke(p, GNT_NOMEM);
            return;
        }
    }
    tell(p, additional);
}

/* ---- To the hasher and back */

static void follow(struct gnt_amqp_peer *p, struct gnt_slice out);

static void check_free(struct check *check)
{
    gnt_scram_wipe(check, sizeof *check);
    free(check);
}

static void on_checked(const struct gnt_mail *mail)
{
    struct check *check = mail->object;
    struct gnt_amqp_peer *p = check->peer;
    if (p)
        p->login->check = NULL;
    if (p && p->state == GNT_PEER_OPEN) {
        gnt_sasl_server_checked(&p->login->sasl, check->job.result);
        follow(p, gnt_slice(NULL, 0));
        gnt_amqp_peer_unpause(p); /* what has come behind it */
    }
    check_free(check);
}

/* On the hasher's thread: back to the peer's. */
static void on_hashed(struct gnt_hasher_job *job)
{
    enum { PAUSE_US = 1000 };
    struct check *check = GNT_CONTAINER(job, struct check, job);
    struct gnt_loop *loop = check->front->loop;
    const struct gnt_mail mail = {.run = on_checked, .to = check->front, .object = check};
    while (gnt_post_send_outside(loop->post, loop->address, &mail))
        usleep(PAUSE_US); /* out of memory; a moment may help, and it has to be told */
}

static gnt_err look_at_password(struct gnt_amqp_peer *p)
{
    struct gnt_amqp_login *login = p->login;
    struct gnt_slice password = login->sasl.password;
    if (!p->front->users || password.size > GNT_SCRAM_PASSWORD_MAX)
        return GNT_DENIED;
    struct check *check = calloc(1, sizeof *check);
    if (!check)
        return GNT_NOMEM;
    check->front = p->front;
    check->peer = p;
    check->job.done = on_hashed;
    check->job.known =
        gnt_users_find(p->front->users, gnt_slice_str(login->sasl.user), &check->job.verifier);
    check->job.password_size = password.size;
    if (password.size)
        memcpy(check->job.password, password.data, password.size);
    gnt_err err = gnt_hasher_submit(p->front->shared->hasher, &check->job);
    if (err)
        check_free(check);
    else
        login->check = check;
    return err;
}

/* ---- The exchange */

static void challenge(struct gnt_amqp_peer *p, struct gnt_slice out)
{
    gnt_err err = gnt_amqp_connection_sasl_challenge(&p->engine, out);
    if (err)
        gnt_amqp_peer_broke(p, err);
    else
        gnt_amqp_peer_dirty(p);
}

/* Does what comes next where the exchange stands, with OUT. */
static void follow(struct gnt_amqp_peer *p, struct gnt_slice out)
{
    switch (p->login->sasl.state) {
    case GNT_SASL_ASKS: challenge(p, out); break;
    case GNT_SASL_CHECKS: {
        gnt_err err = look_at_password(p);
        if (!err)
            break;
        gnt_sasl_server_checked(&p->login->sasl, err);
        follow(p, gnt_slice(NULL, 0));
        break;
    }
    case GNT_SASL_ACCEPTED: let_in(p, out); break;
    case GNT_SASL_REFUSED: refuse(p); break;
    case GNT_SASL_UNOFFERED:
    case GNT_SASL_UNAVAILABLE: tell(p, out); break;
    }
}

void gnt_amqp_login_on_event(struct gnt_amqp_peer *p, const struct gnt_amqp_event *event)
{
    struct gnt_amqp_login *login = p->login;
    struct gnt_buf out = {0};
    if (blocked_ns(p)) { /* since it was accepted, or behind a proxy */
        gnt_amqp_peer_end(p, "passwords were guessed from there");
        return;
    }
    login->terms.users = p->front->users; /* for this call: they may be others later */
    if (event->type == GNT_AMQP_EVENT_SASL_INIT) {
        const struct gnt_amqp_sasl_init *init = &event->performative.sasl_init;
        gnt_sasl_server_begin(&login->sasl, &login->terms, init->mechanism, init->initial_response,
                              &out);
    } else {
        gnt_sasl_server_step(&login->sasl, &login->terms,
                             event->performative.sasl_response.response, &out);
    }
    follow(p, gnt_buf_slice(&out));
    gnt_buf_fini(&out);
}

/* Without SASL the certificate alone says who it is. */
bool gnt_amqp_login_is_over(struct gnt_amqp_peer *p)
{
    struct gnt_amqp_login *login = p->login;
    struct gnt_slice named = gnt_buf_slice(&login->named);
    bool may = p->user || named.size || p->front->shared->anonymous;
    if (!p->user && named.size) {
        p->user = strndup((const char *)named.data, named.size);
        p->by = "certificate";
        may = p->user != NULL;
    }
    gnt_amqp_login_free(&p->login);
    return may;
}
