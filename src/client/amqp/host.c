/* Links of peers to the addresses of a container. */
#include "client/amqp/container.h"

#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>

enum { ADDRESS_MAX = 1024, NAME_MAX_TOLD = 256, CREDIT = 100 };

/* ---- What a peer asks for */

struct asked {
    struct gnt_amqp_link *link;
    const struct gnt_amqp_attach *attach;
    bool dynamic, odd;         /* odd: no terminus that could be here */
    char address[ADDRESS_MAX]; /* of the terminus that is ours; made, if it is dynamic */
    char reply_to[ADDRESS_MAX];
    char capability[NAME_MAX_TOLD];
    enum gnt_amqp_condition wrong;
    struct gnatter_amqp_error why; /* of the program's; "": `wrong` */
};

static bool keep(struct gnt_slice text, char *out, size_t cap)
{
    bool fits = text.size < cap && (!text.size || !memchr(text.data, 0, text.size));
    gnt_amqp_client_keep_text(fits ? text : (struct gnt_slice){0}, out, cap);
    return fits;
}

static void keep_capability(struct asked *a, bool has, const struct gnt_amqp_value *list)
{
    struct gnt_slice first;
    struct gnt_amqp_items items;
    if (!has)
        return;
    items = gnt_amqp_symbols(list);
    if (gnt_amqp_next_symbol(&items, &first))
        (void)keep(first, a->capability, sizeof a->capability);
}

static bool read_target(struct asked *a, char *address)
{
    struct gnt_amqp_target t;
    if (!a->attach->has.target || gnt_amqp_code_of(a->attach->target.encoded) != GNT_AMQP_TARGET ||
        gnt_amqp_decode_target(a->attach->target.encoded, &t))
        return false;
    if (!a->link->sender) {
        a->dynamic = t.dynamic;
        keep_capability(a, t.has.capabilities, &t.capabilities);
    }
    return !t.has.address || keep(t.address, address, ADDRESS_MAX);
}

static bool read_source(struct asked *a)
{
    struct gnt_amqp_source s;
    if (!a->attach->has.source || gnt_amqp_decode_source(a->attach->source.encoded, &s))
        return false;
    a->dynamic = s.dynamic;
    keep_capability(a, s.has.capabilities, &s.capabilities);
    return !s.has.address || keep(s.address, a->address, sizeof a->address);
}

static void read_attach(struct asked *a)
{
    if (a->link->sender) {
        a->odd = !read_source(a);
        (void)read_target(a, a->reply_to); /* the peer's own affair, but for answers */
    } else {
        a->odd = !read_target(a, a->address);
    }
}

/* ---- What there is */

static bool any_requests(const struct gnatter_amqp_container *k)
{
    gnt_list_each (at, &k->nodes) {
        if (GNT_CONTAINER(at, struct gnt_node, in_container)->is.on_request)
            return true;
    }
    return false;
}

/* What of NODE is for the link; NULL: nothing. */
static struct gnt_node *part_of(struct gnt_node *node, const struct gnatter_amqp_container *k,
                                const struct asked *a)
{
    const struct gnatter_amqp_node *is = &node->is;
    if (!a->link->sender)
        return is->on_message || is->on_request ? node : NULL;
    if (is->on_wanted)
        return node;
    return is->on_request && (a->dynamic || *a->reply_to) ? k->answers : NULL;
}

/* NULL: nothing, and a->wrong says why. */
static struct gnt_node *usual(struct gnatter_amqp_container *k, struct asked *a)
{
    a->wrong = GNT_AMQP_NOT_FOUND;
    if (a->odd || (a->dynamic && !(a->link->sender && any_requests(k)))) {
        a->wrong = GNT_AMQP_NOT_IMPLEMENTED;
        return NULL;
    }
    if (a->dynamic)
        return k->answers;
    gnt_list_each (at, &k->nodes) {
        struct gnt_node *node = GNT_CONTAINER(at, struct gnt_node, in_container);
        if (strcmp(node->is.address, a->address) != 0)
            continue;
        a->wrong = GNT_AMQP_NOT_ALLOWED;
        return part_of(node, k, a);
    }
    return NULL;
}

