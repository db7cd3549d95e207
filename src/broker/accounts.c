#include "broker/accounts.h"

#include "base/assert.h"
#include "broker/workers.h"
#include "core/ledger.h"
#include "core/publish.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ACCOUNTS_A_TURN at a time, so that nobody waits for it however many sessions there are. */
enum { ACCOUNTS_A_TURN = 64, INTERVALS_TO_LIVE = 3 };

struct gnt_accounts {
    struct gnt_worker *worker;
    struct gnt_timer timer;
    uint64_t interval_ms;
    uint64_t round_began;
    uint32_t at; /* in the home's slots */
    struct gnt_buf topic, text;
};

/* One level of a topic name. */
static gnt_err put_name(struct gnt_buf *topic, struct gnt_slice name)
{
    gnt_err err = GNT_OK;
    for (size_t i = 0; i < name.size && !err; i++) {
        char hex[4];
        bool plain = name.data[i] != '/' && name.data[i] != '+' && name.data[i] != '#' &&
                     name.data[i] != '%';
        snprintf(hex, sizeof hex, "%%%02X", name.data[i]);
        err = gnt_buf_put(topic, plain ? gnt_slice(&name.data[i], 1) : gnt_slice_str(hex));
    }
    return err;
}

static gnt_err put_text(struct gnt_buf *out, const char *text)
{
    return gnt_buf_put(out, gnt_slice_str(text));
}

static gnt_err put_topic(struct gnt_buf *topic, const struct gnt_account *a)
{
    bool group = a->group.size;
    struct gnt_slice name = group ? a->group : a->queue.size ? a->queue : a->client_id;
    const char *kind = group ? "group/" : a->queue.size ? "queue/" : "session/";
    gnt_err err = put_text(topic, "$SYS/broker/ledger/");
    if (!err)
        err = put_text(topic, kind);
    if (!err)
        err = put_name(topic, name);
    if (!err && group)
        err = put_text(topic, "/");
    return err || !group ? err : put_name(topic, a->filter);
}

static const char *row_name(int row)
{
    return strrchr(gnt_counter_topic((enum gnt_counter)row), '/') + 1;
}

/* Writes "NAME":N with what separates it from the one before; nothing for 0. */
static gnt_err put_row(struct gnt_buf *text, const char **before, const char *name, uint64_t n)
{
    if (n == 0)
        return GNT_OK;
    char row[64];
    snprintf(row, sizeof row, "%s\"%s\":%" PRIu64, *before, name, n);
    *before = ",";
    return put_text(text, row);
}

static gnt_err put_json(struct gnt_buf *text, const struct gnt_account *a)
{
    const char *before = "{";
    gnt_err err = GNT_OK;
    for (int row = GNT_LEDGER_FIRST; row < GNT_LEDGER_DROPPED && !err; row++)
        err =
            put_row(text, &before, row_name(row), gnt_ledger_row(a->ledger, (enum gnt_counter)row));
    if (!err)
        err = put_row(text, &before, "queued", a->queued);
    const char *first_drop = ",\"dropped\":{";
    before = first_drop;
    for (int row = GNT_LEDGER_DROPPED; row <= GNT_LEDGER_LAST && !err; row++)
        err =
            put_row(text, &before, row_name(row), gnt_ledger_row(a->ledger, (enum gnt_counter)row));
    return err ? err : put_text(text, before == first_drop ? "}" : "}}");
}

/* What cannot be told for lack of memory is told the next time. */
static void tell(struct gnt_accounts *accounts, const struct gnt_account *a)
{
    gnt_buf_clear(&accounts->topic);
    gnt_buf_clear(&accounts->text);
    if (put_topic(&accounts->topic, a) || put_json(&accounts->text, a))
        return;
    struct gnt_home *home = accounts->worker->home;
    uint64_t lives = INTERVALS_TO_LIVE * accounts->interval_ms * GNT_NS_PER_MS;
    const struct gnt_message_init init = {.topic = gnt_buf_slice(&accounts->topic),
                                          .payload = gnt_buf_slice(&accounts->text),
                                          .retain = true,
                                          .expires = gnt_deadline(*home->now, lives)};
    struct gnt_message *message;
    if (init.topic.size > UINT16_MAX || gnt_message_new(&init, &message))
        return;
    (void)!gnt_publish(home, message, NULL);
    gnt_message_unref(&message);
}

/* False: that were all. */
static bool tell_some(struct gnt_accounts *accounts)
{
    struct gnt_account a;
    for (int i = 0; i < ACCOUNTS_A_TURN; i++) {
        if (!gnt_account_next(accounts->worker->home, &accounts->at, &a))
            return false;
        if (a.ledger && gnt_ledger_row(a.ledger, GNT_COUNT_DUE))
            tell(accounts, &a);
    }
    return true;
}

static void set_timer(struct gnt_accounts *accounts, uint64_t due)
{
    gnt_err err = gnt_loop_set_timer(&accounts->worker->loop, &accounts->timer,
                                     accounts->interval_ms ? due : GNT_FAR);
    GNT_ASSERT(err == GNT_OK); /* it is always set, so that moving it needs no memory */
}

static void on_timer(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_accounts *accounts = GNT_CONTAINER(timer, struct gnt_accounts, timer);
    set_timer(accounts, now); /* first of all, while there is surely room for it */
    if (accounts->at == 0)
        accounts->round_began = now;
    if (tell_some(accounts))
        return;
    accounts->at = 0;
    set_timer(accounts, gnt_deadline(accounts->round_began, accounts->interval_ms * GNT_NS_PER_MS));
}

gnt_err gnt_accounts_new(struct gnt_worker *worker, uint64_t interval_ms, struct gnt_accounts **out)
{
    struct gnt_accounts *accounts = calloc(1, sizeof *accounts);
    if (!accounts)
        return GNT_NOMEM;
    accounts->worker = worker;
    accounts->interval_ms = interval_ms;
    accounts->timer.fire = on_timer;
    uint64_t due = interval_ms ? worker->loop.now : GNT_FAR;
    gnt_err err = gnt_loop_set_timer(&worker->loop, &accounts->timer, due);
    if (err)
        free(accounts);
    else
        *out = accounts;
    return err;
}

void gnt_accounts_free(struct gnt_accounts **accounts)
{
    struct gnt_accounts *a = *accounts;
    *accounts = NULL;
    if (!a)
        return;
    gnt_timer_cancel(&a->worker->loop.timers, &a->timer);
    gnt_buf_fini(&a->topic);
    gnt_buf_fini(&a->text);
    free(a);
}

void gnt_accounts_set_interval(struct gnt_accounts *accounts, uint64_t interval_ms)
{
    accounts->interval_ms = interval_ms;
    set_timer(accounts, accounts->worker->loop.now);
}
