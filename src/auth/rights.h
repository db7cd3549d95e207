/* What one identity may do, compiled from the access list when it logs in, or asked for each time
 * where that is a program's say.
 *
 * NULL stands for rights without any bound: of everybody where there is no access list.
 *
 * Ownership  counted and immutable; whoever has a reference lets it go by gnt_rights_unref.
 * Threads    any. */
#ifndef GNT_AUTH_RIGHTS_H
#define GNT_AUTH_RIGHTS_H

#include "base/err.h"
#include "base/slice.h"

/* What can be permitted on a topic, or on a queue; a set of them is their sum.
 *    name       bit   words of the configuration */
#define GNT_VERBS(X)                                                                          \
    X(PUBLISH, 1)   /* "publish"; mosquitto: write */                                         \
    X(SUBSCRIBE, 2) /* "subscribe", with RECEIVE; mosquitto: read, likewise: to ask for it */ \
    X(RECEIVE, 4)   /* "receive": to be given it */                                           \
    X(SEND, 8)      /* "send": to a queue, by its name or "$queue/NAME" */                    \
    X(LISTEN, 16)   /* "listen": from one, likewise */                                        \
    X(MANAGE, 32)   /* "manage": to make, look at and change queues */

enum gnt_verb {
#define GNT_VERB_ENUM(name, bit) GNT_VERB_##name = (bit),
    GNT_VERBS(GNT_VERB_ENUM)
#undef GNT_VERB_ENUM
};

/* Those about queues, whose names compare as model/entity_name.h says: however it is spelt, a queue
 * is the same, and so are the rights. */
enum { GNT_VERBS_OF_QUEUES = GNT_VERB_SEND | GNT_VERB_LISTEN | GNT_VERB_MANAGE };

struct gnt_rights;

struct gnt_rights *gnt_rights_ref(struct gnt_rights *rights); /* NULL is fine */
void gnt_rights_unref(struct gnt_rights **rights);            /* NULL is fine */

/* A reference to rights that permit nothing, for whom there is no memory to find out more.  Takes
 * none, and never fails. */
struct gnt_rights *gnt_rights_nothing(void);

/* Whether VERB is permitted on TOPIC: a valid topic name, or the name of a queue without an address
 * around it, in whatever case.  A few comparisons for a few filters, and about as many look-ups as
 * the topic has levels for many. */
bool gnt_rights_may(const struct gnt_rights *rights, enum gnt_verb verb, struct gnt_slice topic);

/* Whether something may be published to TOPIC, a valid topic name: PUBLISH, but SEND to NAME where
 * that is "$queue/NAME". */
bool gnt_rights_may_publish(const struct gnt_rights *rights, struct gnt_slice topic);

/* How much of what a subscription matches its owner may be given. */
enum gnt_reach {
    GNT_REACH_NONE, /* refuse it: nothing, or it may not be asked for */
    GNT_REACH_SOME, /* grant it; each message is to be looked at: gnt_rights_may(RECEIVE) */
    GNT_REACH_ALL,  /* grant it; no message needs a look while these rights stand */
};

/* FILTER is valid; "$share/GROUP/FILTER" is taken as FILTER, and "$queue/NAME" is to LISTEN to
 * NAME.  Never GNT_REACH_ALL nor GNT_REACH_NONE wrongly; GNT_REACH_SOME also where only many rules
 * together permit all or nothing.
 */
enum gnt_reach gnt_rights_may_subscribe(const struct gnt_rights *rights, struct gnt_slice filter);

/* How many rules that looks at; 0 for NULL. */
size_t gnt_rights_size(const struct gnt_rights *rights);

#endif
