/* What a peer may do, by the access list, which may be another one from one moment to the next. */

#include "auth/access.h"
#include "auth/rights.h"
#include "base/log.h"
#include "front/amqp/link.h"

static void renew(struct gnt_amqp_peer *p)
{
    struct gnt_access *access = gnt_amqp_peer_home(p)->access;
    if (access == p->access && (p->rights || !access))
        return;
    const struct gnt_principal who = {.user = gnt_slice_str(p->user),
                                      .client = gnt_slice_str(p->container)};
    struct gnt_rights *rights = NULL;
    if (gnt_access_rights(access, who, &rights)) {
        gnt_rights_unref(&p->rights);
        p->rights = gnt_rights_nothing(); /* until there is memory */
        return;
    }
    gnt_rights_unref(&p->rights);
    gnt_access_unref(&p->access);
    p->rights = rights;
    p->access = gnt_access_ref(access);
}

bool gnt_amqp_peer_may(struct gnt_amqp_peer *p, enum gnt_verb verb, struct gnt_slice address)
{
    char name[GNT_PEER_NAME_SIZE];
    renew(p);
    bool may = verb == GNT_VERB_SUBSCRIBE
                   ? gnt_rights_may_subscribe(p->rights, address) != GNT_REACH_NONE
                   : gnt_rights_may(p->rights, verb, address);
    if (may)
        return true;
    gnt_count(gnt_amqp_peer_counters(p),
              verb == GNT_VERB_SUBSCRIBE || verb == GNT_VERB_LISTEN ? GNT_COUNT_SUBSCRIPTIONS_DENIED
                                                                    : GNT_COUNT_PUBLISH_DENIED,
              1);
    gnt_log_limited(GNT_LOG_INFO, gnt_amqp_peer_name(p, name), "denied",
                    GNT_F_TEXT("address", address));
    return false;
}

bool gnt_amqp_peer_may_receive(struct gnt_amqp_peer *p, struct gnt_slice topic)
{
    renew(p);
    return gnt_rights_may(p->rights, GNT_VERB_RECEIVE, topic);
}

struct gnt_rights *gnt_amqp_peer_rights(struct gnt_amqp_peer *p)
{
    renew(p);
    return p->rights;
}

/* ---- Another list */

enum { REVIEW_SLICE = 64, REVIEW_RULES = 64 }; /* of a turn: links and peers, with so many rules */

/* Ends those of P's links that it may not have, MOST of them being looked at; how many were.  What
 * has been looked at stands behind what has not. */
static size_t review_links(struct gnt_amqp_peer *p, size_t most)
{
    size_t count = 0;
    for (; count < most && !gnt_list_empty(&p->termini); count++) {
        struct gnt_terminus *t = GNT_CONTAINER(p->termini.next, struct gnt_terminus, in_peer);
        if (t->reviewed == p->front->review_round)
            break;
        t->reviewed = p->front->review_round;
        gnt_list_remove(&t->in_peer);
        gnt_list_push_back(&p->termini, &t->in_peer);
        enum gnt_verb verb = t->link->sender ? GNT_VERB_LISTEN : GNT_VERB_SEND;
        if (t->asked && !gnt_amqp_peer_may(p, verb, gnt_slice_str(t->asked)))
            gnt_terminus_end(t, GNT_AMQP_UNAUTHORIZED_ACCESS, "not permitted any more");
        else if (t->kind->review)
            t->kind->review(t);
    }
    return count;
}

/* Likewise of the peers. */
void gnt_amqp_peer_review(struct gnt_home *home, struct gnt_work *work)
{
    struct gnt_amqp_front *front = GNT_CONTAINER(work, struct gnt_amqp_front, review);
    size_t cost = 1 + gnt_access_size(home->access) / REVIEW_RULES;
    for (size_t left = REVIEW_SLICE; left && !gnt_list_empty(&front->peers);) {
        struct gnt_amqp_peer *p = GNT_CONTAINER(front->peers.next, struct gnt_amqp_peer, link);
        if (p->reviewed == front->review_round)
            return;
        left -= review_links(p, left);
        if (!left)
            break; /* there may be more of its links */
        p->reviewed = front->review_round;
        gnt_list_remove(&p->link);
        gnt_list_push_back(&front->peers, &p->link);
        left -= cost < left ? cost : left;
    }
    if (!gnt_list_empty(&front->peers))
        gnt_home_later(home, work);
}
