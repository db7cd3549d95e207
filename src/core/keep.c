#include "core/keep.h"

#include "base/assert.h"
#include "core/home.h"
#include "core/record.h"

#include <stdlib.h>

/* A batch on its way. */
struct gnt_commit {
    struct gnt_completion completion;
    struct gnt_home *home;
    uint64_t number;
    uint64_t size;
};

static struct gnt_keep *keep_of(struct gnt_home *home)
{
    GNT_ASSERT(home->keep.store != NULL);
    return &home->keep;
}

bool gnt_keeps(const struct gnt_home *home)
{
    return home->keep.store != NULL;
}

bool gnt_keep_refuses(const struct gnt_home *home)
{
    return home->keep.store && gnt_store_trouble(home->keep.store) != GNT_OK;
}

gnt_err gnt_keep_init(struct gnt_home *home, struct gnt_store *store,
                      const struct gnt_store_time *time)
{
    uint64_t *mailed = calloc(home->config.homes, sizeof *mailed);
    if (!mailed)
        return GNT_NOMEM;
    home->keep.store = store;
    home->keep.time = time;
    home->keep.mailed = mailed;
    home->keep.current = 1;
    home->keep.numbers = home->index;
    pthread_mutex_init(&home->keep.retaining, NULL);
    return GNT_OK;
}

void gnt_keep_give_up(struct gnt_home *home)
{
    home->keep.lost = true;
}

void gnt_keep_fini(struct gnt_home *home)
{
    struct gnt_keep *k = &home->keep;
    if (k->lost)
        gnt_keep_forget(home);
    GNT_ASSERT(!k->store || gnt_keep_pending(home) == 0);
    gnt_batch_fini(&k->batch);
    gnt_buf_fini(&k->scratch);
    free(k->mailed);
    free(k->next);
    gnt_map_fini(&k->retained);
    if (k->store)
        pthread_mutex_destroy(&k->retaining);
    k->store = NULL;
}

/* ---- Writing */

gnt_err gnt_keep_reserve(struct gnt_home *home, uint32_t writes, size_t size)
{
    struct gnt_keep *k = keep_of(home);
    if (k->aside)
        return gnt_batch_reserve(k->aside, writes, size);
    if (!k->next)
        k->next = calloc(1, sizeof *k->next);
    if (!k->next || writes > UINT32_MAX - k->retained.count)
        return GNT_NOMEM;
    return gnt_batch_reserve(&k->batch, writes + k->retained.count, size + k->retained_size);
}

gnt_err gnt_keep_join(struct gnt_home *home, struct gnt_home *from)
{
    gnt_err err = gnt_keep_reserve(home, 0, 0);
    return err ? err : gnt_batch_join(&keep_of(home)->batch, &keep_of(from)->batch);
}

void gnt_keep_aside(struct gnt_home *home, struct gnt_batch *aside)
{
    home->keep.aside = aside;
}

struct gnt_batch *gnt_keep_batch(struct gnt_home *home)
{
    struct gnt_keep *k = keep_of(home);
    if (k->aside)
        return k->aside;
    GNT_ASSERT(k->next != NULL);
    return &k->batch;
}

uint64_t gnt_keep_pending(const struct gnt_home *home)
{
    const struct gnt_keep *k = &home->keep;
    uint64_t last = k->batch.count || k->retained.count ? k->current : k->current - 1;
    return k->store && last > k->safe ? last : 0;
}

static uint64_t batch_size(const struct gnt_batch *b)
{
    enum { A_WRITE = 64 }; /* besides its bytes, about */
    return gnt_buf_size(&b->bytes) + b->payload + (uint64_t)b->count * A_WRITE;
}

bool gnt_keep_is_behind(const struct gnt_home *home)
{
    const struct gnt_keep *k = &home->keep;
    return k->under_way + k->retained_size + batch_size(&k->batch) > GNT_KEEP_AHEAD_MAX;
}

/* Homes take turns, so that none has to ask another. */
uint64_t gnt_keep_number(struct gnt_home *home)
{
    return home->keep.numbers += home->config.homes;
}

void gnt_keep_hurry(struct gnt_home *home)
{
    home->keep.hurry = true;
}

uint64_t gnt_keep_mark(const struct gnt_home *home)
{
    const struct gnt_keep *k = &home->keep;
    return k->current << 32 | ((uint64_t)k->batch.count + k->retained.count + k->repeated + 1);
}

/* ---- Retained messages */

static const char retained_table[] = "retained";

struct retaining {
    struct gnt_map_node by_topic;
    struct gnt_message *message; /* any of them: it lends the topic */
};

static bool is_retaining(const struct gnt_keep *k, struct gnt_slice topic, uint64_t hash)
{
    struct gnt_map_node *node = gnt_map_first(&k->retained, hash);
    for (; node; node = gnt_map_next(node))
        if (gnt_slice_eq(GNT_CONTAINER(node, struct retaining, by_topic)->message->topic, topic))
            return true;
    return false;
}

