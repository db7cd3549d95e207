#include "broker/workers.h"

#include "auth/access.h"
#include "auth/guess.h"
#include "auth/hasher.h"
#include "auth/users.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/rcu.h"
#include "broker/accounts.h"
#include "broker/limits.h"
#include "broker/sys.h"
#include "core/ledger.h"
#include "core/recover.h"
#include "net/epoll.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Mail between two workers that may be under way: enough for a few turns of a flood. */
enum { RING_SIZE = 4096 };

const struct gnt_door gnt_door_system = {&gnt_clock_system, &gnt_random_system, gnt_epoll_new};

static gnt_err post(void *context, unsigned from, unsigned to, const struct gnt_mail *mail)
{
    return gnt_post_send(context, from, to, mail);
}

/* By the store's thread.  What it has to say must arrive. */
static void report(void *context, unsigned to, const struct gnt_mail *mail)
{
    const struct timespec pause = {.tv_nsec = (long)GNT_NS_PER_MS};
    while (gnt_post_send_outside(context, to, mail))
        nanosleep(&pause, NULL); /* out of memory; a moment may help */
}

static void commit(void *home)
{
    gnt_keep_commit(home);
}

static struct gnt_core_config core_config(const struct gnt_config *c, unsigned homes,
                                          struct gnt_post *posts)
{
    struct gnt_core_config core = gnt_limits_core(c);
    core.homes = homes;
    core.post = post;
    core.report = report;
    core.post_context = posts;
    return core;
}

/* What it takes for clients to log in. */
static gnt_err let_log_in(struct gnt_lobby *l, const struct gnt_config *c)
{
    const struct gnt_guess_limits guessing = gnt_limits_guess(&c->guessing);
    gnt_err err = l->hasher ? GNT_OK : gnt_hasher_new(&l->hasher);
    return err || l->guess ? err : gnt_guess_new(&guessing, &l->guess);
}

static gnt_err fill_shared(struct gnt_workers *w, const struct gnt_config *c,
                           const struct gnt_door *door)
{
    w->mqtt.limits = gnt_limits_mqtt(c);
    w->amqp.limits = gnt_limits_amqp(c);
    gnt_suspended_init(&w->amqp.suspended);
    w->mqtt.lobby = w->amqp.lobby = &w->lobby;
    w->lobby.anonymous = gnt_config_anonymous(c);
    w->lobby.random = w->amqp.random = door->random;
    return gnt_config_users(c) ? let_log_in(&w->lobby, c) : GNT_OK;
}

/* A sleeping worker holds nobody's memory back. */
static void on_sleeping(void *context, bool asleep)
{
    (void)context;
    if (asleep)
        gnt_rcu_offline();
    else
        gnt_rcu_online();
}

static uint64_t deliveries(const void *home)
{
    return gnt_counted(&((const struct gnt_home *)home)->counters, GNT_COUNT_DUE);
}

static uint64_t accounts_interval_ms(const struct gnt_config *c)
{
    return c->sys_ledgers ? c->sys_interval_ms : 0;
}

static void open_mqtt(void *worker, struct gnt_stream *websocket)
{
    gnt_worker_accept(worker, websocket);
}

static void open_amqp(void *worker, struct gnt_stream *websocket)
{
    gnt_worker_accept_amqp(worker, websocket);
}

/* What is where on an HTTP listener.  MQTT 3.1 had a name of its own [IANA's registry]. */
static const char *const mqtt_protocols[] = {"mqtt", "mqttv3.1", NULL};
static const char *const amqp_protocols[] = {"amqp", NULL}; /* [AMQP WebSocket Binding 2.1] */

static const struct gnt_http_path paths[] = {
    {"/mqtt", mqtt_protocols, open_mqtt},
    {"/amqp", amqp_protocols, open_amqp},
    {NULL, NULL, NULL},
};

