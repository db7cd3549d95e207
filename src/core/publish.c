#include "core/publish.h"

#include "core/enqueue.h"
#include "core/ledger.h"
#include "core/record.h"
#include "core/total.h"
#include "model/topic.h"

static gnt_err find_route(struct gnt_home *home, struct gnt_slice topic, struct gnt_route **out,
                          bool *owned)
{
    return gnt_routes_find(&home->routes, home->tree, home->index, topic, out, owned);
}

void gnt_publish_ahead(struct gnt_home *home, const struct gnt_slice *topics, unsigned count)
{
    gnt_routes_ahead(&home->routes, home->tree, home->index, topics, count);
}

static void deliver_to(struct gnt_home *home, const struct gnt_target *t,
                       struct gnt_message *message, struct gnt_receipt *receipt)
{
    bool own = t->sink == message->publisher;
    if (own && !t->echoes)
        return;
    struct gnt_sink *sink = gnt_slots_find(&home->slots, t->sink);
    if (sink)
        sink->ops->take(sink, message, own ? &t->others : &t->match, receipt);
}

/* Sinks do not publish from `take` and do not change the tree, so the route stands meanwhile. */
static void deliver_here(struct gnt_home *home, const struct gnt_route *route,
                         struct gnt_message *message, struct gnt_receipt *receipt)
{
    for (size_t i = 0; i < route->count; i++)
        deliver_to(home, &route->targets[i], message, receipt);
}

/* ---- By mail
 *
 * A message's mail says in `value` whether its publisher could have waited.  Where it is for one
 * subscription, `other` is the sink, and `value` has the options, packed, and of the generation in
 * which they were found what there is room for. */

enum { GIVEN_BIT = 32, GENERATION_SHIFT = 33 };

static uint64_t label(uint64_t generation, bool given, const struct gnt_sub_options *options)
{
    return generation << GENERATION_SHIFT | (uint64_t)given << GIVEN_BIT |
           gnt_tree_options_pack(options);
}

/* Whether the tree is as it was when the route of this mail was found: too many changes to be taken
 * for none do not happen while it is on its way. */
static bool stands(const struct gnt_home *home, const struct gnt_mail *mail)
{
    uint64_t differs = gnt_tree_generation(home->tree) ^ mail->value >> GENERATION_SHIFT;
    return mail->other && differs << GENERATION_SHIFT == 0;
}

/* ---- At another home than the publisher's
 *
 * What may have to be kept there is kept here first (core/keep.h), and taken out there, in one with
 * what is made of it: so the publisher need not wait for the other home. */

enum { RECORD_SIZE = 2 * GNT_STORE_NAME_MAX };

static struct gnt_record_log passing_log(unsigned from, unsigned to)
{
    return gnt_record_log('h', (uint64_t)from << 32 | to);
}

/* False: there is no memory to say so, and it comes again with the next start. */
static bool has_passed(struct gnt_home *home, const struct gnt_passing *passing)
{
    if (!passing->sequence)
        return true;
    if (gnt_keep_reserve(home, 1, RECORD_SIZE)) {
        gnt_count(&home->counters, GNT_COUNT_KEEP_FAILURES, 1);
        return false;
    }
    struct gnt_record_log log = passing_log(passing->from, home->index);
    gnt_batch_remove(gnt_keep_batch(home), gnt_record_log_slice(&log), passing->sequence);
    return true;
}

/* Nobody here has got it, for want of memory: its publisher is to send it again, if one waits, and
 * if it does not come again by itself.  Else it is counted; what was kept comes with the next
 * start. */
static void not_delivered(struct gnt_home *home, const struct gnt_passing *passing,
                          struct gnt_receipt *receipt)
{
    if (receipt && !receipt->given && has_passed(home, passing))
        gnt_receipt_fail(receipt);
    else
        gnt_ledger_pass(home, NULL, GNT_COUNT_DROPPED_NO_MEMORY);
}

/* Whether what somebody here could not take, for want of memory, stays where it was kept until the
 * next start, as its publisher has been told that it is safe: if nobody else gets it twice then to
 * whom once was promised. */