gnt_err gnt_keep_retained(struct gnt_home *home, struct gnt_message *message)
{
    struct gnt_keep *k = keep_of(home);
    uint64_t hash = gnt_hash(message->topic);
    if (is_retaining(k, message->topic, hash)) {
        k->repeated++;
        return GNT_OK;
    }
    struct gnt_record_key key = gnt_record_key_text(0, message->topic);
    size_t size = sizeof retained_table - 1 + gnt_record_key_slice(&key).size;
    gnt_err err = gnt_keep_reserve(home, 1, size);
    if (err)
        return err;
    struct retaining *one = malloc(sizeof *one);
    if (!one || gnt_map_insert(&k->retained, &one->by_topic, hash)) {
        free(one);
        return GNT_NOMEM;
    }
    one->message = gnt_message_ref(message);
    k->retained_size += size;
    return GNT_OK;
}

/* What is retained for TOPIC now, for which there is room. */
static void write_retained(struct gnt_home *home, struct gnt_slice topic)
{
    static const struct gnt_slice nothing;
    struct gnt_record_key key = gnt_record_key_text(0, topic);
    struct gnt_slice table = gnt_slice_str(retained_table), at = gnt_record_key_slice(&key);
    struct gnt_message *message = gnt_tree_retained_at(home->tree, topic);
    if (message)
        gnt_batch_put(&home->keep.batch, table, at, nothing, message);
    else
        gnt_batch_delete(&home->keep.batch, table, at);
    gnt_message_unref(&message);
}

/* All of them are done with; WRITTEN: into the batch. */
static void end_retaining(struct gnt_home *home, bool written)
{
    struct gnt_keep *k = &home->keep;
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&k->retained, &cursor));) {
        struct retaining *one = GNT_CONTAINER(node, struct retaining, by_topic);
        gnt_map_remove(&k->retained, node);
        if (written)
            write_retained(home, one->message->topic);
        gnt_message_unref(&one->message);
        free(one);
    }
    gnt_map_fini(&k->retained); /* a large one is long to walk */
    k->retained_size = 0;
    k->repeated = 0;
}

/* ---- Becoming safe */

void gnt_keep_wait(struct gnt_home *home, struct gnt_kept *kept, uint64_t batch)
{
    struct gnt_keep *k = keep_of(home);
    GNT_ASSERT(batch > k->safe && batch <= k->current);
    kept->batch = batch;
    k->hurry |= batch == k->current;
    struct gnt_list *behind = k->waiting.prev; /* who came late may wait for an early one */
    while (behind != &k->waiting && GNT_CONTAINER(behind, struct gnt_kept, link)->batch > batch)
        behind = behind->prev;
    gnt_list_push_front(behind, &kept->link);
}

void gnt_keep_cancel(struct gnt_kept *kept)
{
    gnt_list_remove(&kept->link);
}

static void tell(struct gnt_home *home)
{
    struct gnt_keep *k = &home->keep;
    while (!gnt_list_empty(&k->waiting)) {
        struct gnt_kept *first = GNT_CONTAINER(k->waiting.next, struct gnt_kept, link);
        if (first->batch > k->safe)
            return;
        gnt_list_remove(&first->link);
        first->safe(home, first);
    }
}

/* The engine gives nothing up before it is closed, and then nobody is told anything any more. */
static void on_done(struct gnt_completion *completion, gnt_err result)
{
    struct gnt_commit *commit = GNT_CONTAINER(completion, struct gnt_commit, completion);
    struct gnt_home *home = commit->home;
    GNT_ASSERT(commit->number == home->keep.safe + 1);
    home->keep.safe = commit->number;
    home->keep.under_way -= commit->size;
    home->keep.lost |= result != GNT_OK;
    free(commit);
    if (!home->keep.lost)
        tell(home);
}

static void on_mail(const struct gnt_mail *mail)
{
    gnt_store_complete(mail->object);
}

/* On the store's thread, or here. */
static void deliver(void *context, struct gnt_completion *completion)
{
    struct gnt_home *home = context;
    const struct gnt_mail mail = {.run = on_mail, .to = home, .object = completion};
    home->config.report(home->config.post_context, home->index, &mail);
}

void gnt_keep_completion(struct gnt_home *home, struct gnt_completion *c,
                         void (*done)(struct gnt_completion *c, gnt_err result))
{
    c->done = done;
    c->deliver = deliver;
    c->context = home;
}

static void commit(struct gnt_home *home)
{
    struct gnt_keep *k = &home->keep;
    struct gnt_commit *commit = k->next;
    k->next = NULL;
    commit->home = home;
    commit->number = k->current++;
    k->batch.lazy = !k->hurry;
    k->hurry = false;
    commit->size = batch_size(&k->batch);
    k->under_way += commit->size;
    gnt_keep_completion(home, &commit->completion, on_done);
    gnt_store_commit(k->store, &k->batch, &commit->completion);
}

void gnt_keep_commit(struct gnt_home *home)
{
    if (home->keep.lost)
        gnt_keep_forget(home);
    if (home->keep.retained.count) {
        pthread_mutex_t *retaining = &home->homes[0].keep.retaining;
        pthread_mutex_lock(retaining);
        end_retaining(home, true);
        commit(home);
        pthread_mutex_unlock(retaining);
    } else if (home->keep.batch.count) {
        commit(home);
    }
}

void gnt_keep_forget(struct gnt_home *home)
{
    struct gnt_keep *k = &home->keep;
    gnt_batch_fini(&k->batch);
    end_retaining(home, false);
}
