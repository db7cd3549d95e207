#include "broker/broker.h"

#include "base/log.h"
#include "base/rcu.h"
#include "broker/access.h"
#include "broker/data.h"
#include "broker/entities.h"
#include "broker/inbox.h"
#include "broker/listener.h"
#include "broker/seats.h"
#include "broker/sys.h"
#include "broker/workers.h"
#include "model/topic.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct gnt_broker {
    struct gnt_workers *workers;
    struct gnt_listeners listeners;
    struct gnt_seats *seats;
    struct gnt_inbox inbox;
    struct gnt_broker_program program;
    bool stopped;
};

static unsigned worker_count(const struct gnt_config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (config->workers)
        return config->workers;
    return cores < 1 ? 1 : cores > GNT_HOMES_MAX ? GNT_HOMES_MAX : (unsigned)cores;
}

/* The tables of all brokers in this process hang on the one key. */
static void seed_hashes(void)
{
    gnt_hash_seed(&gnt_random_system);
}

/* As gnt_access_read, where it is not the program that says who may do what. */
static gnt_err read_access(const struct gnt_broker *b, const struct gnt_config *config,
                           struct gnt_access **out, char *problem, size_t cap)
{
    if (b->program.ask)
        return gnt_access_asking(b->program.ask, b->program.ask_context, out);
    return gnt_access_read(config, out, problem, cap);
}

static gnt_err fill(struct gnt_broker *b, const struct gnt_config *config, char *problem,
                    size_t cap)
{
    b->listeners.program = b->program.tls;
    gnt_err err = gnt_listeners_open(&b->listeners, config, problem, cap);
    if (err)
        return err;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, seed_hashes);
    err = gnt_workers_new(config, worker_count(config), &gnt_door_system, &b->workers);
    if (!err && b->program.hooks)
        err = gnt_workers_heed(b->workers, config, b->program.hooks);
    if (err)
        return err;
    struct gnt_access *access;
    err = read_access(b, config, &access, problem, cap);
    if (err)
        return err;
    gnt_workers_take_access(b->workers, access);
    gnt_access_unref(&access);
    struct gnt_store *store;
    err = gnt_data_open(config, problem, cap, &store);
    if (!err)
        err = gnt_data_recover(b->workers, &store, problem, cap);
    if (err)
        return err;
    err = gnt_workers_read_users(b->workers, config, problem, cap);
    if (err)
        return err == GNT_NOMEM ? err : GNT_INVALID;
    err = gnt_entities_declare(b->workers, config);
    if (err)
        return err;
    b->inbox.worker = &b->workers->worker[0];
    return gnt_seats_new(b->workers, &b->listeners, &b->inbox, &gnt_seats_usual, &b->seats);
}

gnt_err gnt_broker_new(const struct gnt_config *config, const struct gnt_broker_program *program,
                       struct gnt_broker **out, char *problem, size_t cap)
{
    problem[0] = '\0';
    struct gnt_broker *b = calloc(1, sizeof *b);
    if (b)
        gnt_inbox_init(&b->inbox);
    if (b && program)
        b->program = *program;
    gnt_rcu_register();
    gnt_err err = b ? fill(b, config, problem, cap) : GNT_NOMEM;
    gnt_rcu_unregister();
    if (!err) {
        *out = b;
        return GNT_OK;
    }
    if (problem[0] == '\0')
        snprintf(problem, cap, "cannot start: %s", gnt_err_text(err));
    gnt_broker_free(&b);
    return err;
}

gnt_err gnt_broker_start(struct gnt_broker *b)
{
    if (b->stopped)
        return GNT_STATE;
    b->workers->served = true;
    gnt_err err = gnt_seats_start(b->seats);
    if (err)
        gnt_broker_stop(b);
    return err;
}

void gnt_broker_stop(struct gnt_broker *b)
{
    gnt_inbox_close(&b->inbox);
    if (!b->seats || !gnt_seats_stop(b->seats))
        return;
    b->stopped = true;
    gnt_listeners_shut(&b->listeners);
}

void gnt_broker_free(struct gnt_broker **broker)
{
    struct gnt_broker *b = *broker;
    *broker = NULL;
    if (!b)
        return;
    gnt_broker_stop(b);
    gnt_rcu_register();
    gnt_seats_free(&b->seats);
    gnt_workers_free(&b->workers);
    gnt_inbox_fini(&b->inbox); /* the program may have tried to put something in until then */
    gnt_rcu_unregister();
    gnt_rcu_barrier();
    gnt_listeners_close(&b->listeners);
    free(b);
}

const char *gnt_broker_listener(const struct gnt_broker *b, size_t index)
{
    return index < b->listeners.count ? b->listeners.item[index].url : NULL;
}

unsigned gnt_broker_workers(const struct gnt_broker *b)
{
    return b->workers->count;
}

/* ---- Publishing without a client */

/* What stands in front of a payload besides the topic: fixed header 5, length of the topic 2,
 * packet identifier 2, no properties 1. */
enum { PUBLISH_HEAD = 10 };

/* Whether a PUBLISH with this would have been taken from a client. */
static gnt_err check_message(const struct gnt_mqtt_server_options *limits,
                             const struct gnt_message_init *init)
{
    bool topic_valid = init->topic.size <= limits->topic_max &&
                       gnt_topic_name_valid(init->topic, limits->topic_levels);
    if (!topic_valid || init->qos > 2)
        return GNT_INVALID;
    if (gnt_mqtt_topic_reserved(init->topic))
        return GNT_DENIED;
    size_t head = PUBLISH_HEAD + init->topic.size;
    if (init->extras.size > limits->props_max || head > limits->packet_max ||
        init->payload.size > limits->packet_max - head)
        return GNT_TOOBIG;
    return GNT_OK;
}

gnt_err gnt_broker_publish(struct gnt_broker *b, const struct gnt_message_init *init)
{
    struct gnt_message *message;
    gnt_err err = check_message(&b->workers->mqtt.limits.engine, init);
    if (!err)
        err = gnt_message_new(init, &message);
    if (err)
        return err;
    err = gnt_inbox_put(&b->inbox, &message);
    gnt_message_unref(&message);
    return err;
}

/* ---- Reload */

gnt_err gnt_broker_reload(struct gnt_broker *b, const struct gnt_config *config)
{
    char problem[1024] = "";
    struct gnt_access *access;
    gnt_err err = read_access(b, config, &access, problem, sizeof problem);
    if (err == GNT_INVALID)
        gnt_log(GNT_LOG_ERROR, NULL, "reload-failed", GNT_F_STR("problem", problem),
                GNT_F_STR("settings", "as before"));
    if (err)
        return err;
    err = gnt_workers_reload(b->workers, config);
    if (!err)
        err = gnt_workers_mail_access(b->workers, access);
    gnt_access_unref(&access);
    if (!err && gnt_workers_read_users(b->workers, config, problem, sizeof problem))
        gnt_log(GNT_LOG_ERROR, NULL, "reload-failed", GNT_F_STR("problem", problem),
                GNT_F_STR("users", "as before"));
    if (!err)
        gnt_listeners_reload(&b->listeners, config);
    if (!err)
        err = gnt_entities_declare(b->workers, config);
    return err;
}
