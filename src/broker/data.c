#include "broker/data.h"

#include "base/log.h"
#include "core/recover.h"
#include "store/directory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FULL_ADVICE " Make room there, name another directory (--data DIR)," KEEP_NONE
#define KEEP_NONE   " or keep all in memory (--data none)."
#define ADVICE      " Name a directory (--data DIR)," KEEP_NONE

/* What subscribers have acknowledged is written with what comes next, or that much later. */
#define PATIENCE_NS (10 * GNT_NS_PER_MS)

/* How long what takes long has taken, so that it is told about once a second. */
struct patience {
    const char *what;
    uint64_t begun, told;
};

static struct patience begin(const char *what)
{
    uint64_t now = gnt_now(&gnt_clock_system);
    return (struct patience){what, now, now};
}

static bool is_time(struct patience *p)
{
    uint64_t now = gnt_now(&gnt_clock_system);
    if (now - p->told < GNT_NS_PER_S)
        return false;
    p->told = now;
    return true;
}

static uint64_t taken_ms(const struct patience *p)
{
    return (gnt_now(&gnt_clock_system) - p->begun) / GNT_NS_PER_MS;
}

static void on_journal(void *context, const struct gnt_durable_report *so_far)
{
    if (is_time(context))
        gnt_log(GNT_LOG_NOTICE, NULL, "recovering", GNT_F_STR("from", "journal"),
                GNT_F_NUM("records", so_far->journal.records),
                GNT_F_NUM("bytes", so_far->journal.bytes));
}

static void on_table(void *context, const char *what, uint64_t count)
{
    if (is_time(context))
        gnt_log(GNT_LOG_NOTICE, NULL, "recovering", GNT_F_STR("from", what),
                GNT_F_NUM("records", count));
}

static void log_journal(const struct gnt_durable_report *r, uint64_t ms)
{
    const struct gnt_journal_report *j = &r->journal;
    if (j->damaged || r->unreadable)
        gnt_log(GNT_LOG_ERROR, NULL, "data damaged", GNT_F_STR("where", j->where),
                GNT_F_NUM("records", j->damaged + r->unreadable),
                GNT_F_STR("lost", "what these records said"));
    else if (j->cut)
        gnt_log(GNT_LOG_ERROR, NULL, "data damaged", GNT_F_STR("where", j->where),
                GNT_F_STR("lost", "what stood behind the end of this file, if anything"));
    else if (j->torn)
        gnt_log(GNT_LOG_NOTICE, NULL, "data torn", GNT_F_STR("where", j->where),
                GNT_F_STR("lost", "nothing that was acknowledged"));
    gnt_log(GNT_LOG_INFO, NULL, "journal", GNT_F_NUM("records", j->records),
            GNT_F_NUM("bytes", j->bytes), GNT_F_NUM("ms", ms));
}

/* The directories above PATH, as far as they are missing.  What is wrong with them shows when PATH
 * is opened. */
static void make_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)!mkdir(path, 0700);
        *slash = '/';
    }
}

/* VARIABLE is what the environment says, if it is a directory that does not depend on where one
 * stands. */
static bool from_environment(const char *variable, const char **out)
{
    *out = getenv(variable);
    return *out && **out == '/';
}

gnt_err gnt_data_choose(struct gnt_config *config, char *problem, size_t cap)
{
    const char *base, *below = "gnatter";
    if (config->data)
        return GNT_OK;
    if (geteuid() == 0) {
        base = "/var/lib";
    } else if (!from_environment("XDG_STATE_HOME", &base)) {
        below = ".local/state/gnatter";
        if (!from_environment("HOME", &base)) {
            snprintf(problem, cap, "data: neither XDG_STATE_HOME nor HOME says where." ADVICE);
            return GNT_NOTFOUND;
        }
    }
    if (asprintf(&config->data, "%s/%s", base, below) < 0) {
        config->data = NULL;
        snprintf(problem, cap, "%s", gnt_err_text(GNT_NOMEM));
        return GNT_NOMEM;
    }
    make_parents(config->data);
    return GNT_OK;
}

/* What can be done about ERR. */
static const char *advice(gnt_err err)
{
    return err == GNT_MALFORMED ? " See gnatter store check."
           : err == GNT_FULL    ? FULL_ADVICE
                                : ADVICE;
}

/* It was opened, but there is no room to write in it: all that is there is served meanwhile. */
static void log_full(const char *path)
{
    gnt_log(GNT_LOG_ERROR, NULL, "data disk full", GNT_F_STR("data", path),
            GNT_F_STR("todo", "make room there, then it goes on by itself"));
}

gnt_err gnt_data_open(const struct gnt_config *config, char *problem, size_t cap,
                      struct gnt_store **out)
{
    struct gnt_directory_report report;
    struct patience patience = begin("journal");
    const struct gnt_durable_options options = {
        .clock = &gnt_clock_system,
        .sync_interval_ns = config->sync_ms * GNT_NS_PER_MS,
        .patience_ns = PATIENCE_NS,
        .progress = on_journal,
        .context = &patience,
    };
    *out = NULL;
    const char *path = gnt_config_data(config);
    if (!path)
        return GNT_OK;
    gnt_err err = gnt_directory_open(path, &options, &report, out);
    if (err) {
        snprintf(problem, cap, "data: %s.%s", report.why, advice(err));
        return err;
    }
    log_journal(&report.recovery, taken_ms(&patience));
    if (gnt_store_trouble(*out) == GNT_FULL)
        log_full(path);
    return GNT_OK;
}

gnt_err gnt_data_recover(struct gnt_workers *workers, struct gnt_store **store, char *problem,
                         size_t cap)
{
    struct gnt_recovered found;
    struct patience patience = begin("sessions");
    if (!*store)
        return GNT_OK;
    const struct gnt_recovery how = {.store = *store,
                                     .time = gnt_durable_time(*store),
                                     .random = &gnt_random_system,
                                     .progress = on_table,
                                     .context = &patience};
    gnt_err err = gnt_workers_recover(workers, store, &how, &found);
    if (err) {
        snprintf(problem, cap, "data: cannot be read back from data.mdb: %s.%s",
                 err == GNT_FULL ? "no space left on its disk" : gnt_err_text(err),
                 err == GNT_IO ? advice(GNT_MALFORMED) : "");
        return err;
    }
    gnt_log(GNT_LOG_NOTICE, NULL, "recovered", GNT_F_NUM("sessions", found.sessions),
            GNT_F_NUM("subscriptions", found.subscriptions),
            GNT_F_NUM("messages", found.deliveries), GNT_F_NUM("retained", found.retained),
            GNT_F_NUM("damaged", found.damaged), GNT_F_NUM("ms", taken_ms(&patience)));
    return GNT_OK;
}

void gnt_data_loss_window(bool kept, uint64_t sync_ms, char out[GNT_DATA_LOSS_WINDOW_MAX])
{
    const char *words = kept ? "none" : "everything: memory only";
    if (kept && sync_ms)
        snprintf(out, GNT_DATA_LOSS_WINDOW_MAX, "%" PRIu64 " ms", sync_ms);
    else
        snprintf(out, GNT_DATA_LOSS_WINDOW_MAX, "%s", words);
}