static bool stays(const struct gnt_route *route, const struct gnt_passing *passing,
                  const struct gnt_receipt *receipt)
{
    return receipt && receipt->given && receipt->outcome == GNT_FAILED && passing->sequence &&
           (route->count == 1 || passing->message->qos == 1);
}

static void deliver_mailed(struct gnt_home *home, const struct gnt_passing *passing,
                           struct gnt_receipt *receipt)
{
    struct gnt_route *route;
    bool owned;
    if (find_route(home, passing->message->topic, &route, &owned)) {
        not_delivered(home, passing, receipt);
        return;
    }
    deliver_here(home, route, passing->message, receipt);
    if (stays(route, passing, receipt))
        gnt_count(&home->counters, GNT_COUNT_KEEP_FAILURES, 1);
    else
        has_passed(home, passing);
    if (owned)
        gnt_route_free(route);
}

static void on_mailed(const struct gnt_mail *mail)
{
    struct gnt_message *message = mail->object;
    struct gnt_receipt told = {.given = true};
    struct gnt_receipt *receipt = mail->value >> GIVEN_BIT & 1 ? &told : NULL;
    if (stands(mail->to, mail)) {
        struct gnt_sub_options options = gnt_tree_options_unpack((uint32_t)mail->value);
        struct gnt_target t = gnt_target_one(mail->other, &options);
        deliver_to(mail->to, &t, message, receipt);
    } else {
        deliver_mailed(mail->to, &(struct gnt_passing){.message = message}, receipt);
    }
    gnt_message_unref(&message);
}

static bool somebody_may_be_full(struct gnt_home *home, unsigned to,
                                 const struct gnt_message *message)
{
    return atomic_load_explicit(&home->homes[to].full, memory_order_relaxed) ||
           gnt_total_exceeds(home, 1, message->payload.size);
}

/* Whoever can wait need not, unless the home TO says that somebody's queue is full; what is on its
 * way when that happens is taken in. */
static gnt_err mail(struct gnt_home *home, unsigned to, const struct gnt_elsewhere *elsewhere,
                    struct gnt_message *message, struct gnt_receipt *receipt)
{
    if (receipt && somebody_may_be_full(home, to, message))
        return gnt_slip_mail(home, to, &(struct gnt_passing){message, home->index, 0}, receipt,
                             deliver_mailed);
    struct gnt_message *ref = gnt_message_ref(message);
    uint64_t value = label(home->routes.generation, receipt != NULL, &elsewhere->options);
    gnt_err err = gnt_home_mail(home, to, on_mailed, ref, value, elsewhere->sink);
    if (err)
        gnt_message_unref(&ref);
    return err;
}

enum { GIVEN = 1, FROM_SHIFT = 1 };

static void on_mailed_kept(const struct gnt_mail *mail)
{
    struct gnt_passing passing = {.message = mail->object,
                                  .from = (unsigned)(mail->value >> FROM_SHIFT),
                                  .sequence = mail->other};
    struct gnt_receipt told = {.given = true};
    deliver_mailed(mail->to, &passing, mail->value & GIVEN ? &told : NULL);
    gnt_message_unref(&passing.message);
}

static gnt_err mail_passing(struct gnt_home *home, unsigned to, const struct gnt_passing *passing,
                            struct gnt_receipt *receipt)
{
    if (receipt && somebody_may_be_full(home, to, passing->message))
        return gnt_slip_mail(home, to, passing, receipt, deliver_mailed);
    struct gnt_message *ref = gnt_message_ref(passing->message);
    uint64_t value = (uint64_t)passing->from << FROM_SHIFT | (receipt ? GIVEN : 0);
    gnt_err err = gnt_home_mail(home, to, on_mailed_kept, ref, value, passing->sequence);
    if (err)
        gnt_message_unref(&ref);
    return err;
}