/* A reference to what the program has said is there, or to what of it is for the link. */
static struct gnt_node *here(struct gnatter_amqp_container *k, struct asked *a,
                             struct gnatter_amqp_node *is)
{
    struct gnt_node *node = NULL, *part;
    is->address = NULL;
    a->wrong = GNT_AMQP_RESOURCE_LIMIT_EXCEEDED;
    if (gnt_node_new(is, &node))
        return NULL;
    a->wrong = GNT_AMQP_NOT_ALLOWED;
    part = part_of(node, k, a);
    if (part)
        part->references++;
    gnt_node_unref(node);
    return part;
}

/* The lock is let go of while the program is asked. */
static enum gnatter_amqp_answer ask(struct gnt_guest *g, struct asked *a,
                                    struct gnatter_amqp_node *is)
{
    const struct gnatter_amqp_container_options *o = &g->container->options;
    char name[NAME_MAX_TOLD];
    gnt_amqp_client_keep_text(a->link->name, name, sizeof name);
    const struct gnatter_amqp_wish wish = {.address = a->address,
                                           .sends = !a->link->sender,
                                           .dynamic = a->dynamic,
                                           .link = name,
                                           .container = g->amqp.peer,
                                           .user = g->login.user,
                                           .capability = a->capability};
    if (!o->on_link || a->odd)
        return GNATTER_AMQP_USUAL;
    pthread_mutex_unlock(&g->container->thread.lock);
    enum gnatter_amqp_answer answer = o->on_link(&wish, is, &a->why, o->context);
    pthread_mutex_lock(&g->container->thread.lock);
    return answer;
}

/* A reference to what the link is attached to; NULL: refused. */
static struct gnt_node *decide(struct gnt_guest *g, struct asked *a)
{
    struct gnatter_amqp_node is = {.address = NULL};
    struct gnt_node *node = NULL;
    switch (ask(g, a, &is)) {
    case GNATTER_AMQP_USUAL:
        node = usual(g->container, a);
        if (node)
            node->references++;
        break;
    case GNATTER_AMQP_HERE: node = here(g->container, a, &is); break;
    case GNATTER_AMQP_REFUSE: a->wrong = GNT_AMQP_UNAUTHORIZED_ACCESS; break;
    }
    return node;
}

/* ---- Saying yes */

static void put_source(struct gnt_amqp_writer *w, const void *context)
{
    const struct asked *a = context;
    struct gnt_amqp_source source = {0};
    GNT_AMQP_SET(&source, address, gnt_slice_str(a->address));
    if (a->dynamic)
        GNT_AMQP_SET(&source, dynamic, true);
    gnt_amqp_put_source(w, &source);
}

static void put_target(struct gnt_amqp_writer *w, const void *context)
{
    const struct asked *a = context;
    struct gnt_amqp_target target = {0};
    GNT_AMQP_SET(&target, address, gnt_slice_str(a->address));
    if (a->dynamic)
        GNT_AMQP_SET(&target, dynamic, true);
    gnt_amqp_put_target(w, &target);
}

/* What is the peer's goes back as it came; what is ours says what there is. */
static gnt_err answer(struct gnt_guest *g, const struct asked *a)
{
    const bool sender = a->link->sender;
    struct gnt_amqp_attach ours = *a->attach;
    struct gnt_buf terminus = {0};
    gnt_err err = gnt_put_into(&terminus, sender ? put_source : put_target, a);
    if (sender) {
        GNT_AMQP_SET(&ours, source, gnt_amqp_encoded(gnt_buf_slice(&terminus)));
        GNT_AMQP_SET(&ours, initial_delivery_count, 0);
    } else {
        GNT_AMQP_SET(&ours, target, gnt_amqp_encoded(gnt_buf_slice(&terminus)));
        GNT_AMQP_SET(&ours, max_message_size, g->amqp.options.message_max);
    }
    ours.has.properties = ours.has.offered_capabilities = ours.has.desired_capabilities = false;
    if (sender)
        ours.has.max_message_size = false;
    if (!err)
        err = gnt_amqp_link_answer(a->link, &ours, NULL, 0);
    gnt_buf_fini(&terminus);
    return err;
}

static struct gnt_end *new_sender(const struct asked *a, const struct gnt_node *node,
                                  const struct gnatter_amqp_container *k)
{
    gnatter_amqp_sender *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    gnt_sender_init(s);
    if (node == k->answers && !(s->reply_to = strdup(a->dynamic ? a->address : a->reply_to))) {
        gnt_sender_free(s);
        return NULL;
    }
    s->end.settle = a->link->snd_settle_mode == GNT_AMQP_SENDER_SETTLED ? GNATTER_AMQP_SETTLED
                                                                        : GNATTER_AMQP_UNSETTLED;
    return &s->end;
}