static gnt_err worker_init(struct gnt_worker *w, struct gnt_workers *all, unsigned index,
                           const struct gnt_door *door, struct gnt_mqtt_front *front,
                           uint64_t accounts_ms)
{
    struct gnt_poller *poller;
    gnt_err err = door->poller(&poller);
    if (err)
        return err;
    err = gnt_loop_init(&w->loop, door->clock, &poller);
    if (err)
        return err;
    w->all = all; /* from here on worker_fini has something to do */
    w->index = index;
    w->home = &all->core->homes[index];
    w->mqtt = front;
    w->loop.sleeping = on_sleeping;
    w->loop.before_mail = commit;
    w->loop.mail_context = w->home;
    w->loop.work = deliveries;
    w->loop.work_context = w->home;
    gnt_http_front_init(&w->http, &w->loop, &w->home->counters, paths, w);
    gnt_post_attach(all->post, index, &w->loop);
    err = gnt_home_attach(w->home, &w->loop.now, &w->loop.timers);
    if (!err)
        err = gnt_mqtt_front_init(front, &all->mqtt, &w->loop, w->home);
    if (!err)
        err = gnt_amqp_front_init(&w->amqp, &all->amqp, &w->loop, w->home);
    if (!err)
        err = gnt_porch_init(&w->porch, &w->loop, &w->home->counters, &front->limits);
    return err ? err : gnt_accounts_new(w, accounts_ms, &w->accounts);
}

static void worker_fini(struct gnt_worker *w)
{
    if (w->all)
        gnt_loop_fini(&w->loop);
}

static gnt_err fill(struct gnt_workers *w, const struct gnt_config *config,
                    const struct gnt_door *door)
{
    gnt_err err = gnt_post_new(w->count, RING_SIZE, &w->post);
    if (err)
        return err;
    struct gnt_core_config core = core_config(config, w->count, w->post);
    uint64_t now_ms = gnt_now(door->clock) / GNT_NS_PER_MS;
    core.calendar_ms = (int64_t)(gnt_wall_ms(door->clock) - now_ms);
    err = gnt_core_new(&core, &w->core);
    if (err)
        return err;
    err = fill_shared(w, config, door);
    if (err)
        return err;
    w->worker = calloc(w->count, sizeof *w->worker);
    w->mqtt.fronts = calloc(w->count, sizeof *w->mqtt.fronts);
    if (!w->worker || !w->mqtt.fronts)
        return GNT_NOMEM;
    for (unsigned i = 0; i < w->count && !err; i++)
        err = worker_init(&w->worker[i], w, i, door, &w->mqtt.fronts[i],
                          accounts_interval_ms(config));
    return err ? err : gnt_sys_new(&w->worker[0], config, &w->sys);
}

gnt_err gnt_workers_new(const struct gnt_config *config, unsigned count,
                        const struct gnt_door *door, struct gnt_workers **out)
{
    struct gnt_workers *w = calloc(1, sizeof *w);
    if (!w)
        return GNT_NOMEM;
    w->count = count;
    gnt_err err = fill(w, config, door);
    if (err)
        gnt_workers_free(&w);
    else
        *out = w;
    return err;
}

gnt_err gnt_workers_heed(struct gnt_workers *w, const struct gnt_config *config,
                         const struct gnt_hooks *hooks)
{
    w->lobby.hooks = hooks;
    return hooks->login ? let_log_in(&w->lobby, config) : GNT_OK;
}

gnt_err gnt_workers_recover(struct gnt_workers *w, struct gnt_store **store,
                            const struct gnt_recovery *how, struct gnt_recovered *recovered)
{
    w->store = *store;
    *store = NULL;
    w->store_run = how->run;
    w->store_context = how->context;
    return gnt_core_recover(w->core, how, recovered);
}

/* ---- Reload */

/* Shared by the mails to all workers; the last one frees it. */
struct reload {
    _Atomic unsigned refs;
    struct gnt_core_config core;
    struct gnt_mqtt_limits mqtt;
    struct gnt_amqp_limits amqp;
    uint64_t sys_interval_ms;
    uint64_t accounts_interval_ms;
};

static void reload_unref(struct reload *r)
{
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1)
        free(r);
}

static void on_reload(const struct gnt_mail *mail)
{
    struct gnt_worker *worker = mail->to;
    struct reload *r = mail->object;
    gnt_home_configure(worker->home, &r->core);
    gnt_mqtt_front_configure(worker->mqtt, &r->mqtt);
    gnt_amqp_front_configure(&worker->amqp, &r->amqp);
    if (worker->index == 0)
        gnt_sys_set_interval(worker->all->sys, r->sys_interval_ms);
    gnt_accounts_set_interval(worker->accounts, r->accounts_interval_ms);
    reload_unref(r);
}

