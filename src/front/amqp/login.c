/* Who a peer is: by its certificate, by SASL, or as a program says that has the broker inside.
 *
 * A peer that goes without SASL is anonymous, or whom its certificate names.  What takes long is
 * done by the hasher's thread (front/base/lobby.h); meanwhile the connection is not read.  The
 * outcome of a login that has failed may be held back for a while (auth/guess.h). */

#include "auth/sasl.h"
#include "auth/users.h"
#include "front/amqp/peer.h"
#include "net/tls.h"

#include <stdlib.h>

static const char by_certificate[] = "certificate", by_program[] = "program", protocol[] = "amqp";

struct gnt_amqp_login {
    struct gnt_sasl_server sasl;
    struct gnt_sasl_terms terms;
    struct gnt_slice mechanisms[GNT_SASL_MECHANISMS]; /* of terms.offered, the best first */
    struct gnt_buf named;                             /* by its certificate */
    struct gnt_tls_context *tls;                      /* that it may ask for; NULL: none */
    struct gnt_lobby_check *check;                    /* at the hasher; NULL: none is */
    const char *why;     /* nothing could be found out; NULL: not, or for want of time */
    uint64_t held_until; /* the outcome of a login that has failed; GNT_NEVER: none is held back */
    bool opening;        /* the peer has opened the connection without SASL, and waits */
    bool heeded;         /* the program has said what there is to say */
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
    gnt_lobby_abandon(&gone->check);
    gnt_sasl_server_fini(&gone->sasl);
    gnt_buf_fini(&gone->named);
    gnt_tls_context_unref(&gone->tls);
    free(gone);
}

static struct gnt_lobby *lobby_of(const struct gnt_amqp_peer *p)
{
    return p->front->shared->lobby;
}

static bool is_blocked(const struct gnt_amqp_peer *p)
{
    char name[GNT_PEER_NAME_SIZE];
    const struct gnt_visitor visitor = gnt_amqp_peer_visitor(p, name);
    return gnt_lobby_blocks(&visitor);
}