static struct gnt_end *new_receiver(const struct asked *a, const struct gnt_node *node)
{
    gnatter_amqp_receiver *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    gnt_list_init(&r->waiting);
    r->target = node->is.credit ? node->is.credit : CREDIT;
    r->end.settle = a->attach->rcv_settle_mode == GNT_AMQP_RECEIVER_SECOND ? GNATTER_AMQP_SECOND
                                                                           : GNATTER_AMQP_UNSETTLED;
    return &r->end;
}

/* Takes the reference to NODE, on failure, too. */
static gnt_err accept_link(struct gnt_guest *g, struct asked *a, struct gnt_node *node)
{
    gnatter_amqp_session *session = a->link->session->context;
    if (a->dynamic)
        (void)snprintf(a->address, sizeof a->address, "answers-%016llx%016llx",
                       (unsigned long long)gnt_random_u64(&gnt_random_system),
                       (unsigned long long)gnt_random_u64(&gnt_random_system));
    gnt_err err = answer(g, a);
    struct gnt_end *e = NULL;
    if (!err)
        e = a->link->sender ? new_sender(a, node, g->container) : new_receiver(a, node);
    if (!e) {
        gnt_node_unref(node);
        return err ? err : GNT_NOMEM;
    }
    gnt_end_zero(e, &g->amqp, a->link->sender);
    e->session = session;
    e->node = node;
    e->engine = a->link;
    e->state = GNT_END_ATTACHED;
    e->address = strdup(a->address); /* for people: none is no harm */
    a->link->context = e;
    gnt_list_push_back(&session->ends, &e->in_session);
    return GNT_OK;
}

/* Before or after it was answered. */
static void refuse(const struct asked *a)
{
    struct gnt_amqp_error error = {0};
    const bool own = *a->why.condition || *a->why.description;
    GNT_AMQP_SET(&error, condition,
                 own && *a->why.condition ? gnt_slice_str(a->why.condition)
                                          : gnt_amqp_condition_symbol(a->wrong));
    if (own && *a->why.description)
        GNT_AMQP_SET(&error, description, gnt_slice_str(a->why.description));
    if (gnt_amqp_link_refuse(a->link, &error) == GNT_STATE)
        (void)!gnt_amqp_link_detach(a->link, true, &error);
}

static void on_attach(struct gnt_guest *g, const struct gnt_amqp_event *event)
{
    struct asked *a = calloc(1, sizeof *a);
    if (!a) {
        (void)!gnt_amqp_link_refuse(event->link, NULL);
        return;
    }
    a->link = event->link;
    a->attach = &event->performative.attach;
    read_attach(a);
    struct gnt_node *node = event->link->session->context ? decide(g, a) : NULL;
    if (!node) {
        refuse(a);
    } else if (accept_link(g, a, node)) {
        a->wrong = GNT_AMQP_RESOURCE_LIMIT_EXCEEDED;
        refuse(a);
    }
    free(a);
}

void gnt_guest_event(struct gnt_guest *g, const struct gnt_amqp_event *event)
{
    gnatter_amqp_session *session;
    if (event->type == GNT_AMQP_EVENT_ATTACH && !event->link->attach_sent) {
        on_attach(g, event);
    } else if (event->type == GNT_AMQP_EVENT_BEGIN && !event->session->context) {
        if (gnt_amqp_client_new_session(&g->amqp, &session)) {
            (void)!gnt_amqp_session_end(event->session, NULL);
            return;
        }
        session->engine = event->session;
        event->session->context = session;
    }
}

/* ---- What happens on links */

static gnatter_amqp_sender *answers_to(const gnatter_amqp *c, struct gnt_slice reply_to)
{
    gnt_list_each (node, &c->sessions) {
        gnatter_amqp_session *s = GNT_CONTAINER(node, struct gnatter_amqp_session, in_amqp);
        gnt_list_each (at, &s->ends) {
            struct gnt_end *e = GNT_CONTAINER(at, struct gnt_end, in_session);
            const char *name = e->sender ? gnt_sender_of(e)->reply_to : NULL;
            if (name && e->state == GNT_END_ATTACHED && gnt_slice_eq_str(reply_to, name))
                return gnt_sender_of(e);
        }
    }
    return NULL;
}

