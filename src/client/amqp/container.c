/* A container as the program sees it: options, addresses, birth and end. */
#include "client/amqp/container.h"

#include "base/assert.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SESSIONS_MAX = 64,
    UNSETTLED_MAX = 1 << 16,
    INCOMING_WINDOW = 1024,
    FRAME_SIZE_MIN = 512, /* [AMQP 2.7.1] */
    PROPERTIES_MAX = 4096,
};

void gnatter_amqp_container_options_init_size(struct gnatter_amqp_container_options *options,
                                              size_t size)
{
    GNT_ASSERT(size == sizeof *options); /* compiled against another version's header */
    *options = (struct gnatter_amqp_container_options){
        .size = size,
        .connections = 100,
        .links = 100,
        .max_frame_size = 64 * 1024,
        .idle_timeout_ms = 60 * 1000,
        .login_timeout_ms = 10 * 1000,
        .message_max = 1 << 20,
        .queue_messages = 1000,
        .queue_bytes = 16 << 20,
    };
}

/* ---- Addresses */

gnt_err gnt_node_new(const struct gnatter_amqp_node *is, struct gnt_node **out)
{
    struct gnt_node *node = calloc(1, sizeof *node);
    if (!node)
        return GNT_NOMEM;
    node->references = 1;
    node->is = *is;
    gnt_list_init(&node->in_container);
    if (is->address && !(node->is.address = strdup(is->address))) {
        free(node);
        return GNT_NOMEM;
    }
    *out = node;
    return GNT_OK;
}

void gnt_node_unref(struct gnt_node *node)
{
    if (!node || --node->references)
        return;
    free((void *)(uintptr_t)node->is.address);
    free(node);
}

static struct gnt_node *find(struct gnatter_amqp_container *k, const char *address)
{
    gnt_list_each (at, &k->nodes) {
        struct gnt_node *node = GNT_CONTAINER(at, struct gnt_node, in_container);
        if (strcmp(node->is.address, address) == 0)
            return node;
    }
    return NULL;
}

int gnatter_amqp_container_add(gnatter_amqp_container *k, const struct gnatter_amqp_node *is)
{
    struct gnt_node *node;
    if (!is->address || !*is->address || (is->on_message && is->on_request))
        return GNT_INVALID;
    gnt_err err = gnt_node_new(is, &node);
    if (err)
        return err;
    pthread_mutex_lock(&k->thread.lock);
    if (find(k, is->address)) {
        gnt_node_unref(node);
        err = GNT_EXISTS;
    } else {
        gnt_list_push_back(&k->nodes, &node->in_container);
    }
    pthread_mutex_unlock(&k->thread.lock);
    return err;
}

int gnatter_amqp_container_remove(gnatter_amqp_container *k, const char *address)
{
    pthread_mutex_lock(&k->thread.lock);
    struct gnt_node *node = find(k, address);
    if (node)
        gnt_list_remove(&node->in_container);
    gnt_node_unref(node);
    pthread_mutex_unlock(&k->thread.lock);
    return node ? GNT_OK : GNT_NOTFOUND;
}

/* ---- Birth and end */

gnt_err gnt_container_refuse(const struct gnatter_amqp_container_options *o, gnt_err err,
                             const char *what, const char *words)
{
    if (o->problem && o->problem_size)
        (void)snprintf(o->problem, o->problem_size, "%s: %s", what, words);
    return err;
}

static gnt_err check_options(const struct gnatter_amqp_container_options *o)
{
    const struct gnatter_tls_options *t = &o->tls;
    bool strange =
        t->on || t->ca_directory || t->alpn || t->server_name || t->any_host || t->choose;
    if (o->size != sizeof *o)
        return GNT_INVALID;
    bool good = !strange && (!t->crl_file || t->ca_file) && o->connections && o->links &&
                o->max_frame_size >= FRAME_SIZE_MIN && o->login_timeout_ms && o->message_max &&
                o->queue_messages && o->queue_bytes;
    return good ? GNT_OK : gnt_container_refuse(o, GNT_INVALID, "options", "one cannot be");
}

