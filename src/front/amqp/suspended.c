#include "front/amqp/suspended.h"

#include "base/assert.h"
#include "front/amqp/link.h"

#include <stdlib.h>

/* ---- How long */

struct gnt_life gnt_life_of(struct gnt_slice policy, uint32_t timeout_s, uint32_t most_s)
{
    uint32_t time = timeout_s < most_s ? timeout_s : most_s;
    if (gnt_slice_eq_str(policy, "never"))
        return (struct gnt_life){GNT_EXPIRES_WITH_CONNECTION, most_s};
    if (gnt_slice_eq_str(policy, "connection-close"))
        return (struct gnt_life){GNT_EXPIRES_WITH_CONNECTION, time};
    if (gnt_slice_eq_str(policy, "link-detach") && !time)
        return (struct gnt_life){GNT_EXPIRES_WITH_LINK, 0};
    return (struct gnt_life){GNT_EXPIRES_WITH_SESSION, time};
}

struct gnt_slice gnt_life_policy(struct gnt_life life)
{
    static const char *const words[] = {
        [GNT_EXPIRES_WITH_LINK] = "link-detach",
        [GNT_EXPIRES_WITH_SESSION] = "session-end",
        [GNT_EXPIRES_WITH_CONNECTION] = "connection-close",
    };
    return gnt_slice_str(words[life.expiry]);
}

/* ---- The list; all with the lock */

void gnt_suspended_init(struct gnt_suspended_all *all)
{
    *all = (struct gnt_suspended_all){.mutex = PTHREAD_MUTEX_INITIALIZER};
    gnt_list_init(&all->list);
}

static struct gnt_suspended_all *all_of(const struct gnt_amqp_front *front)
{
    return &front->shared->suspended;
}

static struct gnt_suspended *at(struct gnt_list *link)
{
    return GNT_CONTAINER(link, struct gnt_suspended, link);
}

static uint64_t hash_container(const struct gnt_suspended_key *key)
{
    return gnt_hash_mix(gnt_hash(key->user), gnt_hash(key->container));
}

static uint64_t hash_of(const struct gnt_suspended_key *key)
{
    uint64_t hash = gnt_hash_mix(hash_container(key), gnt_hash(key->name));
    return gnt_hash_mix(hash, key->sender);
}

static bool same(const struct gnt_suspended_key *a, const struct gnt_suspended_key *b)
{
    return a->sender == b->sender && gnt_slice_eq(a->user, b->user) &&
           gnt_slice_eq(a->container, b->container) && gnt_slice_eq(a->name, b->name) &&
           gnt_slice_eq(a->node, b->node);
}

static struct gnt_suspended *find(const struct gnt_suspended_all *all,
                                  const struct gnt_suspended_key *key)
{
    uint64_t hash = hash_of(key);
    gnt_list_each (link, &all->list)
        if (at(link)->hash == hash && same(&at(link)->key, key))
            return at(link);
    return NULL;
}

static bool has_room(const struct gnt_suspended_all *all, const struct gnt_suspended *s)
{
    const struct gnt_amqp_limits *limits = &s->front->limits;
    uint32_t count = 0;
    gnt_list_each (link, &all->list)
        count += at(link)->container == s->container;
    return atomic_load_explicit(&all->count, memory_order_relaxed) < limits->suspended &&
           count < (limits->suspended + 1) / 2 &&
           all->deliveries + s->deliveries <= limits->unsettled;
}

static void enter(struct gnt_suspended_all *all, struct gnt_suspended *s)
{
    gnt_list_push_back(&all->list, &s->link);
    atomic_fetch_add_explicit(&all->count, 1, memory_order_relaxed);
    all->deliveries += s->deliveries;
}

static void take_out(struct gnt_suspended_all *all, struct gnt_suspended *s)
{
    gnt_list_remove(&s->link);
    atomic_fetch_sub_explicit(&all->count, 1, memory_order_relaxed);
    all->deliveries -= s->deliveries;
}

/* ---- In */

static struct gnt_slice keep(uint8_t **to, struct gnt_slice from)
{
    struct gnt_slice kept = gnt_slice(*to, from.size);
    if (from.size)
        memcpy(*to, from.data, from.size);
    *to += from.size;
    return kept;
}

