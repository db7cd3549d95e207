#include "auth/sasl.h"

#include "auth/field.h"
#include "auth/scram_private.h"
#include "auth/users.h"
#include "base/utf8.h"

/* A server hears what the client says; a client opens with what it has to say. */
typedef enum gnt_sasl_state hear(struct gnt_sasl_server *s, const struct gnt_sasl_terms *terms,
                                 struct gnt_slice said, struct gnt_buf *out);
typedef gnt_err opens(struct gnt_sasl_client *c, const struct gnt_sasl_credentials *who,
                      const struct gnt_random *random, struct gnt_buf *out);

static hear hear_anonymous, hear_plain, hear_scram, hear_external;
static opens open_silently, open_plain, open_scram;

/* Who can use it. */
enum needs { NEEDS_NOTHING, NEEDS_NOBODY, NEEDS_PASSWORD };

static const struct row {
    const char *name;
    hear *hear;
    opens *open;
    enum gnt_scram_hash hash; /* of SCRAM */
    enum needs needs;
} rows[GNT_SASL_MECHANISMS] = {
    [GNT_SASL_ANONYMOUS] = {"ANONYMOUS", hear_anonymous, open_silently, GNT_SCRAM_HASHES,
                            NEEDS_NOBODY},
    [GNT_SASL_PLAIN] = {"PLAIN", hear_plain, open_plain, GNT_SCRAM_HASHES, NEEDS_PASSWORD},
    [GNT_SASL_SCRAM_SHA_256] = {"SCRAM-SHA-256", hear_scram, open_scram, GNT_SCRAM_SHA_256,
                                NEEDS_PASSWORD},
    [GNT_SASL_SCRAM_SHA_512] = {"SCRAM-SHA-512", hear_scram, open_scram, GNT_SCRAM_SHA_512,
                                NEEDS_PASSWORD},
    [GNT_SASL_EXTERNAL] = {"EXTERNAL", hear_external, open_silently, GNT_SCRAM_HASHES,
                           NEEDS_NOTHING},
};

const char *gnt_sasl_name(enum gnt_sasl_mechanism mechanism)
{
    return rows[mechanism].name;
}

enum gnt_sasl_mechanism gnt_sasl_by_name(struct gnt_slice name)
{
    unsigned mechanism = 0;
    while (mechanism < GNT_SASL_MECHANISMS && !gnt_slice_eq_str(name, rows[mechanism].name))
        mechanism++;
    return (enum gnt_sasl_mechanism)mechanism;
}

static bool is_in(uint32_t set, unsigned mechanism)
{
    return mechanism < GNT_SASL_MECHANISMS && set & GNT_SASL_BIT(mechanism);
}

/* What both sides take for a password [RFC 4616 2]; control characters may be in it. */
static bool password_valid(struct gnt_slice password)
{
    return password.size > 0 && password.size <= GNT_SCRAM_PASSWORD_MAX && gnt_utf8_valid(password);
}

/* ---- The server's side */

static bool can_offer(const struct row *row, struct gnt_slice external,
                      const struct gnt_users *users, bool secret)
{
    if (row->hear == hear_external)
        return external.size > 0 && external.size <= GNT_SASL_USER_MAX;
    if (row->hash == GNT_SCRAM_HASHES)
        return true;
    return users && gnt_users_offer_scram(users, row->hash) &&
           (!secret || gnt_users_are_scram(users));
}

uint32_t gnt_sasl_offer(uint32_t allowed, struct gnt_slice external, const struct gnt_users *users,
                        bool secret)
{
    uint32_t offered = 0;
    for (unsigned i = 0; i < GNT_SASL_MECHANISMS; i++)
        if (is_in(allowed, i) && can_offer(&rows[i], external, users, secret))
            offered |= GNT_SASL_BIT(i);
    return offered;
}

/* USER fits. */
static void say_user(struct gnt_sasl_server *s, struct gnt_slice user)
{
    memcpy(s->user, user.data, user.size);
    s->user[user.size] = '\0';
}

/* What it says besides is for statistics [RFC 4505 2]. */
static enum gnt_sasl_state hear_anonymous(struct gnt_sasl_server *s,
                                          const struct gnt_sasl_terms *terms, struct gnt_slice said,
                                          struct gnt_buf *out)
{
    (void)s;
    (void)terms;
    (void)said;
    (void)out;
    return GNT_SASL_ACCEPTED;
}