static struct gnt_slice reply_to_of(const gnatter_amqp_message *m)
{
    struct gnatter_amqp_value v;
    return gnatter_amqp_get(m, GNATTER_AMQP_REPLY_TO, &v) ? gnt_slice_of(v.bytes)
                                                          : (struct gnt_slice){0};
}

void gnt_guest_given(gnatter_amqp_delivery *d)
{
    const struct gnatter_amqp_node is = d->receiver->end.node->is;
    struct gnt_thread *t = d->thread;
    const bool deaf = is.on_request && !answers_to(d->amqp, reply_to_of(d->message));
    pthread_mutex_unlock(&t->lock);
    if (deaf)
        (void)gnatter_amqp_reject(d, "amqp:not-found", "nobody is at its reply-to for an answer");
    else if (is.on_request)
        is.on_request(d, is.context);
    else
        is.on_message(d, is.context);
    pthread_mutex_lock(&t->lock);
}

/* What waits to be sent has a claim on the credit. */
static uint32_t unused_credit(const gnatter_amqp_sender *s)
{
    uint32_t credit = s->end.engine->credit;
    for (const struct gnt_list *at = s->waiting.next; credit && at != &s->waiting; at = at->next)
        credit--;
    return credit;
}

void gnt_guest_wanted(gnatter_amqp_sender *s)
{
    struct gnt_end *e = &s->end;
    gnatter_amqp *c = e->amqp;
    if (!e->engine || e->leaving || !e->node->is.on_wanted)
        return;
    const struct gnatter_amqp_node is = e->node->is;
    const uint32_t left = unused_credit(s);
    const bool drain = e->engine->drain;
    if (left || drain) {
        pthread_mutex_unlock(&c->thread->lock);
        is.on_wanted(s, left, drain, is.context);
        pthread_mutex_lock(&c->thread->lock);
    }
    gnt_amqp_client_wake(c); /* what is drained is told in the next turn */
}

void gnt_guest_unwanted(struct gnt_end *e)
{
    gnatter_amqp *c = e->amqp;
    const struct gnatter_amqp_node is = e->node->is;
    if (e->leaving)
        return; /* the program has let go of it: it is freed for that */
    if (e->sender && is.on_unwanted) {
        pthread_mutex_unlock(&c->thread->lock);
        is.on_unwanted(gnt_sender_of(e), is.context);
        pthread_mutex_lock(&c->thread->lock);
    }
    if (!e->leaving)
        gnt_end_free(e);
}

/* ---- Answers */

static gnt_err answer_request(gnatter_amqp_delivery *d, gnatter_amqp_message *m)
{
    const struct gnt_send_request request = {.done = NULL};
    const gnatter_amqp_message *asked = d->message;
    struct gnatter_amqp_value id, to;
    struct gnt_sending *sending;
    if (!d->amqp)
        return GNT_CLOSED;
    gnatter_amqp_sender *s = answers_to(d->amqp, reply_to_of(asked));
    if (!s)
        return GNT_NOTFOUND;
    if (gnatter_amqp_get(asked, GNATTER_AMQP_CORRELATION_ID, &id) ||
        gnatter_amqp_get(asked, GNATTER_AMQP_MESSAGE_ID, &id))
        (void)gnatter_amqp_set(m, GNATTER_AMQP_CORRELATION_ID, id);
    if (gnatter_amqp_get(asked, GNATTER_AMQP_REPLY_TO, &to))
        (void)gnatter_amqp_set(m, GNATTER_AMQP_TO, to);
    return gnt_sender_queue(s, m, &request, &sending);
}

int gnatter_amqp_reply(gnatter_amqp_delivery *d, gnatter_amqp_message *m)
{
    struct gnt_thread *t = d->thread;
    pthread_mutex_lock(&t->lock);
    gnt_err err = answer_request(d, m);
    pthread_mutex_unlock(&t->lock);
    if (!err)
        return gnatter_amqp_accept(d);
    if (err == GNT_NOTFOUND)
        (void)gnatter_amqp_reject(d, "amqp:not-found", "nobody waits for the answer any more");
    else
        (void)gnatter_amqp_release(d);
    return err;
}
