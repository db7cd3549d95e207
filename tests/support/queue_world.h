/* Senders and receivers of queues in the little world (core_world.h), who write down what they are
 * told.  Payloads are short texts; what is delivered is written down as "payload ". */
#ifndef GNT_TESTS_QUEUE_WORLD_H
#define GNT_TESTS_QUEUE_WORLD_H

#include "core/queue.h"
#include "support/core_world.h"

enum { QUEUE_WORLD_HELD = 4096 };

struct queue_held {
    uint64_t sequence, delivery;
    char payload[WORLD_TEXT];
    uint32_t failed;
    bool acquired, durable;
    uint64_t locked_until;
    char annotations[WORLD_TEXT], reason[64], description[64], source[64];
    uint64_t source_sequence;
};

/* A receiver. */
struct queue_reader {
    struct gnt_consumer c;
    struct world *world;
    unsigned home;
    uint64_t credit; /* in all */
    bool opened, ended, closed;
    enum gnt_queue_result result; /* of opening, or ending */
    struct queue_held *held;      /* delivered, and not settled by _settle */
    size_t count, cap;
    size_t delivered; /* in all */
    char *text;       /* all payloads, each with a space behind it */
    size_t text_size;
    unsigned drained;
    uint64_t drained_upto;
    unsigned settled; /* answers */
    uint64_t settled_delivery;
    enum gnt_queue_result settled_result;
    /* NULL, or called for each delivery, which is the last one held, and each answer. */
    void (*on_delivered)(struct queue_reader *r);
    void (*on_settled)(struct queue_reader *r, uint64_t delivery, enum gnt_queue_result result);
};

/* The queue NAME, asked for from home FROM with VERB; its answer.  OPTIONS may be NULL.  Settles
 * the world. */
enum gnt_queue_result queue_ask(struct world *w, unsigned from, enum gnt_entity_verb verb,
                                const char *name, const struct gnt_queue_options *options,
                                struct gnt_queue_facts *facts);
enum gnt_queue_result queue_ask_bound(struct world *w, const char *name, const char *filter,
                                      const struct gnt_queue_options *options);

/* Its id; declares it if it is not there. */
uint64_t queue_id(struct world *w, const char *name, const struct gnt_queue_options *options);
struct gnt_queue_facts queue_facts(struct world *w, const char *name);

/* One message; no settling.  It lives until it is done; what came of it is in *result (may be
 * NULL), which is GNT_QUEUE_CANCELLED before. */
struct queue_sent {
    enum gnt_queue_result result;
    bool done, full;
    uint64_t sequence;
};
void queue_send(struct world *w, unsigned from, uint64_t queue, const char *payload, bool durable,
                struct queue_sent *sent);
void queue_send_with(struct world *w, unsigned from, uint64_t queue, const char *payload,
                     bool durable, uint8_t priority, const char *group, uint64_t expires,
                     struct queue_sent *sent);

/* A message for each of WORDS, which have spaces between them.  Settles the world. */
void queue_send_words(struct world *w, uint64_t queue, const char *words, bool durable);

/* Somebody at HOME who waits for room; no settling. */
struct queue_room {
    struct gnt_room room;
    unsigned times; /* that he was told, and what at last */
    enum gnt_queue_result result;
};
void queue_await(struct world *w, unsigned home, uint64_t queue, struct queue_room *r);

/* Of filters that outlive who has them. */
void queue_filter_unref(struct gnt_consumer_filter *filter);

/* A receiver at home HOME; no settling.  What is filled in of r->c before stays. */
void queue_open(struct world *w, unsigned home, uint64_t queue, enum gnt_consume mode,
                struct queue_reader *r);
void queue_credit(struct queue_reader *r, unsigned more, bool drain); /* so many more */

/* Settles the first that is held, or the one with PAYLOAD. */
void queue_settle(struct queue_reader *r, enum gnt_settle outcome);
void queue_settle_one(struct queue_reader *r, const char *payload, const struct gnt_settling *like);
void queue_close(struct queue_reader *r, bool failed); /* settles the world */
const char *queue_text(const struct queue_reader *r);  /* "" if nothing has come */
void queue_forget(struct queue_reader *r);             /* frees what it wrote down */

/* All that is ready in the queue NAME, in order, as queue_text has it; it is taken out.  Until the
 * next call. */
const char *queue_take_all(struct world *w, const char *name);

/* The queue NAME as its home sees it, and how many of its messages are in memory. */
struct gnt_queue *queue_inside(const struct world *w, const char *name);
size_t queue_in_memory(const struct gnt_queue *q);

/* How many records TABLE of STORE has. */
size_t queue_records(struct gnt_store *store, const char *table);

#endif
