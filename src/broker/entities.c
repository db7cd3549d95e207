#include "broker/entities.h"

#include "base/log.h"
#include "core/entity.h"

#include <stdlib.h>

/* One queue, from the thread that read the configuration to worker 0, whose home asks for it. */
struct declaration {
    struct gnt_entity_asking asking;
    struct gnt_queue_options options;
    char *name;
    char **filters;
    struct gnt_slice *bind;
    size_t count;
};

static void declaration_free(struct declaration *d)
{
    for (size_t i = 0; d->filters && i < d->count; i++)
        free(d->filters[i]);
    free(d->filters);
    free(d->bind);
    free(d->name);
    free(d);
}

static void on_declared(struct gnt_home *home, struct gnt_entity_asking *asking,
                        enum gnt_queue_result result)
{
    struct declaration *d = GNT_CONTAINER(asking, struct declaration, asking);
    (void)home;
    if (result != GNT_QUEUE_DONE)
        gnt_log(GNT_LOG_ERROR, NULL, "entity", GNT_F_STR("queue", d->name),
                GNT_F_STR("problem", gnt_queue_result_text(result)));
    declaration_free(d);
}

static void on_mail(const struct gnt_mail *mail)
{
    struct gnt_worker *worker = mail->to;
    struct declaration *d = mail->object;
    gnt_entity_ask(worker->home, &d->asking);
}

/* NULL: no memory. */
static struct declaration *declaration_new(const struct gnt_config_queue *q)
{
    struct declaration *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->options = q->options;
    d->name = strdup(q->name);
    d->filters = calloc(q->bind.count + 1, sizeof *d->filters);
    d->bind = calloc(q->bind.count + 1, sizeof *d->bind);
    bool good = d->name && d->filters && d->bind;
    for (; good && d->count < q->bind.count; d->count++) {
        d->filters[d->count] = strdup(q->bind.items[d->count]);
        good = d->filters[d->count] != NULL;
        d->bind[d->count] = gnt_slice_str(d->filters[d->count]);
    }
    if (!good) {
        declaration_free(d);
        return NULL;
    }
    d->asking = (struct gnt_entity_asking){.done = on_declared,
                                           .verb = GNT_ENTITY_DECLARE,
                                           .name = gnt_slice_str(d->name),
                                           .options = &d->options,
                                           .bind = d->bind,
                                           .bind_count = d->count};
    return d;
}

gnt_err gnt_entities_declare(struct gnt_workers *w, const struct gnt_config *config)
{
    for (size_t i = 0; i < config->queues.count; i++) {
        struct declaration *d = declaration_new(&config->queues.items[i]);
        const struct gnt_mail mail = {.run = on_mail, .to = &w->worker[0], .object = d};
        gnt_err err = d ? gnt_post_send_outside(w->post, 0, &mail) : GNT_NOMEM;
        if (err) {
            if (d)
                declaration_free(d);
            return err;
        }
    }
    return GNT_OK;
}