static gnt_err set_terms(gnatter_amqp_container *k)
{
    const struct gnatter_amqp_container_options *o = &k->options;
    char made[32];
    (void)snprintf(made, sizeof made, "gnatter%016llx",
                   (unsigned long long)gnt_random_u64(&gnt_random_system));
    k->options.container_id = strdup(o->container_id ? o->container_id : made);
    if (!k->options.container_id)
        return GNT_NOMEM;
    k->terms = (struct gnt_amqp_options){
        .container_id = gnt_slice_str(k->options.container_id),
        .max_frame_size = o->max_frame_size,
        .idle_timeout_ms = o->idle_timeout_ms,
        .open_timeout_ms = o->login_timeout_ms,
        .sessions_max = SESSIONS_MAX,
        .links_max = o->links,
        .unsettled_max = UNSETTLED_MAX,
        .incoming_window = INCOMING_WINDOW,
        .properties_max = PROPERTIES_MAX,
    };
    return GNT_OK;
}

static bool judge(void *program, X509 *certificate, STACK_OF(X509) * chain, int verdict, int depth)
{
    return gnt_callback_judge(program, NULL, certificate, chain, verdict, depth);
}

static gnt_err set_tls(gnatter_amqp_container *k, const struct gnatter_tls_options *o)
{
    struct gnt_pki_why why;
    if (!o->identity.certificate && !o->identity.pfx)
        return GNT_OK;
    k->judging = (struct gnt_callback_tls){.judge = o->judge, .context = o->context};
    gnt_err err = gnt_tls_server_context(o, judge, &k->judging, &k->tls, &why);
    if (!err || err == GNT_NOMEM)
        return err;
    return gnt_container_refuse(&k->options, GNT_INVALID, "TLS", why.text);
}

static void destroy(gnatter_amqp_container *k)
{
    while (!gnt_list_empty(&k->orphans))
        gnt_delivery_end(GNT_CONTAINER(k->orphans.next, struct gnatter_amqp_delivery, in_amqp));
    struct gnt_list *node;
    while ((node = gnt_list_pop_front(&k->nodes)))
        gnt_node_unref(GNT_CONTAINER(node, struct gnt_node, in_container));
    gnt_node_unref(k->answers);
    gnt_inlets_close(k);
    gnt_tls_context_unref(&k->tls);
    free((void *)(uintptr_t)k->options.container_id);
    gnt_thread_fini(&k->thread);
    free(k);
}

static gnt_err fill(gnatter_amqp_container *k, const struct gnatter_amqp_container_options *o)
{
    gnt_list_init(&k->nodes);
    gnt_list_init(&k->guests);
    gnt_list_init(&k->due);
    gnt_list_init(&k->orphans);
    k->options = *o;
    gnt_err err = set_terms(k);
    if (!err)
        err = gnt_node_new(&(struct gnatter_amqp_node){.address = NULL}, &k->answers);
    if (!err)
        err = set_tls(k, &o->tls);
    k->options.tls = (struct gnatter_tls_options){.ca_file = o->tls.ca_file ? "" : NULL};
    if (!err)
        err = gnt_inlets_open(k, o);
    k->options.listeners = NULL; /* these were lent */
    k->options.problem = NULL;
    return err;
}

int gnatter_amqp_container_new(const struct gnatter_amqp_container_options *options,
                               gnatter_amqp_container **out)
{
    struct gnatter_amqp_container_options usual;
    gnatter_amqp_container_options_init(&usual);
    options = options ? options : &usual;
    gnt_err err = check_options(options);
    if (err)
        return err;
    gnatter_amqp_container *k = calloc(1, sizeof *k);
    if (!k)
        return GNT_NOMEM;
    err = gnt_thread_init(&k->thread);
    if (err) {
        free(k);
        return err;
    }
    err = fill(k, options);
    if (err) {
        destroy(k);
        return err;
    }
    *out = k;
    return GNT_OK;
}

int gnatter_amqp_container_start(gnatter_amqp_container *k)
{
    pthread_mutex_lock(&k->thread.lock);
    gnt_err err = k->started ? GNT_STATE : gnt_inlets_accept(k);
    if (!err)
        err = gnt_thread_start(&k->thread, gnt_container_run, k);
    k->started = k->started || !err;
    pthread_mutex_unlock(&k->thread.lock);
    return err;
}

void gnatter_amqp_container_free(gnatter_amqp_container *k)
{
    if (!k)
        return;
    GNT_ASSERT(!gnt_thread_in_callback(&k->thread));
    pthread_mutex_lock(&k->thread.lock);
    k->quit = true;
    gnt_thread_wake(&k->thread);
    pthread_mutex_unlock(&k->thread.lock);
    if (k->started)
        pthread_join(k->thread.id, NULL);
    destroy(k);
}

const char *gnatter_amqp_container_url(const gnatter_amqp_container *k, size_t index)
{
    return index < k->inlet_count ? k->inlets[index].url : NULL;
}
