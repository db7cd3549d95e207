#include "broker/inbox.h"

#include "broker/workers.h"
#include "core/ledger.h"
#include "core/publish.h"

#include <stdlib.h>

/* Messages between two turns: the worker's connections want theirs, too. */
enum { MESSAGES_A_TURN = 256 };

struct letter {
    struct gnt_list link;
    struct gnt_message *message;
};

static size_t size_of(const struct gnt_message *m)
{
    return sizeof(struct letter) + sizeof *m + m->topic.size + m->payload.size;
}

void gnt_inbox_init(struct gnt_inbox *inbox)
{
    *inbox = (struct gnt_inbox){.closed = false};
    gnt_list_init(&inbox->taken);
    gnt_list_init(&inbox->letters);
    pthread_mutex_init(&inbox->mutex, NULL);
}

/* Frees the first letter of LIST and gives its message, or NULL. */
static struct gnt_message *open_first(struct gnt_list *list)
{
    struct gnt_list *link = gnt_list_pop_front(list);
    if (!link)
        return NULL;
    struct letter *letter = GNT_CONTAINER(link, struct letter, link);
    struct gnt_message *message = letter->message;
    free(letter);
    return message;
}

void gnt_inbox_fini(struct gnt_inbox *inbox)
{
    struct gnt_message *message;
    gnt_list_splice_back(&inbox->taken, &inbox->letters);
    while ((message = open_first(&inbox->taken)) != NULL)
        gnt_message_unref(&message);
    pthread_mutex_destroy(&inbox->mutex);
}

/* *was_empty: the worker has to be woken. */
static gnt_err push(struct gnt_inbox *inbox, struct letter *letter, bool *was_empty)
{
    size_t size = size_of(letter->message);
    gnt_err err = GNT_OK;
    pthread_mutex_lock(&inbox->mutex);
    size_t bytes = atomic_load(&inbox->bytes);
    if (inbox->closed) {
        err = GNT_STATE;
    } else if (bytes && bytes + size > GNT_INBOX_BYTES_MAX) {
        err = GNT_FULL;
    } else {
        *was_empty = gnt_list_empty(&inbox->letters);
        gnt_list_push_back(&inbox->letters, &letter->link);
        atomic_fetch_add(&inbox->bytes, size);
        atomic_store(&inbox->waits, true);
    }
    pthread_mutex_unlock(&inbox->mutex);
    return err;
}

gnt_err gnt_inbox_put(struct gnt_inbox *inbox, struct gnt_message **message)
{
    struct letter *letter = malloc(sizeof *letter);
    if (!letter)
        return GNT_NOMEM;
    letter->message = *message;
    bool was_empty = false;
    gnt_err err = push(inbox, letter, &was_empty);
    if (err) {
        free(letter);
        return err;
    }
    *message = NULL;
    if (was_empty)
        inbox->worker->loop.poller->wake(inbox->worker->loop.poller);
    return GNT_OK;
}

void gnt_inbox_close(struct gnt_inbox *inbox)
{
    pthread_mutex_lock(&inbox->mutex);
    inbox->closed = true;
    pthread_mutex_unlock(&inbox->mutex);
}

static void take(struct gnt_inbox *inbox)
{
    if (!atomic_load(&inbox->waits))
        return;
    pthread_mutex_lock(&inbox->mutex);
    atomic_store(&inbox->waits, false);
    gnt_list_splice_back(&inbox->taken, &inbox->letters);
    pthread_mutex_unlock(&inbox->mutex);
}

/* The publisher is gone and cannot be told of a failure, so it is counted. */
static void publish(struct gnt_inbox *inbox, struct gnt_message *message)
{
    struct gnt_home *home = inbox->worker->home;
    size_t size = size_of(message);
    if (gnt_publish(home, message, NULL) == GNT_FAILED)
        gnt_ledger_pass(home, NULL, GNT_COUNT_DROPPED_NO_MEMORY);
    gnt_message_unref(&message);
    atomic_fetch_sub(&inbox->bytes, size);
}

bool gnt_inbox_turn(struct gnt_inbox *inbox)
{
    const struct gnt_loop *loop = &inbox->worker->loop;
    take(inbox);
    /* Where mail is held up, making room for it wakes this worker, and this is called again. */
    for (int i = 0; i < MESSAGES_A_TURN && !gnt_post_backlog(loop->post, loop->address); i++) {
        struct gnt_message *message = open_first(&inbox->taken);
        if (!message)
            return false;
        publish(inbox, message);
    }
    return !gnt_list_empty(&inbox->taken) && !gnt_post_backlog(loop->post, loop->address);
}
