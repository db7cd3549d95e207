/*
 * store - the durable store beside a plain file, in one run and in turns.
 *
 * Each turn commits batches of --batch messages of --size bytes, spread over --logs logs, for
 * --time seconds: first through the store in --dir, --window batches on their way at a time, then
 * as many bytes a sync as the store's journal wrote, appended to a plain file that was made
 * beforehand, and fdatasync.  What is committed is removed again --keep batches later, as by
 * subscribers that keep up (0: never).  Prints one JSON line for each turn.
 */
#include "store/directory.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WINDOW_MAX = 64 };

static const char *dir = ".";
static unsigned batch_size = 1000, message_size = 100, logs = 1000, window = 1, turns = 3, keep;
static double seconds = 3;

static double now(void)
{
    return (double)gnt_now(&gnt_clock_system) / 1e9;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "store: %s\n", what);
    exit(1);
}

/* The batches on their way; completions come from the store's thread. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct gnt_completion completions[WINDOW_MAX];
    bool busy[WINDOW_MAX];
} road = {.lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};

static void done(struct gnt_completion *c, gnt_err result)
{
    if (result)
        die(gnt_err_text(result));
    pthread_mutex_lock(&road.lock);
    road.busy[c - road.completions] = false;
    pthread_cond_signal(&road.arrived);
    pthread_mutex_unlock(&road.lock);
}

/* A completion that is free, waiting for one. */
static struct gnt_completion *next_completion(void)
{
    unsigned i = 0;
    pthread_mutex_lock(&road.lock);
    for (;;) {
        for (i = 0; i < window && road.busy[i]; i++) {
        }
        if (i < window)
            break;
        pthread_cond_wait(&road.arrived, &road.lock);
    }
    road.busy[i] = true;
    pthread_mutex_unlock(&road.lock);
    road.completions[i] = (struct gnt_completion){.done = done, .deliver = gnt_store_deliver_here};
    return &road.completions[i];
}

static void all_done(void)
{
    pthread_mutex_lock(&road.lock);
    for (unsigned i = 0; i < window; i++)
        while (road.busy[i])
            pthread_cond_wait(&road.arrived, &road.lock);
    pthread_mutex_unlock(&road.lock);
}

static struct gnt_message *message(uint64_t number)
{
    static uint8_t payload[1 << 20];
    struct gnt_message *m = NULL;
    memcpy(payload, &number, sizeof number);
    struct gnt_message_init init = {.topic = gnt_slice_str("sensors/1/temperature"),
                                    .payload = gnt_slice(payload, message_size),
                                    .qos = 1,
                                    .expires = GNT_NEVER};
    if (gnt_message_new(&init, &m))
        die("out of memory");
    return m;
}

static void commit(struct gnt_store *s, uint64_t number)
{
    struct gnt_batch b = {0};
    for (unsigned i = 0; i < batch_size; i++) {
        char name[16];
        uint64_t entry = number * batch_size + i;
        struct gnt_slice log = {(const uint8_t *)name, (size_t)snprintf(name, sizeof name, "q%u",
                                                                        (unsigned)(entry % logs))};
        struct gnt_message *m = message(entry);
        gnt_batch_append(&b, log, entry / logs + 1, gnt_slice_str("\1"), m);
        gnt_message_unref(&m);
        if (keep && number >= keep)
            gnt_batch_remove(&b, log, (entry - (uint64_t)keep * batch_size) / logs + 1);
    }
    gnt_store_commit(s, &b, next_completion());
}

static struct gnt_durable_status status_of(struct gnt_store *s)
{
    struct gnt_durable_status status;
    gnt_durable_status(s, &status);
    return status;
}

/* Batches a second; *bytes: of the journal for each sync. */
static double through_the_store(struct gnt_store *s, uint64_t *next, size_t *bytes)
{
    struct gnt_durable_status before = status_of(s), after;
    uint64_t first = *next;
    double begun = now();
    while (now() < begun + seconds)
        commit(s, (*next)++);
    all_done();
    double took = now() - begun;
    after = status_of(s);
    *bytes = (size_t)((after.bytes - before.bytes) / (after.syncs - before.syncs + 1));
    return (double)(*next - first) / took;
}

/* Appends of SIZE bytes and syncs a second, in a file made beforehand and used again. */
static double through_a_file(size_t size)
{
    enum { FILE_SIZE = 64 << 20 };
    char path[4096];
    uint8_t *bytes = calloc(1, FILE_SIZE);
    snprintf(path, sizeof path, "%s/plain", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || !bytes || pwrite(fd, bytes, FILE_SIZE, 0) != FILE_SIZE || fsync(fd) != 0)
        die("cannot make a plain file");
    double begun = now();
    uint64_t count = 0;
    for (off_t at = 0; now() < begun + seconds; count++, at += (off_t)size) {
        if (at + (off_t)size > FILE_SIZE)
            at = 0;
        if (pwrite(fd, bytes, size, at) != (ssize_t)size || fdatasync(fd) != 0)
            die("cannot write a plain file");
    }
    double took = now() - begun;
    close(fd);
    unlink(path);
    free(bytes);
    return (double)count / took;
}

static void parse(int argc, char **argv)
{
    const struct {
        const char *name;
        unsigned *value;
    } numbers[] = {{"--batch", &batch_size}, {"--size", &message_size}, {"--logs", &logs},
                   {"--window", &window},    {"--turns", &turns},       {"--keep", &keep}};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--dir"))
            dir = argv[i + 1];
        if (!strcmp(argv[i], "--time"))
            seconds = atof(argv[i + 1]);
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
            if (!strcmp(argv[i], numbers[k].name))
                *numbers[k].value = (unsigned)atol(argv[i + 1]);
    }
    if (!batch_size || !logs || !window || window > WINDOW_MAX || message_size < 8 ||
        message_size > 1 << 20)
        die("a number is out of range");
}

int main(int argc, char **argv)
{
    char path[4096];
    struct gnt_directory_report report;
    const struct gnt_durable_options options = {.clock = &gnt_clock_system};
    struct gnt_store *s;
    uint64_t next = 0;
    parse(argc, argv);
    snprintf(path, sizeof path, "%s/store", dir);
    if (gnt_directory_open(path, &options, &report, &s))
        die(report.why);
    for (unsigned i = 0; i < turns; i++) {
        size_t bytes;
        double batches = through_the_store(s, &next, &bytes);
        double plain = through_a_file(bytes) * (double)bytes;
        struct gnt_durable_status status = status_of(s);
        double ratio = batches * (double)status.bytes / (double)next / plain;
        printf("{\"messages_s\": %.0f, \"bytes_a_sync\": %zu, \"plain_syncs_s\": %.0f, "
               "\"ratio\": %.2f, \"applied\": %llu}\n",
               batches * batch_size, bytes, plain / (double)bytes, ratio,
               (unsigned long long)status.applied);
        fflush(stdout);
    }
    gnt_store_close(&s);
    return 0;
}
