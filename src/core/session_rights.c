#include "core/session_private.h"

#include "auth/access.h"
#include "base/assert.h"

#include <stdlib.h>

/* What there is to say about the client of a session. */
struct gnt_bounds {
    struct gnt_map_node node; /* in home->bounds */
    struct gnt_session *session;
    struct gnt_rights *rights; /* NULL: it may do everything */
    uint32_t marked;           /* so many subscriptions are */
    uint16_t user_size;
    bool plain_done;         /* of the plain ones, which come first: */
    size_t at;               /* so far, by bucket */
    struct gnt_list marking; /* in home->renewing.marking, while that is being found out */
    uint8_t user[];
};

/* ---- Who, and what */

static uint64_t hash_of(const struct gnt_session *s)
{
    return gnt_hash_mix(0, s->sink.id);
}

/* NULL: there is nothing to say about S or, where it is GNT_BOUNDED, there was no memory for it. */
static struct gnt_bounds *bounds_of(const struct gnt_session *s)
{
    if (s->bounded == GNT_UNBOUND)
        return NULL;
    struct gnt_map_node *node = gnt_map_first(&s->home->bounds, hash_of(s));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_bounds *b = GNT_CONTAINER(node, struct gnt_bounds, node);
        if (b->session == s)
            return b;
    }
    return NULL;
}

struct gnt_slice gnt_session_user(const struct gnt_session *s)
{
    const struct gnt_bounds *b = bounds_of(s);
    return b ? gnt_slice(b->user, b->user_size) : (struct gnt_slice){0};
}

struct gnt_rights *gnt_session_rights(const struct gnt_session *s)
{
    if (s->bounded != GNT_BOUNDED)
        return NULL;
    const struct gnt_bounds *b = bounds_of(s);
    if (b)
        return b->rights;
    struct gnt_rights *nothing = gnt_rights_nothing(), *lent = nothing;
    gnt_rights_unref(&nothing); /* they are there for good */
    return lent;
}

enum gnt_reach gnt_session_reach(const struct gnt_session *s, struct gnt_slice filter)
{
    return gnt_rights_may_subscribe(gnt_session_rights(s), filter);
}

bool gnt_session_may_receive(const struct gnt_session *s, struct gnt_slice topic)
{
    return gnt_rights_may(gnt_session_rights(s), GNT_VERB_RECEIVE, topic);
}

bool gnt_session_may_publish(const struct gnt_session *s, struct gnt_slice topic)
{
    return gnt_rights_may_publish(gnt_session_rights(s), topic);
}

/* ---- Marks */

static bool is_marking(const struct gnt_bounds *b)
{
    return gnt_list_linked(&b->marking);
}

/* S, which has bounds B, looks as long as it has to, or may have to. */
static void settle(struct gnt_session *s, const struct gnt_bounds *b)
{
    if (b)
        s->bounded = b->rights ? GNT_BOUNDED : GNT_NAMED;
    bool looks = s->bounded == GNT_BOUNDED && (!b || b->marked || is_marking(b));
    s->sink.ops = looks ? &gnt_session_looking_ops : &gnt_session_sink_ops;
}

void gnt_session_marked(struct gnt_session *s, int n)
{
    struct gnt_bounds *b = n ? bounds_of(s) : NULL;
    if (!b)
        return;
    b->marked += (uint32_t)n;
    settle(s, b);
}

/* A session that has no bounds for want of memory may do nothing until it has. */
bool gnt_session_marking(const struct gnt_session *s)
{
    const struct gnt_bounds *b = bounds_of(s);
    return b ? is_marking(b) : s->bounded == GNT_BOUNDED;
}

static void drop(struct gnt_session *s, struct gnt_bounds *b)
{
    s->bounded = GNT_UNBOUND;
    gnt_map_remove(&s->home->bounds, &b->node);
    gnt_list_remove(&b->marking);
    gnt_rights_unref(&b->rights);
    free(b);
}

/* All marks are right, and all groups that have answered know. */
static void end_marking(struct gnt_session *s, struct gnt_bounds *b)
{
    gnt_list_remove(&b->marking);
    settle(s, b);
    if (s->shares) /* some turned it down meanwhile, and others may have yet to answer */
        gnt_session_work_later(s);
    else if (!b->rights && !b->user_size)
        drop(s, b); /* there is nothing to say any more */
}

static void begin_marking(struct gnt_session *s, struct gnt_bounds *b, bool plain_done)
{
    struct gnt_renewing *r = &s->home->renewing;
    if (!is_marking(b))
        gnt_list_push_back(&r->marking, &b->marking);
    b->plain_done = plain_done;
    b->at = 0;
    settle(s, b);
    gnt_home_later(s->home, &r->work);
}

void gnt_session_mark_shared_again(struct gnt_session *s)
{
    struct gnt_bounds *b = bounds_of(s);
    if (b && (!is_marking(b) || b->plain_done))
        begin_marking(s, b, true);
}

/* Of a turn: slices of subscriptions.  With many rules there are fewer in a slice, or fewer slices.
 */
enum { MARKING_SLICES = 32, MARKING_SLICE = 64, MARKING_RULES = 4 };

/* True: there is more to do. */
static bool mark_slice(struct gnt_session *s, struct gnt_bounds *b)
{
    bool more;
    size_t count = MARKING_SLICE / (1 + gnt_rights_size(b->rights) / MARKING_RULES) + 1;
    if (!b->plain_done) {
        if (gnt_session_mark_plain(s, &b->at, count))
            return true;
        gnt_session_consume_review(s);
        b->plain_done = true;
        b->at = 0;
    }
    return gnt_session_mark_shared(s, &b->at, count, &more) || more;
}

