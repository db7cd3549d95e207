/* The node $management: queues asked about, made, changed and deleted by messages, as the AMQP
 * Management draft of OASIS has it.
 *
 * A request has the application properties `operation`, `name` and, if it likes, `type`, which is
 * "queue".  The answer goes to the queue that reply-to names; it has the correlation-id of the
 * request, or its message-id where it has none, and the application properties `statusCode` (an
 * int, as HTTP counts them) and `statusDescription`.  The bodies are values:
 *
 *     operation  body of the request           status  body of the answer
 *     CREATE     attributes, in a map             201  all attributes; 409: there is such a queue
 *     READ       -                                200  all attributes
 *     UPDATE     attributes, in a map             200  all attributes
 *     DELETE     -                                204  an empty map
 *     PURGE      -                                200  {purged: ulong}
 *     QUERY      {attributeNames: a list}, or -   200  {attributeNames: a list, results: a list of
 * a list of values for each queue, more: boolean}
 *
 * Attributes are the options of model/queue_options.h by their names: durations in milliseconds,
 * sizes in bytes, words as strings; null is the default.  A queue that is made may have `bind`,
 * too, a list of topic filters, which is among all attributes, but not in QUERY.  What can only be
 * read is in management_words.h.  QUERY has no name, and tells of those queues that the asker may
 * manage, sorted by nothing, GNT_MANAGEMENT_MOST at most.
 *
 * Errors     400 the request is not understood, 403 not permitted, 404 there is no such queue, 409,
 *            423 somebody has it, 501 no such operation, 503 not now, 507 there are too many. */
#ifndef GNT_FRONT_AMQP_MANAGEMENT_H
#define GNT_FRONT_AMQP_MANAGEMENT_H

#include "auth/rights.h"
#include "core/home.h"

enum {
    GNT_MANAGEMENT_MOST = 10000, /* queues in the answer to QUERY */
    GNT_MANAGEMENT_BIND_MAX = 256,
    GNT_MANAGEMENT_REQUEST_MAX = 256 * 1024, /* bytes of a request */
};

/* The request has been dealt with, and its answer is in the queue that it is for; or there is none,
 * because that queue is not there, is full, or is not the asker's to send to. */
typedef void gnt_managed(struct gnt_home *home, void *context);

/* Deals with REQUEST, an encoded message, which is copied, for somebody with RIGHTS (lent).  DONE
 * is called later, never from within, and once. GNT_MALFORMED  it is no message of AMQP GNT_INVALID
 * it has no reply-to that names a queue GNT_TOOBIG, GNT_NOMEM In these cases nothing happens, and
 * DONE is not called. */
GNT_MUST gnt_err gnt_manage(struct gnt_home *home, struct gnt_slice request,
                            struct gnt_rights *rights, gnt_managed *done, void *context);

#endif
