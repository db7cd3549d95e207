/* Shared subscriptions [MQTT5 4.8.2]: the members of "$share/GROUP/FILTER" share its messages out.
 *
 * A group lives at the home of its name, its members at theirs.  It offers a message to one member
 * after the other; a member that is away or has no room turns it down, is passed over until it says
 * that it is ready, and the next one gets the offer.  When nobody has room the group queues.  What
 * a member leaves unacknowledged comes back.
 *
 * Offers to a member at another home are under way for a while, several at a time.  So that they
 * are not mixed up, each belongs to a round: the member begins one, numbered higher than all before
 * it, when it joins and each time when it is ready again; and the group begins to offer in it only
 * when all offers of the last one are answered.  So one member alone gets all in order.
 *
 * A member that may not be given all that comes (auth/rights.h) is passed over where it may not,
 * and a message that no member may be given is dropped.  What waits for one member does not hold up
 * what another may be given: it is put aside, GNT_GROUP_ASIDE_MAX messages at most, and no more
 * than a queue may hold; the rest is dropped as at a full queue.
 *
 * A group is kept (core/keep.h) from the first member on whose session is, until it ends.  Then its
 * messages of QoS 1 and 2 are in the group's log until a member has settled them, whoever has them
 * meanwhile: so what a crash leaves unsettled goes to whoever is there afterwards, and nothing is
 * written when a message comes back.  But exactly once stays with the session that was chosen
 * [MQTT-4.8.2-4]: a session that is kept takes it over into its own log and out of the group's, in
 * one batch.  That batch is behind the group's in the store, also from another home, as what is
 * written in a turn is committed before the turn's mail is sent. */
#ifndef GNT_CORE_GROUP_H
#define GNT_CORE_GROUP_H

#include "auth/rights.h"
#include "core/home.h"
#include "model/outcome.h"
#include "model/topic.h"

enum { GNT_GROUP_ASIDE_MAX = 1000 };

/* A member's wish to join, on its way to the group and back.  The member owns it and what it points
 * to, and keeps both until it is answered. */
struct gnt_joining {
    void (*done)(struct gnt_joining *joining, enum gnt_outcome outcome); /* at the member's home */
    uint64_t member;
    struct gnt_sub_options options;
    bool away;                     /* its client is not connected: it says when it is ready */
    uint32_t round;                /* the member's first */
    struct gnt_rights *rights;     /* what of the group's messages it may be given; NULL: all */
    struct gnt_slice name, filter; /* of "$share/NAME/FILTER" */
    uint64_t group;                /* the answer: the group's sink, if it has joined */
    /* private */
    unsigned home;
    enum gnt_outcome outcome;
    struct gnt_owed answer;
};

/* Joins the group, or changes the options of one that is a member.  True: *outcome is there
 * already. False: joining->done() will be called. */
bool gnt_group_join(struct gnt_home *home, struct gnt_joining *joining, enum gnt_outcome *outcome);

/* MEMBER, of this home, leaves GROUP.  Any mail that is under way is turned down. */
void gnt_group_leave(struct gnt_home *home, uint64_t group, uint64_t member);

/* MEMBER, of this home, can take messages again after it turned some down, or is back, and begins
 * ROUND.  GNT_NOMEM: the group does not know yet, say it again. */
GNT_MUST gnt_err gnt_group_ready(struct gnt_home *home, uint64_t group, uint64_t member,
                                 uint32_t round);

/* MEMBER, of this home, may be given from now on what RIGHTS permit, of which a reference is taken;
 * NULL: all.  GNT_NOMEM as above. */
GNT_MUST gnt_err gnt_group_bind(struct gnt_home *home, uint64_t group, uint64_t member,
                                struct gnt_rights *rights);

/* The client of MEMBER, of this home, is not connected any more.  Where there is no memory to say
 * it, the group finds out when it makes the next offer. */
void gnt_group_away(struct gnt_home *home, uint64_t group, uint64_t member);

/* A member of this home gives a message back that it did not settle, SEQUENCE as offered; *message
 * is NULL afterwards.  GNT_NOMEM: the member keeps it. */
GNT_MUST gnt_err gnt_group_return(struct gnt_home *home, uint64_t group, uint64_t sequence,
                                  struct gnt_message **message);

/* A member of this home has settled the message that was offered with SEQUENCE (not 0), or has made
 * it its own: the group need not keep it any more. */
void gnt_group_settled(struct gnt_home *home, uint64_t group, uint64_t sequence);

/* What is kept of the groups of HOME stays in the store, whatever becomes of them. */
void gnt_groups_leave_store(struct gnt_home *home);

/* Frees all groups of HOME; their members are gone. */
void gnt_groups_free(struct gnt_home *home);

#endif