static gnt_err mail_kept(struct gnt_home *home, unsigned to, struct gnt_message *message,
                         struct gnt_receipt *receipt)
{
    static const struct gnt_slice nothing;
    gnt_err err = gnt_keep_reserve(home, 1, RECORD_SIZE);
    if (err)
        return err;
    uint64_t sequence = home->keep.mailed[to] + 1;
    err = mail_passing(home, to, &(struct gnt_passing){message, home->index, sequence}, receipt);
    if (err)
        return err;
    struct gnt_record_log log = passing_log(home->index, to);
    gnt_batch_append(gnt_keep_batch(home), gnt_record_log_slice(&log), sequence, nothing, message);
    home->keep.mailed[to] = sequence;
    return GNT_OK;
}

/* What failed on its way to some is counted, unless its publisher sends it again. */
static enum gnt_outcome failed(struct gnt_home *home, const struct gnt_message *message,
                               const struct gnt_receipt *receipt)
{
    if (!receipt || message->qos == 0)
        gnt_ledger_pass(home, NULL, GNT_COUNT_DROPPED_NO_MEMORY);
    return GNT_FAILED;
}

/* Whether MESSAGE, which has to be kept at the homes KEEPS, is turned down: not if nobody could be
 * told, as its publisher of QoS 1 or 2 can. */
static bool refused(const struct gnt_home *home, const struct gnt_message *message, uint64_t keeps,
                    const struct gnt_receipt *receipt)
{
    return receipt && message->qos && (keeps || message->retain) && gnt_keep_refuses(home);
}

/* KEEPS: the homes where it has to be kept. */
static enum gnt_outcome deliver_elsewhere(struct gnt_home *home,
                                          const struct gnt_elsewhere *elsewhere, uint64_t keeps,
                                          struct gnt_message *message, struct gnt_receipt *receipt)
{
    enum gnt_outcome outcome = GNT_DONE;
    for (uint64_t homes = elsewhere->homes; homes; homes &= homes - 1) {
        unsigned to = (unsigned)__builtin_ctzll(homes);
        gnt_err err = keeps >> to & 1 ? mail_kept(home, to, message, receipt)
                                      : mail(home, to, elsewhere, message, receipt);
        if (err)
            outcome = failed(home, message, receipt);
    }
    return outcome;
}

static enum gnt_outcome publish(struct gnt_home *home, const struct gnt_route *route,
                                struct gnt_message *message, struct gnt_receipt *receipt)
{
    uint64_t keeps = message->qos ? route->keeps : 0;
    if (refused(home, message, keeps, receipt))
        return GNT_NO_ROOM;
    if (message->retain) {
        enum gnt_outcome retained = gnt_publish_retained(home, message);
        if (retained != GNT_DONE)
            return retained == GNT_FAILED ? failed(home, message, receipt) : retained;
    }
    enum gnt_outcome outcome =
        route->count || route->elsewhere.homes ? GNT_DONE : GNT_DONE_NO_MATCH;
    deliver_here(home, route, message, receipt);
    if (deliver_elsewhere(home, &route->elsewhere, keeps, message, receipt) == GNT_FAILED)
        outcome = GNT_FAILED;
    return outcome;
}

enum gnt_outcome gnt_publish(struct gnt_home *home, struct gnt_message *message,
                             struct gnt_receipt *receipt)
{
    struct gnt_route *route;
    bool owned;
    struct gnt_slice queue;
    if (gnt_topic_queue(message->topic, &queue))
        return gnt_enqueue(home, queue, message, receipt);
    if (receipt)
        receipt->outcome = GNT_DONE; /* so far */
    if (find_route(home, message->topic, &route, &owned))
        return failed(home, message, receipt);
    if (receipt)
        gnt_receipt_hold(receipt); /* so that it is not given before everybody has been asked */
    enum gnt_outcome outcome = publish(home, route, message, receipt);
    if (owned)
        gnt_route_free(route);
    if (receipt && receipt->outcome != GNT_DONE && outcome != GNT_FAILED)
        outcome = receipt->outcome;
    if (!receipt || --receipt->outstanding == 0)
        return outcome;
    receipt->outcome = outcome;
    return GNT_WITHHELD;
}
