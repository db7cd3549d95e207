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
    struct gnt_inbox *inbox;
    struct gnt_receipt receipt; /* while a full queue holds it, it counts as waiting here */
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

static void letter_free(struct letter *letter)
{
    atomic_fetch_sub(&letter->inbox->bytes, size_of(letter->message));
    gnt_message_unref(&letter->message);
    free(letter);
}

static struct letter *first_letter(struct gnt_list *list)
{
    struct gnt_list *link = gnt_list_pop_front(list);
    return link ? GNT_CONTAINER(link, struct letter, link) : NULL;
}

void gnt_inbox_fini(struct gnt_inbox *inbox)
{
    gnt_list_splice_back(&inbox->taken, &inbox->letters);
    for (struct letter *letter; (letter = first_letter(&inbox->taken));)
        letter_free(letter);
    pthread_mutex_destroy(&inbox->mutex);
}

static void on_settled(struct gnt_home *home, struct gnt_work *work)
{
    (void)home;
    letter_free(GNT_CONTAINER(work, struct letter, receipt.settled));
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
    *letter = (struct letter){.message = *message, .inbox = inbox};
    gnt_work_init(&letter->receipt.settled, on_settled);
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

/* The publisher is gone and cannot be told of a failure, so it is counted; see gnt_publish. */
static void publish(struct gnt_inbox *inbox, struct letter *letter)
{
    struct gnt_home *home = inbox->worker->home;
    struct gnt_receipt *receipt = letter->message->qos ? &letter->receipt : NULL;
    enum gnt_outcome outcome = gnt_publish(home, letter->message, receipt);
    if (outcome == GNT_FAILED && receipt)
        gnt_ledger_pass(home, NULL, GNT_COUNT_DROPPED_NO_MEMORY);
    if (outcome != GNT_WITHHELD)
        letter_free(letter);
}

bool gnt_inbox_turn(struct gnt_inbox *inbox)
{
    const struct gnt_loop *loop = &inbox->worker->loop;
    take(inbox);
    /* Where mail is held up, making room for it wakes this worker, and this is called again. */
    for (int i = 0; i < MESSAGES_A_TURN && !gnt_post_backlog(loop->post, loop->address); i++) {
        struct letter *letter = first_letter(&inbox->taken);
        if (!letter)
            return false;
        publish(inbox, letter);
    }
    return !gnt_list_empty(&inbox->taken) && !gnt_post_backlog(loop->post, loop->address);
}