static size_t slices_of(const struct gnt_bounds *b)
{
    return 1 + gnt_rights_size(b->rights) / (MARKING_SLICE * MARKING_RULES);
}

/* Of one session after the other, in turns; true: there is more to do. */
static bool mark_some(struct gnt_renewing *r)
{
    for (size_t n = 0; n < MARKING_SLICES && !gnt_list_empty(&r->marking);) {
        struct gnt_bounds *b = GNT_CONTAINER(r->marking.next, struct gnt_bounds, marking);
        n += slices_of(b);
        if (mark_slice(b->session, b)) {
            gnt_list_remove(&b->marking);
            gnt_list_push_back(&r->marking, &b->marking);
        } else {
            end_marking(b->session, b);
        }
    }
    return !gnt_list_empty(&r->marking);
}

/* ---- Binding */

static gnt_err bounds_new(struct gnt_session *s, struct gnt_slice user, struct gnt_rights *rights,
                          struct gnt_bounds **out)
{
    GNT_ASSERT(user.size <= UINT16_MAX);
    struct gnt_bounds *b = calloc(1, sizeof *b + user.size);
    if (!b)
        return GNT_NOMEM;
    gnt_err err = gnt_map_insert(&s->home->bounds, &b->node, hash_of(s));
    if (err) {
        free(b);
        return err;
    }
    b->session = s;
    gnt_list_init(&b->marking);
    b->rights = gnt_rights_ref(rights);
    b->user_size = (uint16_t)user.size;
    if (user.size)
        memcpy(b->user, user.data, user.size);
    *out = b;
    return GNT_OK;
}

/* The rights are others than before, and all that follows from them has to be found out again. */
static void rights_changed(struct gnt_session *s, struct gnt_bounds *b)
{
    gnt_session_doubt_queue(s);
    if (s->subscription_count)
        begin_marking(s, b, false);
    else
        end_marking(s, b);
}

gnt_err gnt_session_bind(struct gnt_session *s, struct gnt_slice user, struct gnt_rights *rights)
{
    if (s->bounded == GNT_UNBOUND && !user.size && !rights)
        return GNT_OK;
    struct gnt_bounds *before = bounds_of(s), *b;
    bool same = !rights && s->bounded != GNT_BOUNDED && !(before && is_marking(before));
    gnt_err err = bounds_new(s, user, rights, &b);
    if (err)
        return err;
    if (before) {
        b->marked = before->marked;
        drop(s, before);
    }
    if (same)
        end_marking(s, b);
    else
        rights_changed(s, b);
    return GNT_OK;
}

void gnt_session_unbind(struct gnt_session *s)
{
    struct gnt_bounds *b = bounds_of(s);
    if (b)
        drop(s, b);
    s->bounded = GNT_UNBOUND;
}

/* ---- Another list */

enum { RENEWING_SLICE = 64, RENEWING_RULES = 64 }; /* of a turn: sessions, with so many rules */

/* What S may by the list of its home. */
gnt_err gnt_session_bind_by_list(struct gnt_session *s, struct gnt_slice user)
{
    const struct gnt_principal who = {user, gnt_slice(s->client_id, s->client_id_size)};
    struct gnt_rights *rights;
    gnt_err err = gnt_access_rights(s->home->access, who, &rights);
    if (err)
        return err;
    err = gnt_session_bind(s, user, rights);
    gnt_rights_unref(&rights);
    return err;
}

/* It is not known what S may. */
static void deny(struct gnt_session *s)
{
    struct gnt_bounds *b = bounds_of(s);
    if (b) {
        gnt_rights_unref(&b->rights);
        b->rights = gnt_rights_nothing();
        rights_changed(s, b);
        return;
    }
    s->bounded = GNT_BOUNDED;
    settle(s, NULL);
    gnt_session_doubt_queue(s);
}

/* True: there is more to do. */
static bool renew_some(struct gnt_home *home)
{
    struct gnt_renewing *r = &home->renewing;
    size_t cost = 1 + gnt_access_size(home->access) / RENEWING_RULES;
    for (size_t n = 0; n < RENEWING_SLICE && r->goes_on; n += cost) {
        struct gnt_sink *sink = gnt_slots_next(&home->slots, &r->at);
        if (!sink) {
            r->at = 0;
            r->goes_on = r->again;
            r->again = false;
            break;
        }
        struct gnt_session *s = gnt_session_is(sink) ? gnt_session_of(sink) : NULL;
        if (s && gnt_session_bind_by_list(s, gnt_session_user(s))) {
            deny(s);
            r->again = true;
        }
    }
    return r->goes_on;
}

void gnt_sessions_renew(struct gnt_home *home, struct gnt_work *work)
{
    bool more = renew_some(home);
    if (mark_some(&home->renewing) || more)
        gnt_home_later(home, work);
}

void gnt_home_take_access(struct gnt_home *home, struct gnt_access **access)
{
    bool changes = home->access || *access;
    gnt_access_unref(&home->access);
    home->access = *access;
    *access = NULL;
    home->renewing.at = 0;
    home->renewing.again = false;
    home->renewing.goes_on = changes && home->sessions.count;
    if (home->renewing.goes_on)
        gnt_home_later(home, &home->renewing.work);
}