static struct gnt_suspended *suspended_new(const struct gnt_suspended_key *key)
{
    size_t size = key->user.size + key->container.size + key->name.size + key->node.size;
    struct gnt_suspended *s = calloc(1, sizeof *s + size);
    if (!s)
        return NULL;
    uint8_t *bytes = (uint8_t *)(s + 1);
    s->key.user = keep(&bytes, key->user);
    s->key.container = keep(&bytes, key->container);
    s->key.name = keep(&bytes, key->name);
    s->key.node = keep(&bytes, key->node);
    s->key.sender = key->sender;
    s->hash = hash_of(key);
    s->container = hash_container(key);
    gnt_list_init(&s->link);
    return s;
}

static void keep_time(struct gnt_amqp_front *front, uint64_t deadline)
{
    if (deadline >= front->suspended_due.deadline)
        return;
    gnt_err err = gnt_loop_set_timer(front->loop, &front->suspended_due, deadline);
    GNT_ASSERT(err == GNT_OK); /* it is always set, so that moving it needs no memory */
}

static void begin_time(struct gnt_suspended *s)
{
    s->bound = NULL;
    s->deadline = gnt_deadline(s->front->loop->now, s->timeout_s * GNT_NS_PER_S);
}

gnt_err gnt_suspended_put(struct gnt_terminus *t, const struct gnt_suspended_key *key,
                          uint32_t deliveries, const struct gnt_amqp_peer *bound)
{
    struct gnt_suspended_all *all = all_of(t->front);
    struct gnt_suspended *s = suspended_new(key);
    if (!s)
        return GNT_NOMEM;
    s->terminus = t;
    s->front = t->front;
    s->deliveries = deliveries;
    s->timeout_s = t->life.timeout_s;
    s->bound = bound;
    s->deadline = GNT_FAR;
    if (!bound)
        begin_time(s);
    pthread_mutex_lock(&all->mutex);
    bool fits = has_room(all, s);
    if (fits)
        enter(all, s);
    pthread_mutex_unlock(&all->mutex);
    if (!fits) {
        free(s);
        return GNT_FULL;
    }
    t->away = s;
    keep_time(s->front, s->deadline);
    gnt_count(&s->front->home->counters, GNT_COUNT_AMQP_SUSPENDED, 1);
    return GNT_OK;
}

/* ---- Out */

static void on_claimed(struct gnt_home *home, struct gnt_errand *errand)
{
    struct gnt_suspended_claim *claim = GNT_CONTAINER(errand, struct gnt_suspended_claim, errand);
    if (claim->found) {
        claim->found->front = claim->front;
        claim->found->away->front = claim->front;
    }
    claim->done(home, claim);
}

/* With the lock: it is no more to be found. */
static void hand_over(struct gnt_suspended_all *all, struct gnt_suspended *s,
                      struct gnt_suspended_claim *claim)
{
    take_out(all, s);
    s->claim = NULL;
    claim->found = s->terminus;
}

void gnt_suspended_ready(struct gnt_terminus *t)
{
    struct gnt_suspended *s = t->away;
    struct gnt_amqp_front *front = s->front;
    struct gnt_suspended_all *all = all_of(front);
    pthread_mutex_lock(&all->mutex);
    struct gnt_suspended_claim *claim = s->claim;
    s->ready = true;
    uint64_t deadline = s->deadline;
    if (claim)
        hand_over(all, s, claim);
    pthread_mutex_unlock(&all->mutex);
    if (claim)
        gnt_errand_send(front->home, claim->front->home->index, &claim->errand, on_claimed);
    else
        keep_time(front, deadline);
}

void gnt_suspended_put_back(struct gnt_terminus *t)
{
    struct gnt_suspended_all *all = all_of(t->front);
    struct gnt_suspended *s = t->away;
    begin_time(s);
    pthread_mutex_lock(&all->mutex);
    s->ready = false;
    enter(all, s);
    pthread_mutex_unlock(&all->mutex);
    keep_time(s->front, s->deadline);
}