gnt_err gnt_workers_reload(struct gnt_workers *w, const struct gnt_config *config)
{
    struct reload *r = malloc(sizeof *r);
    if (!r)
        return GNT_NOMEM;
    *r = (struct reload){.refs = w->count,
                         .core = core_config(config, w->count, w->post),
                         .mqtt = gnt_limits_mqtt(config),
                         .amqp = gnt_limits_amqp(config),
                         .sys_interval_ms = config->sys_interval_ms,
                         .accounts_interval_ms = accounts_interval_ms(config)};
    if (w->lobby.guess) {
        const struct gnt_guess_limits guessing = gnt_limits_guess(&config->guessing);
        gnt_guess_limit(w->lobby.guess, &guessing);
    }
    gnt_err result = GNT_OK;
    for (unsigned i = 0; i < w->count; i++) {
        const struct gnt_mail mail = {.run = on_reload, .to = &w->worker[i], .object = r};
        gnt_err err = gnt_post_send_outside(w->post, i, &mail);
        if (err) {
            reload_unref(r);
            result = err;
        }
    }
    return result;
}

/* ---- The access list */

void gnt_workers_take_access(struct gnt_workers *w, struct gnt_access *access)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct gnt_access *one = gnt_access_ref(access);
        gnt_home_take_access(w->worker[i].home, &one);
    }
}

static void on_access(const struct gnt_mail *mail)
{
    struct gnt_worker *worker = mail->to;
    struct gnt_access *access = mail->object;
    gnt_home_take_access(worker->home, &access);
    gnt_amqp_front_review(&worker->amqp);
}

gnt_err gnt_workers_mail_access(struct gnt_workers *w, struct gnt_access *access)
{
    gnt_err result = GNT_OK;
    for (unsigned i = 0; i < w->count; i++) {
        struct gnt_access *one = gnt_access_ref(access);
        const struct gnt_mail mail = {.run = on_access, .to = &w->worker[i], .object = one};
        gnt_err err = gnt_post_send_outside(w->post, i, &mail);
        if (err) {
            gnt_access_unref(&one);
            result = err;
        }
    }
    return result;
}

/* ---- Users */

static void on_bad_line(void *context, const char *file, unsigned line, const char *why)
{
    (void)context;
    if (line)
        gnt_log(GNT_LOG_WARNING, NULL, "users", GNT_F_STR("file", file), GNT_F_NUM("line", line),
                GNT_F_STR("problem", why));
    else /* of the whole file */
        gnt_log(GNT_LOG_WARNING, NULL, "users", GNT_F_STR("file", file), GNT_F_STR("problem", why));
}

static void take_users(struct gnt_worker *worker, struct gnt_users *users)
{
    struct gnt_users *one = gnt_users_ref(users), *other = gnt_users_ref(users);
    gnt_mqtt_front_take_users(worker->mqtt, &one);
    gnt_amqp_front_take_users(&worker->amqp, &other);
}

static void on_users(const struct gnt_mail *mail)
{
    struct gnt_worker *worker = mail->to;
    struct gnt_users *users = mail->object;
    take_users(worker, users);
    gnt_users_unref(&users);
}

/* Before the workers run: what has come for them by mail may be read behind the first connection
 * that another worker has sent, and nobody may be let in without a look at the users. */
static void put_in_place(struct gnt_workers *w, struct gnt_users *users)
{
    for (unsigned i = 0; i < w->count; i++)
        take_users(&w->worker[i], users);
}

/* A reference for each worker.  On failure some may have got it. */
static gnt_err hand_out(struct gnt_workers *w, struct gnt_users *users)
{
    gnt_err result = GNT_OK;
    for (unsigned i = 0; i < w->count; i++) {
        struct gnt_users *one = gnt_users_ref(users);
        const struct gnt_mail mail = {.run = on_users, .to = &w->worker[i], .object = one};
        gnt_err err = gnt_post_send_outside(w->post, i, &mail);
        if (err) {
            gnt_users_unref(&one);
            result = err;
        }
    }
    return result;
}

