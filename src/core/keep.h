/* What a home keeps in the store, so that it outlives the process: sessions that do not end with
 * their connection, what they subscribe to, what waits for them; retained messages.
 *
 * What is written goes into the batch of the turn, which is committed before the turn's mail is
 * sent (gnt_keep_commit).  So what another home writes because of that mail comes later in the
 * store, too.  Batches are numbered, and become safe in order.  Whatever tells a peer that
 * something is safe waits for the batch that has it: gnt_keep_pending says for which, gnt_keep_wait
 * waits.  The core itself goes on without waiting: what is in memory is what will be in the store.
 *
 * A batch that could not be written is not given up: the store goes on trying (store.h), nothing
 * that waits for it is told that it is safe, and meanwhile `gnt_keep_refuses` has new messages
 * turned down where they come in.
 *
 *   table      key                        what
 *   meta       "homes"                    how clients are spread over homes
 *   session    client id, or its digest   struct gnt_session_record, with the will
 *   sub        session number, filter     struct gnt_sub_record
 *   received   session number, packet id  an exactly-once message of the client, before its PUBREL
 *   released   session number, sequence   an exactly-once delivery, between PUBREC and PUBCOMP
 *   group      group number               struct gnt_group_record, of a shared group
 *   queue      queue number               struct gnt_queue_record, of a queue or its dead letters
 *   queued     queue number, sequence     struct gnt_queued_record, of a message that has failed
 *   retained   topic name, or its digest  the message
 *   log
 *   s NUMBER   what waits for a session or is in flight: its deliveries of QoS 1 and 2
 *   g NUMBER   what waits in a shared group, or is with a member that has not settled it
 *   q NUMBER   what waits in a queue, one log for each priority (core/queue_record.h)
 *   h FROM TO  what one home has for another: written with the publication, taken out with what
 *              the other one makes of it
 *
 * Threads  a home's is its thread's, like the home. */
#ifndef GNT_CORE_KEEP_H
#define GNT_CORE_KEEP_H

#include "base/hash.h"
#include "base/list.h"
#include "model/message.h"
#include "store/store.h"

#include <pthread.h>

struct gnt_commit;
struct gnt_home;
struct gnt_store_time;

/* Somebody who waits until a batch is safe; lives in the waiter's object. */
struct gnt_kept {
    struct gnt_list link; /* in keep->waiting, while it waits */
    uint64_t batch;
    void (*safe)(struct gnt_home *home, struct gnt_kept *kept);
};

struct gnt_keep {
    struct gnt_store *store; /* NULL: nothing is kept */
    const struct gnt_store_time *time;
    struct gnt_batch batch;
    struct gnt_batch *aside; /* NULL, or what is written into instead */
    uint64_t current;        /* number of `batch`, from 1 */
    bool hurry;              /* somebody is about to wait for `batch` */
    uint64_t safe;           /* all up to this one */
    bool lost;               /* but for some, because the store was closed, or _give_up */
    uint64_t under_way;      /* bytes of those that are not, without `batch` */
    struct gnt_commit *next; /* for `batch`: made beforehand, so that committing needs no memory */
    struct gnt_list waiting; /* struct gnt_kept, by batch */
    struct gnt_buf scratch;  /* for what is being written */
    uint64_t *mailed;        /* to each home: the last sequence in that log */
    uint64_t numbers;        /* of sessions and groups: the last one of this home */
    /* Topics whose retained messages are written when the batch is committed: each once, however
     * often it was published to, as the last one is all that the batch could have said. */
    struct gnt_map retained;
    size_t retained_size; /* of what will be written for them */
    uint32_t repeated;    /* publications to topics that were there already */
    /* Home 0's is everybody's.  Guards the order of batches with retained messages: held while a
     * home reads from the tree what is retained and commits it, so that of two homes' batches with
     * the same topic the later one in the store never has the older message.  The tree's and the
     * store's locks are taken under it. */
    pthread_mutex_t retaining;
};

/* STORE and TIME are lent for the life of HOME.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_keep_init(struct gnt_home *home, struct gnt_store *store,
                               const struct gnt_store_time *time);

/* From now on nothing is committed, nor said to be safe: the store is about to be closed before it
 * has written everything, or what has been written in this turn is not to happen. */
void gnt_keep_give_up(struct gnt_home *home);

/* Nothing is under way any more. */
void gnt_keep_fini(struct gnt_home *home);

/* Whether anything is kept at HOME. */
bool gnt_keeps(const struct gnt_home *home);

/* Whether the store is in trouble (no space, errors), and takes no new messages. */
bool gnt_keep_refuses(const struct gnt_home *home);

/* Whether so much has been written that is not safe yet that whoever makes HOME write more should
 * wait (gnt_keep_wait, for _pending). */
enum { GNT_KEEP_AHEAD_MAX = 16 * 1024 * 1024 };
bool gnt_keep_is_behind(const struct gnt_home *home);

/* Room for WRITES writes of SIZE bytes (names, keys and values) together: what is written within it
 * cannot fail.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_keep_reserve(struct gnt_home *home, uint32_t writes, size_t size);

/* What FROM has written in this turn, HOME has.  GNT_NOMEM.  While neither runs. */
GNT_MUST gnt_err gnt_keep_join(struct gnt_home *home, struct gnt_home *from);

/* What is written from now on goes into ASIDE, which somebody else commits; NULL: not any more.
 * Nothing that waits for this home's batches waits for it. */
void gnt_keep_aside(struct gnt_home *home, struct gnt_batch *aside);

/* The batch to write into, after _reserve. */
struct gnt_batch *gnt_keep_batch(struct gnt_home *home);

/* Has the batch say what is retained for MESSAGE's topic, which the tree knows already; in one with
 * all else that comes of MESSAGE.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_keep_retained(struct gnt_home *home, struct gnt_message *message);

/* The batch that has to be safe for all that was written until now, 0 if all is. */
uint64_t gnt_keep_pending(const struct gnt_home *home);

/* Somebody is to be told when what was written until now is safe: who waits from this turn on.
 * Batches that nobody waits for may be written some milliseconds later, with others; such a one is
 * most of what homes do about messages that are safe already. */
void gnt_keep_hurry(struct gnt_home *home);

/* Another number whenever something has been written since; never 0. */
uint64_t gnt_keep_mark(const struct gnt_home *home);

/* Calls kept->safe, once, when BATCH, which _pending has said, is safe: by mail, never from here.
 * _cancel: not any more. */
void gnt_keep_wait(struct gnt_home *home, struct gnt_kept *kept, uint64_t batch);
void gnt_keep_cancel(struct gnt_kept *kept);

/* For reads: C completes by mail, at HOME, with DONE. */
void gnt_keep_completion(struct gnt_home *home, struct gnt_completion *c,
                         void (*done)(struct gnt_completion *c, gnt_err result));

/* A number that no session, group or queue has had. */
uint64_t gnt_keep_number(struct gnt_home *home);

/* Commits what has been written in this turn: before its mail is sent. */
void gnt_keep_commit(struct gnt_home *home);

/* Forgets what has been written and not committed, as a crash does: for simulations of one. */
void gnt_keep_forget(struct gnt_home *home);

#endif