/* Whether it may come now, which is asked once: before anything is looked up for it. */
static bool admit(struct gnt_amqp_peer *p)
{
    p->admitted = p->admitted || gnt_lobby_within_rate(lobby_of(p), p->front->limits.connect_rate,
                                                       p->front->loop->now);
    return p->admitted;
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

/* Who is named by a certificate is that, whatever else he says; unless a program has its say, which
 * is told everything.  It cannot be asked about SCRAM, which nobody is offered then. */
static uint32_t allowed_to(const struct gnt_amqp_peer *p, bool named)
{
    bool program = gnt_lobby_has_program(lobby_of(p));
    bool users = p->front->users && !named;
    uint32_t allowed = 0;
    if (named || program || lobby_of(p)->anonymous)
        allowed |= GNT_SASL_BIT(GNT_SASL_ANONYMOUS);
    if (named)
        allowed |= GNT_SASL_BIT(GNT_SASL_EXTERNAL);
    if (users || program)
        allowed |= GNT_SASL_BIT(GNT_SASL_PLAIN);
    if (users && !program)
        allowed |= GNT_SASL_SCRAM;
    return allowed;
}

/* What the stream, as it is now, permits. */
static gnt_err offer_sasl(struct gnt_amqp_peer *p)
{
    struct gnt_amqp_login *login = p->login;
    uint32_t count = 0;
    gnt_err err = identify(p, &login->named);
    if (err)
        return err;
    login->terms.external = gnt_buf_slice(&login->named);
    login->terms.random = p->front->shared->random;
    bool named = login->terms.external.size > 0;
    login->terms.offered = gnt_sasl_offer(allowed_to(p, named), login->terms.external,
                                          p->front->users, gnt_tls_of(p->stream) != NULL);
    for (unsigned m = GNT_SASL_MECHANISMS; m-- > 0;)
        if (login->terms.offered & GNT_SASL_BIT(m))
            login->mechanisms[count++] = gnt_slice_str(gnt_sasl_name((enum gnt_sasl_mechanism)m));
    gnt_amqp_connection_sasl_offer(&p->engine, login->mechanisms, count,
                                   !(login->terms.offered & GNT_SASL_BIT(GNT_SASL_ANONYMOUS)));
    return GNT_OK;
}

gnt_err gnt_amqp_login_offer(struct gnt_amqp_peer *p, struct gnt_tls_context **tls)
{
    struct gnt_amqp_login *login = calloc(1, sizeof *login);
    if (!login) {
        gnt_tls_context_unref(tls);
        return GNT_NOMEM;
    }
    p->login = login;
    p->by = "anonymous";
    login->held_until = GNT_NEVER;
    login->tls = *tls;
    *tls = NULL;
    gnt_err err = login->tls ? gnt_amqp_connection_tls(&p->engine) : GNT_OK;
    return err ? err : offer_sasl(p);
}

gnt_err gnt_amqp_login_offer_anew(struct gnt_amqp_peer *p)
{
    gnt_tls_context_unref(&p->login->tls);
    return offer_sasl(p);
}

struct gnt_tls_context *gnt_amqp_login_tls(const struct gnt_amqp_peer *p)
{
    return p->login->tls;
}

/* ---- The verdict */

static void tell(struct gnt_amqp_peer *p, struct gnt_slice additional)
{
    const struct gnt_amqp_login *login = p->login;
    uint8_t code = codes[login->sasl.state];
    const char *why = login->why ? login->why : gnt_err_text(GNT_BUSY);
    gnt_err err = gnt_amqp_connection_sasl_outcome(&p->engine, code, additional);
    if (err)
        gnt_amqp_peer_broke(p, err);
    else if (code)
        gnt_amqp_peer_end(p, code == GNT_AMQP_SASL_AUTH ? "not authorised" : why);
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

/* What its user has in the file is of no use for the mechanism that it has chosen. */
static const char *mismatch(const struct gnt_amqp_peer *p)
{
    const struct gnt_sasl_server *sasl = &p->login->sasl;
    bool long_hash = sasl->mechanism == GNT_SASL_SCRAM_SHA_512;
    struct gnt_verifier verifier;
    if (!p->front->users || !(GNT_SASL_BIT(sasl->mechanism) & GNT_SASL_SCRAM))
        return NULL;
    bool known = gnt_users_find(p->front->users, gnt_slice_str(sasl->user), &verifier);
    bool fits = gnt_verifier_scram(&verifier, long_hash ? GNT_SCRAM_SHA_512 : GNT_SCRAM_SHA_256);
    gnt_scram_wipe(&verifier, sizeof verifier);
    return known && !fits ? "its line in the file of users is not for SCRAM" : NULL;
}

static void refuse(struct gnt_amqp_peer *p)
{
    char name[GNT_PEER_NAME_SIZE];
    const struct gnt_visitor visitor = gnt_amqp_peer_visitor(p, name);
    uint64_t delay_ns = gnt_lobby_failed(&visitor, gnt_slice_str(p->login->sasl.user), mismatch(p));
    if (!delay_ns) {
        tell(p, gnt_slice(NULL, 0));
        return;
    }
    p->login->held_until = gnt_deadline(p->front->loop->now, delay_ns);
    gnt_amqp_peer_keep_time(p);
}

/* It is USER ("": anonymous), as it has shown BY that.  GNT_NOMEM. */
static gnt_err take_user(struct gnt_amqp_peer *p, const char *user, const char *by)
{
    p->user = user[0] ? strdup(user) : NULL;
    p->by = by;
    return user[0] && !p->user ? GNT_NOMEM : GNT_OK;
}

static void let_in(struct gnt_amqp_peer *p, struct gnt_slice additional)
{
    const struct gnt_sasl_server *sasl = &p->login->sasl;
    if (sasl->user[0] && take_user(p, sasl->user, gnt_sasl_name(sasl->mechanism)))
        gnt_amqp_peer_broke(p, GNT_NOMEM);
    else
        tell(p, additional);
}

/* ---- To the hasher and back */

static void follow(struct gnt_amqp_peer *p, struct gnt_slice out);
static void follow_unasked(struct gnt_amqp_peer *p, gnt_err err);
static void heed(struct gnt_amqp_peer *p, const struct gnt_lobby_check *check);

/* A gnt_lobby_answer. */
static void on_checked(struct gnt_lobby_check *check, void *owner)
{
    struct gnt_amqp_peer *p = owner;
    p->login->check = NULL;
    if (p->state != GNT_PEER_OPEN)
        return;
    if (is_blocked(p)) {
        gnt_amqp_peer_end(p, "passwords were guessed from there");
    } else if (check->asked && !check->job.result) {
        heed(p, check);
    } else if (p->login->opening) {
        gnt_amqp_peer_broke(p, check->job.result);
    } else if (check->asked) {
        follow_unasked(p, check->job.result);
    } else {
        gnt_sasl_server_checked(&p->login->sasl, check->job.result);
        follow(p, gnt_slice(NULL, 0));
    }
    gnt_amqp_peer_unpause(p); /* what has come behind it */
}

/* Of who says it is p->login->sasl.user. */
static void look_at_password(struct gnt_amqp_peer *p, struct gnt_slice password)
{
    char name[GNT_PEER_NAME_SIZE];
    struct gnt_amqp_login *login = p->login;
    const struct gnt_visitor visitor = gnt_amqp_peer_visitor(p, name);
    gnt_err err =
        gnt_lobby_check_password(&visitor, p->front->users, gnt_slice_str(login->sasl.user),
                                 password, p, on_checked, &login->check);
    if (!err)
        return;
    gnt_sasl_server_checked(&login->sasl, err);
    follow(p, gnt_slice(NULL, 0));
}

/* ---- As a program says */

/* Whether it is to be asked: once about everybody. */
static bool is_to_be_asked(const struct gnt_amqp_peer *p)
{
    return gnt_lobby_has_program(lobby_of(p)) && !p->login->heeded;
}

/* Asks about what the peer has shown so far. */
static gnt_err ask(struct gnt_amqp_peer *p)
{
    char name[GNT_PEER_NAME_SIZE];
    struct gnt_amqp_login *login = p->login;
    const struct gnt_visitor visitor = gnt_amqp_peer_visitor(p, name);
    bool password = login->sasl.state == GNT_SASL_CHECKS;
    const struct gnt_lobby_shown shown = {
        .protocol = protocol,
        .client = gnt_slice_str(p->container),
        .user = gnt_slice_str(password ? login->sasl.user : NULL),
        .password = password ? login->sasl.password : gnt_slice(NULL, 0),
        .named = gnt_buf_slice(&login->named),
    };
    return gnt_lobby_ask(&visitor, &shown, p, on_checked, &login->check);
}

/* By its certificate, or where nobody has to be anybody. */
static bool may_as_usual(const struct gnt_amqp_peer *p)
{
    return p->user || gnt_buf_size(&p->login->named) || lobby_of(p)->anonymous;
}

static void heed_sasl(struct gnt_amqp_peer *p, const struct gnt_lobby_check *check)
{
    struct gnt_sasl_server *sasl = &p->login->sasl;
    bool password = sasl->state == GNT_SASL_CHECKS, usual = check->said == GNT_LOGIN_USUAL;
    if (usual && password && !check->told.named) {
        look_at_password(p, check->told.password);
    } else if (usual && may_as_usual(p)) {
        sasl->state = GNT_SASL_ACCEPTED; /* nobody, or whom its certificate names */
        tell(p, gnt_slice(NULL, 0));
    } else if (check->said == GNT_LOGIN_ACCEPT) {
        sasl->state = GNT_SASL_ACCEPTED;
        if (take_user(p, check->user, by_program))
            gnt_amqp_peer_broke(p, GNT_NOMEM);
        else
            tell(p, gnt_slice(NULL, 0));
    } else {
        sasl->state = GNT_SASL_REFUSED;
        if (password)
            refuse(p);
        else
            tell(p, gnt_slice(NULL, 0));
    }
}

static void heed(struct gnt_amqp_peer *p, const struct gnt_lobby_check *check)
{
    gnt_err err = GNT_OK;
    p->login->heeded = true;
    if (!p->login->opening) {
        heed_sasl(p, check);
        return;
    }
    if (check->said == GNT_LOGIN_ACCEPT)
        err = take_user(p, check->user, by_program);
    else if (check->said == GNT_LOGIN_REFUSE || !may_as_usual(p))
        err = GNT_DENIED;
    gnt_amqp_peer_opens(p, err);
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

/* The program, who has to be asked, cannot be. */
static void follow_unasked(struct gnt_amqp_peer *p, gnt_err err)
{
    p->login->heeded = true;
    p->login->sasl.state = err == GNT_DENIED ? GNT_SASL_REFUSED : GNT_SASL_UNAVAILABLE;
    follow(p, gnt_slice(NULL, 0));
}

/* Does what comes next where the exchange stands, with OUT. */
static void follow(struct gnt_amqp_peer *p, struct gnt_slice out)
{
    const struct gnt_sasl_server *sasl = &p->login->sasl;
    bool ends_well = sasl->state == GNT_SASL_CHECKS || sasl->state == GNT_SASL_ACCEPTED;
    if (ends_well && is_to_be_asked(p)) {
        gnt_err err = ask(p);
        if (err)
            follow_unasked(p, err);
        return;
    }
    switch (sasl->state) {
    case GNT_SASL_ASKS: challenge(p, out); break;
    case GNT_SASL_CHECKS: look_at_password(p, sasl->password); break;
    case GNT_SASL_ACCEPTED: let_in(p, out); break;
    case GNT_SASL_REFUSED: refuse(p); break;
    case GNT_SASL_UNOFFERED:
    case GNT_SASL_UNAVAILABLE: tell(p, out); break;
    }
}

/* What the peer has said, in its turn. */
static void hear(struct gnt_amqp_peer *p, const struct gnt_amqp_event *event, struct gnt_buf *out)
{
    struct gnt_amqp_login *login = p->login;
    login->terms.users = p->front->users; /* for this call: they may be others later */
    if (event->type == GNT_AMQP_EVENT_SASL_INIT) {
        const struct gnt_amqp_sasl_init *init = &event->performative.sasl_init;
        gnt_sasl_server_begin(&login->sasl, &login->terms, init->mechanism, init->initial_response,
                              out);
    } else {
        gnt_sasl_server_step(&login->sasl, &login->terms,
                             event->performative.sasl_response.response, out);
    }
}

void gnt_amqp_login_on_event(struct gnt_amqp_peer *p, const struct gnt_amqp_event *event)
{
    struct gnt_buf out = {0};
    if (is_blocked(p)) { /* since it was accepted, or behind a proxy */
        gnt_amqp_peer_end(p, "passwords were guessed from there");
        return;
    }
    if (admit(p)) {
        hear(p, event, &out);
    } else {
        p->login->sasl.state = GNT_SASL_UNAVAILABLE;
        p->login->why = "limits.connect_rate";
    }
    follow(p, gnt_buf_slice(&out));
    gnt_buf_fini(&out);
}

/* ---- Opening */

bool gnt_amqp_login_waits(const struct gnt_amqp_peer *p)
{
    return p->login && p->login->check;
}

/* Without SASL the certificate alone says who it is. */
gnt_err gnt_amqp_login_at_open(struct gnt_amqp_peer *p)
{
    if (!admit(p))
        return GNT_BUSY;
    if (is_blocked(p))
        return GNT_DENIED;
    if (is_to_be_asked(p)) {
        p->login->opening = true;
        gnt_err err = ask(p);
        return err ? err : GNT_MORE;
    }
    return may_as_usual(p) || p->by == by_program ? GNT_OK : GNT_DENIED;
}

gnt_err gnt_amqp_login_end(struct gnt_amqp_peer *p)
{
    struct gnt_slice named = gnt_buf_slice(&p->login->named);
    gnt_err err = GNT_OK;
    if (!p->user && named.size && p->by != by_program) {
        p->user = strndup((const char *)named.data, named.size);
        p->by = by_certificate;
        err = p->user ? GNT_OK : GNT_NOMEM;
    }
    gnt_amqp_login_free(&p->login);
    return err;
}
