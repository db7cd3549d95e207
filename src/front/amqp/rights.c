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
