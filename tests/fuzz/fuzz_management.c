/* Requests to $management: each a length of two bytes and a message.  The first byte says who asks:
 * somebody who may do everything, or who may do so with his own queues only ("mine/..."), or with
 * none.  Each request is answered once or refused, an answer is a message with a status that there
 * is, and a queue that is not the asker's stays as it was. */
#include "fuzz.h"

#include "amqp/codec/message.h"
#include "auth/access.h"
#include "base/assert.h"
#include "base/rcu.h"
#include "base/utf8.h"
#include "core/core.h"
#include "core/queue.h"
#include "front/amqp/management.h"

#include <stdlib.h>

enum who { EVERYTHING, OWN, NOTHING, WHO };

struct letter {
    struct gnt_mail mail;
    struct letter *next;
};

struct fuzz {
    struct gnt_core *core;
    struct gnt_home *home; /* its only one */
    struct gnt_timers timers;
    uint64_t now;
    struct letter *first, **last;
    unsigned asked, told, answered;
    enum gnt_queue_result result;
};

/* ---- A core with one home */

static gnt_err post(void *context, unsigned from, unsigned to, const struct gnt_mail *mail)
{
    struct fuzz *f = context;
    struct letter *l = malloc(sizeof *l);
    GNT_ASSERT(l && from == 0 && to == 0);
    *l = (struct letter){.mail = *mail};
    *f->last = l;
    f->last = &l->next;
    return GNT_OK;
}

static void report(void *context, unsigned to, const struct gnt_mail *mail)
{
    gnt_err err = post(context, to, to, mail);
    GNT_ASSERT(!err);
}

static bool run_mail(struct fuzz *f)
{
    struct letter *l = f->first;
    if (!l)
        return false;
    f->first = l->next;
    if (!f->first)
        f->last = &f->first;
    l->mail.run(&l->mail);
    free(l);
    return true;
}

static void settle(struct fuzz *f)
{
    for (int quiet = 0; quiet < 3; quiet++) {
        while (run_mail(f) || gnt_timers_run(&f->timers, ++f->now))
            quiet = 0;
    }
}

static void init(struct fuzz *f)
{
    *f = (struct fuzz){.now = GNT_NS_PER_S};
    f->last = &f->first;
    const struct gnt_core_config config = {.homes = 1,
                                           .post = post,
                                           .report = report,
                                           .post_context = f,
                                           .topic_levels = 16,
                                           .subscriptions_per_session = 100,
                                           .queued_per_session = 1000,
                                           .inflight_per_session = 65535,
                                           .queues_max = 100};
    gnt_rcu_register();
    gnt_err err = gnt_core_new(&config, &f->core);
    GNT_ASSERT(!err);
    f->home = &f->core->homes[0];
    err = gnt_home_attach(f->home, &f->now, &f->timers);
    GNT_ASSERT(!err);
}

static void fini(struct fuzz *f)
{
    while (run_mail(f)) {
    }
    gnt_core_free(&f->core);
    gnt_timers_fini(&f->timers);
    gnt_rcu_unregister();
}

/* ---- Queues */

static void on_asked(struct gnt_home *home, struct gnt_entity_asking *asking,
                     enum gnt_queue_result result)
{
    struct fuzz *f = home->config.post_context;
    (void)asking;
    f->result = result;
}

static struct gnt_queue_facts ask(struct fuzz *f, enum gnt_entity_verb verb, const char *name)
{
    struct gnt_entity_asking asking = {.done = on_asked, .verb = verb, .name = gnt_slice_str(name)};
    gnt_entity_ask(f->home, &asking);
    settle(f);
    return asking.facts;
}

static void on_sent(struct gnt_home *home, struct gnt_sending *sending,
                    enum gnt_queue_result result)
{
    (void)home, (void)sending;
    GNT_ASSERT(result == GNT_QUEUE_DONE);
}

/* What nobody but who may do everything can touch: a queue with a message in it. */
static void make_theirs(struct fuzz *f)
{
    const struct gnt_message_init message = {.topic = gnt_slice_str("theirs"),
                                             .payload = gnt_slice_str("x"),
                                             .format = GNT_EXTRAS_AMQP,
                                             .expires = GNT_NEVER};
    struct gnt_sending sending = {.done = on_sent, .priority = GNT_QUEUE_PRIORITY_DEFAULT};
    gnt_err err = gnt_message_new(&message, &sending.message);
    GNT_ASSERT(!err);
    gnt_queue_send(f->home, ask(f, GNT_ENTITY_CREATE, "theirs").id, &sending);
    settle(f);
}

static void check_theirs(struct fuzz *f, const struct gnt_queue_options *before)
{
    struct gnt_queue_facts facts = ask(f, GNT_ENTITY_FIND, "theirs");
    GNT_ASSERT(f->result == GNT_QUEUE_DONE && facts.ready == 1);
    GNT_ASSERT(facts.options.lock_ms == before->lock_ms);
    GNT_ASSERT(facts.options.max_deliveries == before->max_deliveries);
    GNT_ASSERT(facts.options.max_messages == before->max_messages);
    GNT_ASSERT(facts.options.overflow == before->overflow);
}

