/* Who may do what: an access list, from which the rights of one identity are made when it logs in
 * (rights.h).
 *
 * It has rules of two origins, either or both:
 *
 * - those of the configuration, each for the users whose name fits a pattern:
 *
 *       access:
 *         - {who: sensor-*, may: [publish, subscribe], on: "devices/${client}/#"}
 *         - {who: anonymous, may_not: [publish], on: "devices/#"}
 *
 * - an acl_file of mosquitto 2.0, as it is: "user NAME", "topic [read|write|readwrite|deny]
 * FILTER", "pattern ..." with %c and %u.
 *
 * What decides about a topic is the first of these that matches it; if none does, it is not
 * permitted:
 *
 *     1. the configuration's denials, then what it permits
 *     2. the file's denials for this user, then what it permits the user; those before the first
 *        "user" are for clients without a user name, and for nobody else
 *     3. the file's denials by pattern, then what it permits by pattern
 *
 * The client id or the user name takes the place of ${client} and ${user}, %c and %u.  One in which
 * there is +, # or / cannot do so in a rule that permits, nor can one that begins with $ at the
 * beginning of a filter: it would reach into topics of others.  The rule counts for nothing then.
 * (mosquitto lets / and $ pass.)  Where the user or the client has + or # in its name, all patterns
 * of the file count for nothing, as with mosquitto.  A rule with ${user} says nothing about who has
 * none.
 *
 * Rules that say send, listen or manage are about queues, whose names compare without the case of
 * ASCII letters; topics are compared byte by byte.  What is said about "$queue/NAME" as a topic, in
 * either notation, is about the queue NAME.
 *
 * "read" is to subscribe and to receive.  mosquitto grants every subscription, and looks at each
 * message only; gnatter refuses one under which nothing may be read.
 *
 * Ownership  counted.  One owner fills it, by _add and _load, and closes it by _seal; from then on
 * it never changes, and only then are there rights. Threads    one until it is sealed, then any. */
#ifndef GNT_AUTH_ACCESS_H
#define GNT_AUTH_ACCESS_H

#include "auth/lines.h"
#include "auth/rights.h"

enum { GNT_ACCESS_LEVELS_MAX = 200 }; /* of a filter; mosquitto's bound, too */

struct gnt_access;

/* An empty list, which permits nothing. */
GNT_MUST gnt_err gnt_access_new(struct gnt_access **out);

/* The set of enum gnt_verb that a WORD of the configuration stands for; 0: no such word. */
uint8_t gnt_access_verbs(struct gnt_slice word);

struct gnt_access_rule {
    /* A user name in which * stands for any text; "anonymous": clients without one, and only those;
     * empty: everybody. */
    struct gnt_slice who;
    uint8_t verbs;       /* not 0 */
    bool permits;        /* may; else may_not */
    struct gnt_slice on; /* a topic filter with ${client} and ${user}, or names of queues so */
};

/* Adds a rule of the configuration; what it points to is copied.  GNT_INVALID: *why says what is
 * wrong, in words that follow the name of the rule's key.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_access_add(struct gnt_access *access, const struct gnt_access_rule *rule,
                                const char **why);

/* Adds the rules of an acl_file.  Every mistake is told.
 *   GNT_MALFORMED                     there are some, and the list is not to be used: to leave a
 * rule out might permit what it denies GNT_NOTFOUND, GNT_DENIED, GNT_IO  FILE cannot be read; errno
 * says why GNT_NOMEM */
GNT_MUST gnt_err gnt_access_load(struct gnt_access *access, const char *file,
                                 gnt_lines_report *report, void *context);

/* Closes the list.  GNT_NOMEM: it is still open. */
GNT_MUST gnt_err gnt_access_seal(struct gnt_access *access);

struct gnt_access *gnt_access_ref(struct gnt_access *access); /* NULL is fine */
void gnt_access_unref(struct gnt_access **access);            /* NULL is fine */

/* Who logs in.  An empty user is anonymous. */
struct gnt_principal {
    struct gnt_slice user, client;
};

/* Whether WHO may do VERB with TOPIC; for SUBSCRIBE that is a filter, of a shared subscription the
 * one behind the group, and for SEND, LISTEN and MANAGE a queue's name, folded (gnt_entity_fold).
 * RECEIVE is asked for each message of what was subscribed to.  All is lent.  Called on any thread,
 * several at a time. */
typedef bool gnt_access_ask(void *context, struct gnt_principal who, enum gnt_verb verb,
                            struct gnt_slice topic);

/* A list that has no rules but asks; it is sealed. */
GNT_MUST gnt_err gnt_access_asking(gnt_access_ask *ask, void *context, struct gnt_access **out);

/* The rights of WHO.  ACCESS NULL: there is no list, and *out is NULL, which permits everything.
 * GNT_NOMEM.  It takes a look at each rule of the configuration and each pattern; the rules of the
 * file for this user are ready, and shared. */
GNT_MUST gnt_err gnt_access_rights(struct gnt_access *access, struct gnt_principal who,
                                   struct gnt_rights **out);

/* How many rules that looks at; 0 for NULL. */
size_t gnt_access_size(const struct gnt_access *access);

#endif
