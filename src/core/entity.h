/* The directory of entities: queues by name, from whichever home asks.
 *
 * A queue lives at the home of its name, folded: names compare without the case of ASCII letters
 * (model/entity_name.h), and are shown as they were declared.  Each queue has a sub-queue for what
 * could not be delivered, NAME/$DeadLetterQueue, which lives at the same home, is made with the
 * first message in it, or when somebody asks for it, and goes with its queue.
 *
 * Whatever is asked takes an errand (core/errand.h) to that home and back, also if it is the own
 * one: `done` is called later in this turn or in another, never from within the call.
 *
 * What is kept of them is in the store's table "queue" (core/keep.h): declaring, deleting and
 * purging are done when that is safe. */
#ifndef GNT_CORE_ENTITY_H
#define GNT_CORE_ENTITY_H

#include "base/buf.h"
#include "core/errand.h"
#include "model/entity_name.h"
#include "model/queue_options.h"

/* What came of a request to a queue or about one. */
#define GNT_QUEUE_RESULTS(X)                                                            \
    X(DONE, "done")                                                                     \
    X(NOT_FOUND, "no such queue") /* or it has been deleted meanwhile */                \
    X(EXISTS, "there is such a queue")                                                  \
    X(BAD_NAME, "not a name of a queue")                                                \
    X(BAD_OPTION, "an option out of range, or not a topic filter")                      \
    X(FIXED, "durable: never is decided when a queue is made")                          \
    X(LIMIT, "there are as many queues as there may be")                                \
    X(IN_USE, "somebody has it, or wants it, for himself") /* exclusive */              \
    X(FULL, "the queue is full")                                                        \
    X(TOO_LARGE, "larger than the queue may be")                                        \
    X(NO_MEMORY, "out of memory")                                                       \
    X(NO_STORE, "the store takes nothing now")                                          \
    X(READ_ONLY, "dead letters can only be received and browsed")                       \
    X(LOCK_LOST, "it is not this receiver's any more") /* lock expired; or never was */ \
    X(CANCELLED, "not wanted any more")

enum gnt_queue_result {
#define GNT_QUEUE_RESULT_ENUM(name, text) GNT_QUEUE_##name,
    GNT_QUEUE_RESULTS(GNT_QUEUE_RESULT_ENUM)
#undef GNT_QUEUE_RESULT_ENUM
};
const char *gnt_queue_result_text(enum gnt_queue_result result);

/* What there is to know about a queue; a moment's values. */
struct gnt_queue_facts {
    uint64_t id; /* to send to and to receive from */
    struct gnt_queue_options options;
    uint64_t ready, held;  /* messages that wait, and that receivers have unsettled */
    uint64_t bytes;        /* of both; after a start as the first of them let expect */
    uint64_t dead_letters; /* messages in its dead-letter queue */
    uint64_t last_sequence;
    uint32_t consumers;
    bool full;      /* senders are to wait (gnt_queue_await_room) */
    bool temporary; /* is not kept, and goes with its connection, whose front deletes it */
    bool created;   /* by this request */
};

enum gnt_entity_verb {
    GNT_ENTITY_FIND,
    GNT_ENTITY_FIND_OR_CREATE, /* with the options that are given, if it is not there */
    GNT_ENTITY_CREATE,         /* GNT_QUEUE_EXISTS if it is there */
    GNT_ENTITY_DECLARE,        /* creates it, or gives it these options and filters */
    GNT_ENTITY_UPDATE,         /* gives it these options; its filters stay */
    GNT_ENTITY_DELETE,         /* with its messages and its dead-letter queue */
    GNT_ENTITY_PURGE,          /* drops its messages, but for those that somebody has */
};

/* What becomes of a name that somebody uses. */
static inline enum gnt_entity_verb gnt_entity_verb_for(const struct gnt_home *home)
{
    return home->config.auto_create ? GNT_ENTITY_FIND_OR_CREATE : GNT_ENTITY_FIND;
}

/* A request.  The asker owns it and what it points to, and keeps both until `done`. */
struct gnt_entity_asking {
    void (*done)(struct gnt_home *home, struct gnt_entity_asking *asking,
                 enum gnt_queue_result result);
    enum gnt_entity_verb verb;
    struct gnt_slice name; /* with or without "/$DeadLetterQueue"; no address around it */
    const struct gnt_queue_options *options; /* NULL: the defaults */
    const struct gnt_slice *bind;            /* topic filters whose publications it gets, too */
    size_t bind_count;
    bool temporary;
    bool tells_bind; /* `bound` is to be filled in */
    /* The answer, also with GNT_QUEUE_EXISTS. */
    struct gnt_queue_facts facts;
    struct gnt_buf bound; /* the asker's: its topic filters, each as gnt_read_str16 reads it */
    uint64_t purged;      /* messages */
    /* private */
    struct gnt_errand errand;
    enum gnt_queue_result result;
};

/* Of queues that are in the store (core/keep.h) the home follows from the store's key. */
unsigned gnt_entity_home(const uint64_t key[2], unsigned homes, struct gnt_slice name);

void gnt_entity_ask(struct gnt_home *home, struct gnt_entity_asking *asking);

/* All queues, in no order. */
struct gnt_entity_listed {
    struct gnt_slice name;
    uint8_t *own; /* private */
    struct gnt_queue_facts facts;
};
struct gnt_entity_listing {
    /* GNT_QUEUE_DONE, or GNT_QUEUE_NO_MEMORY with those that there was memory for. */
    void (*done)(struct gnt_home *home, struct gnt_entity_listing *listing,
                 enum gnt_queue_result result);
    size_t most; /* so many at most; 0: all */
    /* The answer, until _fini. */
    struct gnt_entity_listed *listed;
    size_t count;
    bool more;
    /* private */
    struct gnt_errand errand;
    size_t cap;
    unsigned asker;
    enum gnt_queue_result result;
};
void gnt_entity_list(struct gnt_home *home, struct gnt_entity_listing *listing);
void gnt_entity_listing_fini(struct gnt_entity_listing *listing);

#endif