static struct gnt_rights *rights_of(enum who who)
{
    struct gnt_access *access;
    struct gnt_rights *rights = NULL;
    const char *why;
    if (who == EVERYTHING)
        return NULL;
    gnt_err err = gnt_access_new(&access);
    const struct gnt_access_rule rules[] = {
        {.verbs = GNT_VERB_SEND, .permits = true, .on = gnt_slice_str("replies")},
        {.verbs = GNT_VERB_MANAGE, .permits = true, .on = gnt_slice_str("mine/#")},
    };
    for (size_t i = 0; !err && i < (who == OWN ? 2 : 1); i++)
        err = gnt_access_add(access, &rules[i], &why);
    if (!err)
        err = gnt_access_seal(access);
    if (!err)
        err =
            gnt_access_rights(access, (struct gnt_principal){.user = gnt_slice_str("me")}, &rights);
    GNT_ASSERT(!err);
    gnt_access_unref(&access);
    return rights;
}

/* ---- Answers */

static void on_opened(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result result)
{
    (void)home;
    if (result == GNT_QUEUE_DONE)
        gnt_consumer_credit(c, UINT32_MAX, false);
}

static void on_deliver(struct gnt_home *home, struct gnt_consumer *c, const struct gnt_queued *d)
{
    static const int known[] = {200, 201, 204, 400, 403, 404, 409, 423, 501, 503, 507};
    struct fuzz *f = home->config.post_context;
    struct gnt_amqp_message parts;
    struct gnt_amqp_value status, why;
    bool is_known = false;
    (void)c;
    gnt_err err = gnt_amqp_message_split(d->message->payload, &parts);
    GNT_ASSERT(!err && gnt_amqp_message_valid(&parts));
    GNT_ASSERT(gnt_amqp_lookup(parts.application_properties, "statusCode", &status));
    GNT_ASSERT(gnt_amqp_lookup(parts.application_properties, "statusDescription", &why));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        is_known |= status.type == GNT_AMQP_INT && status.integer == known[i];
    GNT_ASSERT(is_known && why.type == GNT_AMQP_STRING && gnt_utf8_valid(why.bytes));
    f->answered++;
}

static void on_drained(struct gnt_home *home, struct gnt_consumer *c, uint64_t upto)
{
    (void)home, (void)c, (void)upto;
}

static void on_settled(struct gnt_home *home, struct gnt_consumer *c, uint64_t delivery,
                       enum gnt_queue_result result)
{
    (void)home, (void)c, (void)delivery, (void)result;
}

static void on_ended(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result why)
{
    (void)home, (void)c, (void)why;
}

static void on_closed(struct gnt_home *home, struct gnt_consumer *c)
{
    (void)home, (void)c;
}

static void take_answers(struct fuzz *f)
{
    static const struct gnt_consumer_ops ops = {on_opened,  on_deliver, on_drained,
                                                on_settled, on_ended,   on_closed};
    struct gnt_consumer c = {.ops = &ops, .mode = GNT_CONSUME_TAKE};
    struct gnt_queue_facts replies = ask(f, GNT_ENTITY_FIND, "replies");
    if (f->result != GNT_QUEUE_DONE)
        return; /* somebody has deleted it, with what was in it */
    gnt_consumer_open(f->home, replies.id, &c);
    settle(f);
    gnt_consumer_close(&c, false);
    settle(f);
}

static void on_managed(struct gnt_home *home, void *context)
{
    struct fuzz *f = context;
    GNT_ASSERT(home == f->home);
    f->told++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f;
    if (size < 1)
        return 0;
    init(&f);
    enum who who = (enum who)(data[0] % WHO);
    struct gnt_rights *rights = rights_of(who);
    ask(&f, GNT_ENTITY_CREATE, "replies");
    make_theirs(&f);
    const struct gnt_queue_options before = ask(&f, GNT_ENTITY_FIND, "theirs").options;
    struct gnt_slice in = gnt_slice(data + 1, size - 1);
    while (in.size > 2) {
        size_t length = (size_t)in.data[0] << 8 | in.data[1];
        in = gnt_slice_skip(in, 2);
        struct gnt_slice request = gnt_slice(in.data, length < in.size ? length : in.size);
        f.asked += gnt_manage(f.home, request, rights, on_managed, &f) == GNT_OK;
        in = gnt_slice_skip(in, request.size);
        if (data[0] & 0x80) /* one after the other, else all at once */
            settle(&f);
    }
    settle(&f);
    GNT_ASSERT(f.told == f.asked);
    take_answers(&f);
    GNT_ASSERT(f.answered <= f.told);
    if (who != EVERYTHING)
        check_theirs(&f, &before);
    gnt_rights_unref(&rights);
    fini(&f);
    return 0;
}
