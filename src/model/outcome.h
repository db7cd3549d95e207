/* What came of a request to the core, without any protocol's numbers; fronts translate by table. */
#ifndef GNT_MODEL_OUTCOME_H
#define GNT_MODEL_OUTCOME_H

enum gnt_outcome {
    GNT_DONE,
    GNT_DONE_NO_MATCH,  /* published: nobody is subscribed; unsubscribed: there was nothing */
    GNT_WITHHELD,       /* a full queue keeps it waiting; the outcome follows */
    GNT_FAILED,         /* out of memory: try again later */
    GNT_NO_ROOM,        /* it has to be kept, and the store takes nothing now: likewise */
    GNT_FILTER_INVALID, /* not a topic filter, or deeper than the limit */
    GNT_TOPIC_INVALID,  /* not a topic name, or deeper than the limit */
    GNT_NOT_ALLOWED,    /* by access list, or a topic of the broker's own */
    GNT_QUOTA,          /* a limit on subscriptions, queues, sessions */
};

/* Why the core lets a receiver's connection go. */
enum gnt_close_reason {
    GNT_CLOSE_TAKEN_OVER, /* the same client has connected again */
    GNT_CLOSE_QUEUE_FULL, /* queue_full: disconnect */
    GNT_CLOSE_NO_MEMORY,
    GNT_CLOSE_SHUTDOWN,
    GNT_CLOSE_ADMINISTRATIVE,
};

#endif
