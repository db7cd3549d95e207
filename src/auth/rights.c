#include "auth/rights.h"

#include "auth/access_private.h"
#include "auth/overlap.h"
#include "model/entity_name.h"
#include "model/topic.h"

#include <stdlib.h>

enum { FIRST, MIDDLE, LAST, PARTS };

struct gnt_rights {
    _Atomic unsigned refs;
    struct gnt_access *access;           /* counted: the middle part is its, or it asks */
    const struct gnt_rules *part[PARTS]; /* NULL: empty */
    struct gnt_rules *own[2];            /* the first and the last of them */
    struct gnt_principal who;            /* where it asks; in `names` */
    uint8_t names[];
};

gnt_err gnt_rights_new(struct gnt_access *access, struct gnt_rules **first,
                       const struct gnt_rules *middle, struct gnt_rules **last,
                       struct gnt_rights **out)
{
    struct gnt_rights *r = calloc(1, sizeof *r);
    if (!r)
        return GNT_NOMEM;
    r->refs = 1;
    r->access = middle ? gnt_access_ref(access) : NULL;
    r->part[FIRST] = *first;
    r->part[MIDDLE] = middle;
    r->part[LAST] = *last;
    r->own[0] = *first;
    r->own[1] = *last;
    *first = *last = NULL;
    *out = r;
    return GNT_OK;
}

gnt_err gnt_rights_asking(struct gnt_access *access, struct gnt_principal who,
                          struct gnt_rights **out)
{
    struct gnt_rights *r = calloc(1, sizeof *r + who.user.size + who.client.size);
    if (!r)
        return GNT_NOMEM;
    r->refs = 1;
    r->access = gnt_access_ref(access);
    if (who.user.size)
        memcpy(r->names, who.user.data, who.user.size);
    if (who.client.size)
        memcpy(r->names + who.user.size, who.client.data, who.client.size);
    r->who = (struct gnt_principal){gnt_slice(r->names, who.user.size),
                                    gnt_slice(r->names + who.user.size, who.client.size)};
    *out = r;
    return GNT_OK;
}

/* NULL: there are rules. */
static gnt_access_ask *asks(const struct gnt_rights *rights)
{
    return rights->access ? rights->access->ask : NULL;
}

struct gnt_rights *gnt_rights_ref(struct gnt_rights *rights)
{
    if (rights)
        atomic_fetch_add_explicit(&rights->refs, 1, memory_order_relaxed);
    return rights;
}

struct gnt_rights *gnt_rights_nothing(void)
{
    static struct gnt_rights nothing = {.refs = 1};
    return gnt_rights_ref(&nothing);
}

void gnt_rights_unref(struct gnt_rights **rights)
{
    struct gnt_rights *gone = *rights;
    *rights = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    gnt_rules_free(&gone->own[0]);
    gnt_rules_free(&gone->own[1]);
    gnt_access_unref(&gone->access);
    free(gone);
}

bool gnt_rights_may(const struct gnt_rights *rights, enum gnt_verb verb, struct gnt_slice topic)
{
    struct gnt_entity_folded folded;
    if (!rights)
        return true;
    if (verb & GNT_VERBS_OF_QUEUES)
        topic = gnt_entity_fold(topic, &folded);
    if (asks(rights))
        return asks(rights)(rights->access->ask_context, rights->who, verb, topic);
    for (int i = 0; i < PARTS; i++) {
        const struct gnt_rules *rules = rights->part[i];
        size_t found = gnt_rules_first(rules, (uint8_t)verb, topic);
        if (found < gnt_rules_count(rules))
            return gnt_rules_at(rules, found).permits;
    }
    return false;
}

/* ---- Subscriptions */

/* The rule number N of all parts; false: there are no more. */
static bool rule_at(const struct gnt_rights *rights, size_t n, struct gnt_rule *rule)
{
    for (int i = 0; i < PARTS; i++) {
        size_t count = gnt_rules_count(rights->part[i]);
        if (n < count) {
            *rule = gnt_rules_at(rights->part[i], n);
            return true;
        }
        n -= count;
    }
    return false;
}

/* Whether one of the first N rules denies all that PERMITTED and FILTER have in common. */
static bool denied_before(const struct gnt_rights *rights, uint8_t verb, size_t n,
                          struct gnt_slice permitted, struct gnt_slice filter)
{
    struct gnt_rule rule;
    for (size_t i = 0; i < n && rule_at(rights, i, &rule); i++)
        if (!rule.permits && rule.verbs & verb && gnt_filter_covers(rule.filter, permitted, filter))
            return true;
    return false;
}

/* How much of FILTER is permitted for VERB: rule by rule until one speaks about all of it. */
static enum gnt_reach reach(const struct gnt_rights *rights, uint8_t verb, struct gnt_slice filter)
{
    bool some = false, denied = false;
    struct gnt_rule rule;
    for (size_t n = 0; rule_at(rights, n, &rule); n++) {
        if (!(rule.verbs & verb) || !gnt_filter_overlaps(rule.filter, filter))
            continue;
        bool all = gnt_filter_covers(rule.filter, filter, filter);
        if (!rule.permits)
            denied = true;
        else if (all && !denied)
            return GNT_REACH_ALL;
        else
            some = some || !denied_before(rights, verb, n, rule.filter, filter);
        if (all || (some && denied))
            break;
    }
    return some ? GNT_REACH_SOME : GNT_REACH_NONE;
}

bool gnt_rights_may_publish(const struct gnt_rights *rights, struct gnt_slice topic)
{
    struct gnt_slice queue;
    if (gnt_topic_queue(topic, &queue))
        return gnt_rights_may(rights, GNT_VERB_SEND, queue);
    return gnt_rights_may(rights, GNT_VERB_PUBLISH, topic);
}

enum gnt_reach gnt_rights_may_subscribe(const struct gnt_rights *rights, struct gnt_slice filter)
{
    struct gnt_share share;
    if (!rights)
        return GNT_REACH_ALL;
    gnt_err err = gnt_topic_share(filter, &share);
    if (err == GNT_INVALID)
        return GNT_REACH_NONE;
    if (!err)
        filter = share.filter;
    struct gnt_slice queue;
    if (gnt_topic_queue(filter, &queue))
        return gnt_rights_may(rights, GNT_VERB_LISTEN, queue) ? GNT_REACH_ALL : GNT_REACH_NONE;
    if (asks(rights)) /* what it would say of each message cannot be known */
        return gnt_rights_may(rights, GNT_VERB_SUBSCRIBE, filter) ? GNT_REACH_SOME : GNT_REACH_NONE;
    if (reach(rights, GNT_VERB_SUBSCRIBE, filter) == GNT_REACH_NONE)
        return GNT_REACH_NONE;
    return reach(rights, GNT_VERB_RECEIVE, filter);
}

size_t gnt_rights_size(const struct gnt_rights *rights)
{
    size_t size = 0;
    for (int i = 0; rights && i < PARTS; i++)
        size += gnt_rules_count(rights->part[i]);
    return size;
}