/* Whom it acts for, if it says so. */
static enum gnt_sasl_state hear_external(struct gnt_sasl_server *s,
                                         const struct gnt_sasl_terms *terms, struct gnt_slice said,
                                         struct gnt_buf *out)
{
    (void)out;
    if (!can_offer(&rows[GNT_SASL_EXTERNAL], terms->external, NULL, false))
        return GNT_SASL_REFUSED;
    say_user(s, terms->external);
    return said.size == 0 || gnt_slice_eq(said, terms->external) ? GNT_SASL_ACCEPTED
                                                                 : GNT_SASL_REFUSED;
}

/* [authzid] NUL authcid NUL passwd [RFC 4616 2] */
static enum gnt_sasl_state hear_plain(struct gnt_sasl_server *s, const struct gnt_sasl_terms *terms,
                                      struct gnt_slice said, struct gnt_buf *out)
{
    struct gnt_slice acts_for, user;
    (void)terms;
    (void)out;
    if (!gnt_field_until(&said, '\0', &acts_for) || !gnt_field_until(&said, '\0', &user) ||
        !gnt_scram_text_valid(user, GNT_SCRAM_NAME_MAX))
        return GNT_SASL_REFUSED;
    say_user(s, user);
    if (!password_valid(said) || (acts_for.size && !gnt_slice_eq(acts_for, user)))
        return GNT_SASL_REFUSED;
    s->password = said;
    return GNT_SASL_CHECKS;
}

static gnt_err begin_scram(struct gnt_sasl_server *s, const struct gnt_sasl_terms *terms,
                           struct gnt_slice said, struct gnt_buf *out)
{
    struct gnt_scram_verifier verifier;
    gnt_err err = gnt_scram_server_begin(&s->scram, said, out);
    if (err)
        return err;
    struct gnt_slice user = gnt_slice_str(s->scram.name);
    say_user(s, user);
    bool known = gnt_users_find_scram(terms->users, user, rows[s->mechanism].hash, &verifier);
    err = gnt_scram_server_challenge(&s->scram, &verifier, known, terms->random, out);
    gnt_scram_wipe(&verifier, sizeof verifier);
    return err;
}

/* "e=..." is not said: an outcome has room for what goes with success only [AMQP 5.3.3.5]. */
static enum gnt_sasl_state hear_scram(struct gnt_sasl_server *s, const struct gnt_sasl_terms *terms,
                                      struct gnt_slice said, struct gnt_buf *out)
{
    size_t before = gnt_buf_size(out);
    bool first = !s->begun;
    if (!terms->users)
        return GNT_SASL_REFUSED;
    gnt_err err =
        first ? begin_scram(s, terms, said, out) : gnt_scram_server_finish(&s->scram, said, out);
    if (err) {
        gnt_buf_cut(out, before);
        return err == GNT_NOMEM ? GNT_SASL_UNAVAILABLE : GNT_SASL_REFUSED;
    }
    return first ? GNT_SASL_ASKS : GNT_SASL_ACCEPTED;
}

enum gnt_sasl_state gnt_sasl_server_begin(struct gnt_sasl_server *s,
                                          const struct gnt_sasl_terms *terms,
                                          struct gnt_slice mechanism, struct gnt_slice initial,
                                          struct gnt_buf *out)
{
    s->mechanism = gnt_sasl_by_name(mechanism);
    s->state = GNT_SASL_ASKS;
    if (!is_in(terms->offered, s->mechanism))
        return s->state = GNT_SASL_UNOFFERED;
    if (initial.size == 0 && rows[s->mechanism].needs == NEEDS_PASSWORD)
        return s->state;
    return gnt_sasl_server_step(s, terms, initial, out);
}

enum gnt_sasl_state gnt_sasl_server_step(struct gnt_sasl_server *s,
                                         const struct gnt_sasl_terms *terms,
                                         struct gnt_slice response, struct gnt_buf *out)
{
    if (s->state != GNT_SASL_ASKS)
        return s->state = GNT_SASL_REFUSED;
    s->state = rows[s->mechanism].hear(s, terms, response, out);
    s->begun = true;
    return s->state;
}