gnt_err gnt_workers_read_users(struct gnt_workers *w, const struct gnt_config *config,
                               char *problem, size_t cap)
{
    struct gnt_users *users = NULL;
    const char *file = gnt_config_users(config);
    if (!file || !w->lobby.hasher)
        return GNT_OK;
    gnt_err err = gnt_users_load(file, w->users, w->lobby.random, on_bad_line, NULL, &users);
    if (err == GNT_MALFORMED)
        snprintf(problem, cap, "users: %s: no line of it is a user's; gnatter passwd writes them",
                 file);
    else if (err)
        snprintf(problem, cap, "users: %s: %s", file,
                 err == GNT_NOMEM ? gnt_err_text(err) : strerror(errno));
    if (!err && !w->users)
        put_in_place(w, users);
    else if (!err)
        err = hand_out(w, users);
    if (!err) {
        gnt_log(GNT_LOG_INFO, NULL, "users", GNT_F_STR("file", file),
                GNT_F_NUM("count", gnt_users_count(users)));
        gnt_users_unref(&w->users);
        w->users = users;
    } else {
        gnt_users_unref(&users);
    }
    return err;
}

/* ---- The end */

/* Mail that is still under way holds messages and connections: it is delivered, so that everything
 * is where it can be freed.  Mail makes mail, but not for long: nobody publishes any more. */
static void deliver_mail(struct gnt_workers *w)
{
    size_t taken;
    do {
        taken = 0;
        for (unsigned i = 0; i < w->count; i++) {
            gnt_keep_commit(&w->core->homes[i]); /* before its mail, as ever */
            gnt_post_flush(w->post, i);
        }
        for (unsigned i = 0; i < w->count; i++)
            taken += gnt_post_receive(w->post, i);
    } while (taken);
}

/* The last thing that a broker does is to add up what it was given: what is missing then was lost
 * in silence, which is a mistake of ours. */
static void check_ledger(const struct gnt_workers *w)
{
    struct gnt_audit audit;
    bool right = gnt_core_audit(w->core, &audit);
    uint64_t dropped = 0;
    for (int row = GNT_LEDGER_DROPPED; row <= GNT_LEDGER_LAST; row++)
        dropped += gnt_ledger_row(&audit.sum, (enum gnt_counter)row);
    if (right && !w->served)
        return; /* who could not start has to say why, and nothing else */
    gnt_log(right ? GNT_LOG_INFO : GNT_LOG_ERROR, NULL, "ledger",
            GNT_F_NUM("received", gnt_ledger_row(&audit.sum, GNT_COUNT_DUE)),
            GNT_F_NUM("delivered", gnt_ledger_row(&audit.sum, GNT_COUNT_DELIVERED)),
            GNT_F_NUM("expired", gnt_ledger_row(&audit.sum, GNT_COUNT_EXPIRED)),
            GNT_F_NUM("dropped", dropped), GNT_F_NUM("queued", audit.queued),
            GNT_F_NUM("found", audit.kept), GNT_F_NUM("wrong", audit.wrong));
    GNT_ASSERT(right);
}

static bool is_safe(const struct gnt_workers *w)
{
    for (unsigned i = 0; i < w->count; i++)
        if (gnt_keep_pending(&w->core->homes[i]))
            return false;
    return true;
}

static void give_up(struct gnt_workers *w)
{
    for (unsigned i = 0; w->core && i < w->count; i++)
        gnt_keep_give_up(&w->core->homes[i]);
}

/* What has been written until now is committed, and waited for; a store that cannot write is closed
 * after a while, which ends the waiting. */
static void settle_store(struct gnt_workers *w)
{
    enum { PATIENCE_MS = 5000 };
    const struct timespec pause = {.tv_nsec = (long)GNT_NS_PER_MS};
    for (unsigned waited_ms = 0; w->store && !is_safe(w); waited_ms++) {
        for (unsigned i = 0; i < w->count; i++)
            gnt_keep_commit(&w->core->homes[i]);
        if (w->store_run)
            w->store_run(w->store_context);
        else
            nanosleep(&pause, NULL);
        if (waited_ms == PATIENCE_MS) {
            give_up(w);
            gnt_store_close(&w->store);
        }
        deliver_mail(w);
    }
}

/* The opposite: what is not safe yet will never be, and nobody is told. */
static void forget_store(struct gnt_workers *w)
{
    gnt_store_close(&w->store);
    deliver_mail(w);
}