void gnt_suspended_over(struct gnt_terminus *t)
{
    gnt_count(&t->front->home->counters, GNT_COUNT_AMQP_SUSPENDED, -1);
    free(t->away);
    t->away = NULL;
}

void gnt_suspended_ask(struct gnt_amqp_front *front, const struct gnt_suspended_key *key,
                       struct gnt_suspended_claim *claim)
{
    struct gnt_suspended_all *all = all_of(front);
    bool waits = false;
    claim->front = front;
    claim->found = NULL;
    pthread_mutex_lock(&all->mutex);
    struct gnt_suspended *s = find(all, key);
    if (s && s->ready) {
        hand_over(all, s, claim);
    } else if (s && !s->claim) {
        s->claim = claim;
        waits = true;
    }
    pthread_mutex_unlock(&all->mutex);
    if (!waits)
        gnt_errand_send(front->home, front->home->index, &claim->errand, on_claimed);
}

/* ---- Time */

void gnt_suspended_unbind(struct gnt_amqp_front *front, const struct gnt_amqp_peer *p)
{
    struct gnt_suspended_all *all = all_of(front);
    uint64_t first = GNT_FAR;
    if (!gnt_suspended_any(all))
        return;
    pthread_mutex_lock(&all->mutex);
    gnt_list_each (link, &all->list) {
        struct gnt_suspended *s = at(link);
        if (s->bound != p || s->front != front)
            continue;
        begin_time(s);
        first = s->deadline < first ? s->deadline : first;
    }
    pthread_mutex_unlock(&all->mutex);
    keep_time(front, first);
}

/* One of FRONT's whose time is over, out of the list; NULL: none, *next is the time of the next. */
static struct gnt_suspended *take_expired(struct gnt_amqp_front *front, uint64_t now,
                                          uint64_t *next)
{
    struct gnt_suspended_all *all = all_of(front);
    struct gnt_suspended *found = NULL;
    *next = GNT_FAR;
    pthread_mutex_lock(&all->mutex);
    gnt_list_each (link, &all->list) {
        struct gnt_suspended *s = at(link);
        if (s->front != front || !s->ready)
            continue;
        if (s->deadline <= now) {
            found = s;
            take_out(all, s);
            break;
        }
        *next = s->deadline < *next ? s->deadline : *next;
    }
    pthread_mutex_unlock(&all->mutex);
    return found;
}

void gnt_suspended_on_time(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_amqp_front *front = GNT_CONTAINER(timer, struct gnt_amqp_front, suspended_due);
    struct gnt_suspended *s;
    uint64_t next;
    gnt_err err = gnt_loop_set_timer(front->loop, &front->suspended_due, GNT_FAR);
    GNT_ASSERT(err == GNT_OK);
    while ((s = take_expired(front, now, &next))) {
        struct gnt_terminus *t = s->terminus;
        gnt_count(&front->home->counters, GNT_COUNT_AMQP_SUSPENDED_EXPIRED, 1);
        gnt_suspended_over(t);
        gnt_terminus_expire(t);
    }
    keep_time(front, next);
}

/* What waits for one of them gets nothing. */
static struct gnt_terminus *take_any(struct gnt_amqp_front *front)
{
    struct gnt_suspended_all *all = all_of(front);
    struct gnt_suspended_claim *claim = NULL;
    struct gnt_terminus *found = NULL;
    pthread_mutex_lock(&all->mutex);
    gnt_list_each (link, &all->list) {
        struct gnt_suspended *s = at(link);
        if (s->front != front)
            continue;
        found = s->terminus;
        claim = s->claim;
        take_out(all, s);
        break;
    }
    pthread_mutex_unlock(&all->mutex);
    if (claim)
        gnt_errand_send(front->home, claim->front->home->index, &claim->errand, on_claimed);
    return found;
}

void gnt_suspended_drop(struct gnt_amqp_front *front)
{
    for (struct gnt_terminus *t; (t = take_any(front));) {
        gnt_terminus_owe(t);
        gnt_terminus_forget(t);
        gnt_terminus_paid(t);
    }
    gnt_timer_cancel(&front->loop->timers, &front->suspended_due);
}