enum gnt_sasl_state gnt_sasl_server_checked(struct gnt_sasl_server *s, gnt_err result)
{
    if (s->state != GNT_SASL_CHECKS)
        return s->state;
    s->password = gnt_slice(NULL, 0);
    if (result == GNT_OK)
        s->state = GNT_SASL_ACCEPTED;
    else
        s->state = result == GNT_DENIED ? GNT_SASL_REFUSED : GNT_SASL_UNAVAILABLE;
    return s->state;
}

void gnt_sasl_server_fini(struct gnt_sasl_server *s)
{
    gnt_scram_server_fini(&s->scram);
    gnt_scram_wipe(s, sizeof *s);
}

/* ---- The client's side */

static bool can_use(const struct row *row, const struct gnt_sasl_credentials *who)
{
    switch (row->needs) {
    case NEEDS_NOTHING: return true;
    case NEEDS_NOBODY: return who->user.size == 0;
    case NEEDS_PASSWORD: break;
    }
    return who->user.size > 0;
}

/* A name would say for whom one acts, or in ANONYMOUS something for statistics. */
static gnt_err open_silently(struct gnt_sasl_client *c, const struct gnt_sasl_credentials *who,
                             const struct gnt_random *random, struct gnt_buf *out)
{
    (void)c;
    (void)who;
    (void)random;
    (void)out;
    return GNT_OK;
}

static gnt_err open_plain(struct gnt_sasl_client *c, const struct gnt_sasl_credentials *who,
                          const struct gnt_random *random, struct gnt_buf *out)
{
    const struct gnt_slice parts[] = {gnt_slice("", 1), who->user, gnt_slice("", 1), who->password};
    (void)c;
    (void)random;
    if (!gnt_scram_text_valid(who->user, GNT_SCRAM_NAME_MAX))
        return GNT_INVALID;
    /* At once, so that no smaller buffer has held a part of the password. */
    gnt_err err = gnt_buf_reserve(out, who->user.size + who->password.size + 2);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && !err; i++)
        err = gnt_buf_put(out, parts[i]);
    return err;
}

static gnt_err open_scram(struct gnt_sasl_client *c, const struct gnt_sasl_credentials *who,
                          const struct gnt_random *random, struct gnt_buf *out)
{
    return gnt_scram_client_begin(&c->scram, rows[c->mechanism].hash, who->user, random, out);
}

gnt_err gnt_sasl_client_begin(struct gnt_sasl_client *c, const struct gnt_sasl_credentials *who,
                              uint32_t offered, const struct gnt_random *random,
                              struct gnt_buf *out)
{
    int best = GNT_SASL_MECHANISMS - 1;
    while (best >= 0 &&
           !(is_in(who->allowed & offered, (unsigned)best) && can_use(&rows[best], who)))
        best--;
    if (best < 0)
        return GNT_UNSUPPORTED;
    if (rows[best].needs == NEEDS_PASSWORD && !password_valid(who->password))
        return GNT_INVALID;
    c->mechanism = (enum gnt_sasl_mechanism)best;
    size_t before = gnt_buf_size(out);
    gnt_err err = rows[best].open(c, who, random, out);
    if (err)
        gnt_buf_cut(out, before);
    return err;
}

/* The server's last word may come as a challenge, too, where it has nowhere else to go; then
 * nothing is what there is to say [RFC 4422 5]. */
gnt_err gnt_sasl_client_answer(struct gnt_sasl_client *c, const struct gnt_sasl_credentials *who,
                               struct gnt_slice challenge, struct gnt_buf *out)
{
    if (rows[c->mechanism].hash == GNT_SCRAM_HASHES || c->proved)
        return GNT_PROTOCOL;
    size_t before = gnt_buf_size(out);
    bool last = c->scram.answered;
    gnt_err err = last ? gnt_scram_client_verify(&c->scram, challenge)
                       : gnt_scram_client_answer(&c->scram, challenge, who->password, out);
    if (err)
        gnt_buf_cut(out, before);
    c->proved = last && !err;
    return err;
}

gnt_err gnt_sasl_client_confirm(struct gnt_sasl_client *c, struct gnt_slice additional)
{
    if (rows[c->mechanism].hash == GNT_SCRAM_HASHES || c->proved)
        return GNT_OK;
    return gnt_scram_client_verify(&c->scram, additional) ? GNT_DENIED : GNT_OK;
}

void gnt_sasl_client_fini(struct gnt_sasl_client *c)
{
    gnt_scram_client_fini(&c->scram);
    gnt_scram_wipe(c, sizeof *c);
}