static void free_workers(struct gnt_workers *w, void (*leave_store)(struct gnt_workers *w))
{
    bool complete = w->sys != NULL;
    gnt_hasher_free(&w->lobby.hasher); /* what it has not looked at comes back by mail */
    if (complete)
        deliver_mail(w);
    gnt_sys_free(&w->sys);
    for (unsigned i = 0; w->worker && i < w->count; i++)
        gnt_accounts_free(&w->worker[i].accounts);
    for (unsigned i = 0; w->worker && i < w->count; i++)
        if (w->worker[i].mqtt && w->worker[i].mqtt->shared)
            gnt_mqtt_front_fini(w->worker[i].mqtt);
    for (unsigned i = 0; w->worker && i < w->count; i++)
        gnt_amqp_front_fini(&w->worker[i].amqp);
    for (unsigned i = 0; w->worker && i < w->count; i++)
        if (w->worker[i].all) {
            gnt_porch_fini(&w->worker[i].porch);
            gnt_http_front_fini(&w->worker[i].http);
        }
    if (complete) {
        deliver_mail(w);
        leave_store(w);
        check_ledger(w);
    }
    gnt_core_free(&w->core);
    gnt_store_close(&w->store);
    for (unsigned i = 0; w->worker && i < w->count; i++)
        worker_fini(&w->worker[i]);
    gnt_post_free(&w->post);
    gnt_guess_free(&w->lobby.guess);
    gnt_users_unref(&w->users);
    free(w->mqtt.fronts);
    free(w->worker);
    free(w);
}

void gnt_workers_free(struct gnt_workers **w)
{
    if (*w)
        free_workers(*w, settle_store);
    *w = NULL;
}

void gnt_workers_abandon(struct gnt_workers **w)
{
    if (*w) {
        give_up(*w);
        free_workers(*w, forget_store);
    }
    *w = NULL;
}

static bool begin_turn(struct gnt_worker *worker)
{
    bool more = gnt_mqtt_front_turn(worker->mqtt);
    return gnt_amqp_front_turn(&worker->amqp) || more;
}

bool gnt_worker_has_more(const struct gnt_worker *worker)
{
    return gnt_mqtt_front_has_more(worker->mqtt) || gnt_amqp_front_has_more(&worker->amqp);
}

void gnt_worker_turn(struct gnt_worker *worker, uint64_t max_wait_ns)
{
    bool more = begin_turn(worker);
    gnt_list_each (link, &worker->loop.guests)
        more |= begin_turn(GNT_CONTAINER(link, struct gnt_worker, loop.guest));
    gnt_loop_turn(&worker->loop, more ? 0 : max_wait_ns);
    gnt_rcu_quiescent();
}

bool gnt_worker_turns_away(struct gnt_worker *worker, struct gnt_stream **stream)
{
    const struct gnt_visitor visitor = {.lobby = &worker->all->lobby,
                                        .loop = &worker->loop,
                                        .counters = &worker->home->counters,
                                        .stream = *stream};
    return gnt_lobby_turns_away(&visitor, stream);
}

void gnt_worker_accept(struct gnt_worker *worker, struct gnt_stream *stream)
{
    if (!gnt_worker_turns_away(worker, &stream))
        gnt_mqtt_front_accept(worker->mqtt, stream);
}

void gnt_worker_accept_amqp(struct gnt_worker *worker, struct gnt_stream *stream)
{
    struct gnt_tls_context *none = NULL;
    gnt_worker_offer_tls(worker, stream, &none);
}

void gnt_worker_offer_tls(struct gnt_worker *worker, struct gnt_stream *stream,
                          struct gnt_tls_context **tls)
{
    if (gnt_worker_turns_away(worker, &stream))
        gnt_tls_context_unref(tls);
    else
        gnt_amqp_front_accept(&worker->amqp, stream, tls);
}

void gnt_worker_accept_http(struct gnt_worker *worker, struct gnt_stream *stream,
                            const struct gnt_http_origins *origins)
{
    if (!gnt_worker_turns_away(worker, &stream))
        gnt_http_front_accept(&worker->http, stream, origins);
}

void gnt_worker_stop(struct gnt_worker *worker)
{
    gnt_porch_stop(&worker->porch);
    gnt_http_front_stop(&worker->http);
    gnt_mqtt_front_stop(worker->mqtt);
    gnt_amqp_front_stop(&worker->amqp);
}

bool gnt_worker_idle(const struct gnt_worker *worker)
{
    return gnt_mqtt_front_idle(worker->mqtt) && gnt_amqp_front_idle(&worker->amqp) &&
           gnt_http_front_idle(&worker->http);
}
