/* The inside of a shared group, for the group_*.c files and core/recover.c:
 *   group.c          birth, death, taking, whose turn it is
 *   group_offer.c    an offer to one member, and its answer
 *   group_members.c  who joins, leaves, is ready, gives back
 *   group_keep.c     what of it is in the store (core/keep.h) */
#ifndef GNT_CORE_GROUP_PRIVATE_H
#define GNT_CORE_GROUP_PRIVATE_H

#include "core/group.h"
#include "core/pending.h"

enum gnt_member_state {
    GNT_MEMBER_READY,    /* may have room */
    GNT_MEMBER_BUSY,     /* turned an offer down and says when it has room */
    GNT_MEMBER_AWAY,     /* the same, because its client is not connected */
    GNT_MEMBER_RESUMING, /* has room again; READY when the last round's offers are answered */
};

struct gnt_member {
    uint64_t id;
    struct gnt_sub_options options;
    enum gnt_member_state state;
    uint32_t joined, round;    /* its first round and the current one */
    unsigned unanswered;       /* offers, all of one round */
    struct gnt_rights *rights; /* NULL: it may be given everything */
    uint64_t aside_seen;       /* of the first so many that were put aside, it may have none that
                                  is still there */
};

struct gnt_group {
    struct gnt_sink sink;
    struct gnt_map_node by_name; /* in home->groups */
    struct gnt_home *home;
    struct gnt_tree_node *place;
    uint64_t placed; /* under this id: the sink's, which says there whether the group is kept */
    struct gnt_member *members;
    size_t count, cap;
    size_t bound;          /* so many members have rights */
    size_t turn;           /* who is asked next */
    struct gnt_work again; /* there was no memory to ask a member */
    /* What goes out first: what members did not settle, then what they turned down on its way to
     * them, then the rest of what came back in these ways before the last one was taken.  So the
     * order stays if there is only one member. */
    struct gnt_backlog returned;
    size_t unsettled, turned_down; /* how many of the first and of the second kind */
    struct gnt_pending waiting;
    /* Of both, what only members without room may be given, while others have room: these do not
     * wait for them. */
    struct gnt_backlog aside;
    uint64_t aside_put; /* so many ever were */
    bool look_aside;    /* since it was looked at last, some member may have got room, or rights */
    struct gnt_ledger ledger;
    size_t under_way;              /* offers to other homes that are not answered */
    struct gnt_slice name, filter; /* behind the struct */
    /* In the store: */
    uint64_t number;         /* of its log; 0: it is not kept */
    uint64_t last;           /* sequence of the last message that was written */
    struct gnt_fetch *fetch; /* messages on their way from the store; NULL: none */
};

/* ---- group.c */

/* NULL: it has gone. */
struct gnt_group *gnt_group_find(struct gnt_home *home, uint64_t id);
struct gnt_group *gnt_group_named(struct gnt_home *home, struct gnt_slice name,
                                  struct gnt_slice filter);
struct gnt_member *gnt_group_member(struct gnt_group *g, uint64_t id);

/* The number from which its home follows: the same in every process that has this key. */
uint64_t gnt_group_hash(const uint64_t home_key[2], struct gnt_slice name, struct gnt_slice filter);

static inline struct gnt_group *gnt_group_of(struct gnt_sink *sink)
{
    return GNT_CONTAINER(sink, struct gnt_group, sink);
}

/* Of HOME, without members, not kept.  GNT_NOMEM; GNT_FULL: its filter may lead a name to too many
 * others (limits.filter_reach). */
GNT_MUST gnt_err gnt_group_new(struct gnt_home *home, struct gnt_slice name,
                               struct gnt_slice filter, struct gnt_group **out);

/* Also out of the store, if it is kept. */
void gnt_group_free(struct gnt_group *g);

/* What M may be given, as gnt_group_bind. */
void gnt_group_set_rights(struct gnt_group *g, struct gnt_member *m, struct gnt_rights *rights);

/* Its last member takes the group along. */
void gnt_group_remove_member(struct gnt_group *g, struct gnt_member *m);

/* Offers what waits as long as somebody takes it. */
void gnt_group_dispatch(struct gnt_group *g);

/* A message that has been counted in comes back, to place AT of g->returned; *message is consumed.
 * False if it was dropped. */
bool gnt_group_returned(struct gnt_group *g, size_t at, uint64_t sequence,
                        struct gnt_message **message);

/* *message was to come back to a group that has gone. */
void gnt_group_drop_orphan(struct gnt_home *home, struct gnt_message **message);

/* ---- group_offer.c */

/* Whether M may be made an offer now. */
bool gnt_member_has_room(const struct gnt_member *m);

/* Offers it *w, and notes what it says.  TAKEN by a member elsewhere means that the offer is on its
 * way. */
enum gnt_offer gnt_member_offer(struct gnt_group *g, struct gnt_member *m,
                                const struct gnt_waiting *w);

/* M may have got room: what was put aside is looked at, if M may have some of it. */
void gnt_group_got_room(struct gnt_group *g, const struct gnt_member *m);

/* ---- group_keep.c */

/* From now on what comes at QoS 1 and 2 is kept.  GNT_NOMEM: nothing has changed. */
GNT_MUST gnt_err gnt_group_keep(struct gnt_group *g);

/* The group has ended, and so has what is kept of it. */
void gnt_group_keep_end(struct gnt_group *g);

/* The next message, if it is to be kept; its sequence is filled in: 0 if it is not. */
GNT_MUST gnt_err gnt_group_keep_message(struct gnt_group *g, struct gnt_waiting *w);

/* It need not be kept any more; 0 is fine.  For want of memory it may come again after a restart.
 */
void gnt_group_keep_no_message(struct gnt_group *g, uint64_t sequence);

/* Gets messages that are in the store only, if there is room for them in memory;
 * gnt_group_dispatch follows when they are there. */
void gnt_group_fetch(struct gnt_group *g);

/* A group of an earlier process, at its home, with nothing in it; NUMBER is that of its log.
 * GNT_NOMEM, GNT_FULL as gnt_group_new. */
GNT_MUST gnt_err gnt_group_restore(struct gnt_home *first, struct gnt_slice name,
                                   struct gnt_slice filter, uint64_t number);

/* What waited in it, in the order of the sequences: one message, and COUNT that stay in the store,
 * which come last.  LAST is that of the whole log. */
GNT_MUST gnt_err gnt_group_restore_message(struct gnt_group *g, uint64_t sequence,
                                           struct gnt_message *message);
void gnt_group_restore_rest(struct gnt_group *g, uint64_t first, uint64_t count);

#endif
