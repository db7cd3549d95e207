#include "support/script_client.h"

#include "core/recover.h"
#include "store/memory.h"
#include "support/mqtt_packet.h"

#include <stdarg.h>

enum {
    NOTATION_MAX = 8192,
    CAPACITY = 256 * 1024,
    INPUT_MAX = 1024 * 1024,
    ROUNDS_MAX = 100000,
    ROUND_NS = 1000
};

/* ---- The world behind the door */

static uint64_t script_now(void *self)
{
    return ((struct script *)self)->now;
}

static uint64_t script_wall(void *self)
{
    return ((struct script *)self)->now / GNT_NS_PER_MS;
}

static void no_wait(struct gnt_poller *p, uint64_t timeout_ns)
{
    (void)p, (void)timeout_ns;
}

static void no_wake(struct gnt_poller *p)
{
    (void)p;
}

static void poller_free(struct gnt_poller *p)
{
    (void)p;
}

static gnt_err poller_new(struct gnt_poller **out)
{
    static struct gnt_poller poller = {.wait = no_wait, .wake = no_wake, .free = poller_free};
    *out = &poller;
    return GNT_OK;
}

void script_set(struct script *s, const char *setting)
{
    char path[64];
    const char *equals = strchr(setting, '=');
    GNT_ASSERT(equals && (size_t)(equals - setting) < sizeof path);
    memcpy(path, setting, (size_t)(equals - setting));
    path[equals - setting] = '\0';
    const struct gnt_option *row = gnt_option_find(&gnt_config_table, path);
    GNT_ASSERT(row != NULL);
    struct gnt_why why;
    gnt_err err = gnt_option_set(row, &s->config, gnt_slice_str(equals + 1), &why);
    GNT_ASSERT(!err);
}

static void prepare(struct script *s)
{
    *s = (struct script){.now = 100 * GNT_NS_PER_S, .capacity = CAPACITY, .input_max = INPUT_MAX};
    s->clock = (struct gnt_clock){script_now, script_wall, s};
    gnt_seeded_init(&s->random, 1);
    gnt_err err = gnt_config_init(&s->config);
    GNT_ASSERT(!err);
    script_set(s, "sys_interval=0s");
    gnt_rcu_register();
    gnt_log_configure(GNT_LOG_ERROR, GNT_LOG_TEXT);
}

struct gnt_door script_door(struct script *s)
{
    return (struct gnt_door){&s->clock, &s->random.door, poller_new};
}

void script_init(struct script *s, unsigned workers, ...)
{
    prepare(s);
    va_list settings;
    va_start(settings, workers);
    for (const char *one; (one = va_arg(settings, const char *));)
        script_set(s, one);
    va_end(settings);
    const struct gnt_door door = script_door(s);
    gnt_err err = gnt_workers_new(&s->config, workers, &door, &s->workers);
    GNT_ASSERT(!err);
}

static void run_store(void *context)
{
    gnt_store_memory_run(((struct script *)context)->store);
}

void script_keep(struct script *s)
{
    const struct gnt_store_memory_options options = {.delayed = true};
    gnt_err err = gnt_store_memory_open(&options, &s->store);
    GNT_ASSERT(!err);
    gnt_store_time_init(&s->time, &s->clock, 0, 0);
    const struct gnt_recovery how = {.store = s->store,
                                     .time = &s->time,
                                     .random = &s->random.door,
                                     .run = run_store,
                                     .context = s};
    struct gnt_recovered recovered;
    struct gnt_store *given = s->store;
    err = gnt_workers_recover(s->workers, &given, &how, &recovered);
    GNT_ASSERT(!err);
}

void script_store(struct script *s)
{
    script_settle(s); /* so that it has been asked */
    gnt_store_memory_run(s->store);
    script_settle(s);
}

void script_store_step(struct script *s)
{
    script_settle(s);
    bool stepped = gnt_store_memory_step(s->store);
    GNT_ASSERT(stepped);
    script_settle(s);
}

void script_fini(struct script *s)
{
    s->store_waits = false;
    script_settle(s);
    for (size_t i = 0; i < s->count; i++) {
        struct script_client *c = &s->client[i];
        if (c->stream && !c->careless)
            script_expect_silence(c);
        script_close(c);
        free(c->in);
    }
    script_settle(s);
    gnt_workers_free(&s->workers);
    gnt_config_fini(&s->config);
    gnt_rcu_unregister();
    if (!s->hasty)
        gnt_rcu_barrier();
}

/* ---- Time */

static bool busy(const struct gnt_worker *w, uint64_t now)
{
    const struct gnt_loop *loop = &w->loop;
    bool idle = gnt_list_empty(&loop->ready) && gnt_list_empty(&loop->tasks) &&
                !gnt_worker_has_more(w) && gnt_timers_next(&loop->timers) > now + ROUND_NS;
    if (idle && gnt_post_may_sleep(loop->post, loop->address)) {
        gnt_post_woke(loop->post, loop->address);
        return false;
    }
    return true;
}

void script_turn(struct script *s, unsigned worker)
{
    gnt_worker_turn(&s->workers->worker[worker], 0);
}

void script_settle(struct script *s)
{
    bool any = true;
    for (int rounds = 0; any; rounds++) {
        GNT_ASSERT(rounds < ROUNDS_MAX);
        any = false;
        s->now += ROUND_NS;
        for (unsigned i = 0; i < s->workers->count; i++)
            script_turn(s, i);
        for (size_t i = 0; i < s->count; i++)
            script_read(&s->client[i]);
        if (s->store && !s->store_waits)
            any |= gnt_store_memory_run(s->store) > 0;
        for (unsigned i = 0; i < s->workers->count; i++)
            any |= busy(&s->workers->worker[i], s->now);
    }
}

void script_pass(struct script *s, uint64_t ms)
{
    enum { STEP_MS = 100 };
    for (uint64_t end = s->now + ms * GNT_NS_PER_MS; s->now < end;) {
        uint64_t left = end - s->now, step = STEP_MS * GNT_NS_PER_MS;
        s->now += left < step ? left : step;
        script_settle(s);
    }
}

int64_t script_counted(const struct script *s, enum gnt_counter which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->workers->count; i++)
        sum += gnt_counted(&s->workers->core->homes[i].counters, which);
    return (int64_t)sum;
}

const char *script_id_at(const struct script *s, unsigned home, unsigned number, char id[16])
{
    for (unsigned i = 0;; i++) {
        snprintf(id, 16, "h%u-%u-%u", home % 100, number % 1000, i % 100000);
        if (gnt_home_of(s->workers->core->homes, gnt_slice_str(id)) == home)
            return id;
    }
}

/* ---- Failing */

static void tell_bytes(const char *what, const uint8_t *bytes, size_t size)
{
    enum { SHOWN = 200 };
    fprintf(stderr, "  %s (%zu bytes):", what, size);
    for (size_t i = 0; i < size && i < SHOWN; i++)
        fprintf(stderr, " %02x", bytes[i]);
    fprintf(stderr, "%s\n  ", size > SHOWN ? " ..." : "");
    for (size_t i = 0; i < size && i < SHOWN; i++)
        fputc(bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.', stderr);
    fputc('\n', stderr);
}

__attribute__((noreturn)) static void failed(const struct script_client *c, const char *file,
                                             int line, const char *what,
                                             const struct gnt_test_notation *expected)
{
    fprintf(stderr, "%s:%d: client %d: %s\n", file, line, (int)(c - c->script->client), what);
    if (expected)
        tell_bytes("expected", expected->bytes, expected->size);
    tell_bytes("has got", c->in, c->in_size);
    fprintf(stderr, "  %s\n", c->ended ? "and the end" : "and no end");
    abort();
}

/* ---- Clients */

struct script_client *script_open(struct script *s, unsigned worker)
{
    GNT_ASSERT(s->count < SCRIPT_CLIENTS_MAX);
    struct script_client *c = &s->client[s->count++];
    struct gnt_worker *w = &s->workers->worker[worker];
    struct gnt_stream *theirs;
    *c = (struct script_client){.script = s, .in = malloc(s->input_max), .in_max = s->input_max};
    gnt_err err = gnt_pair_new(NULL, &w->loop, s->capacity, &c->stream, &theirs);
    GNT_ASSERT(!err && c->in);
    gnt_pair_come_from(theirs, &s->from);
    if (s->amqp)
        gnt_worker_accept_amqp(w, theirs);
    else
        gnt_worker_accept(w, theirs);
    return c;
}

void script_read(struct script_client *c)
{
    gnt_err err = GNT_OK;
    while (c->stream && !c->deaf && !c->ended && !err) {
        size_t n;
        GNT_ASSERT(c->in_size < c->in_max);
        err = gnt_stream_read(c->stream, c->in + c->in_size, c->in_max - c->in_size, &n);
        c->in_size += n;
    }
    if (err && err != GNT_MORE)
        c->ended = true;
}

void script_skip(struct script_client *c)
{
    c->in_size = 0;
}

void script_close(struct script_client *c)
{
    gnt_stream_close(&c->stream);
}

void script_send_bytes(struct script_client *c, struct gnt_slice bytes)
{
    while (bytes.size) {
        size_t n;
        const struct iovec piece = {(void *)(uintptr_t)bytes.data, bytes.size};
        gnt_err err = gnt_stream_writev(c->stream, &piece, 1, &n);
        if (err && err != GNT_MORE)
            return; /* the broker has closed; what it said is for the test to look at */
        bytes = gnt_slice_skip(bytes, n);
        if (bytes.size)
            script_settle(c->script);
    }
}

/* Packet by packet: a remaining length reaches to the semicolon. */
static struct gnt_test_notation parse(const char *notation)
{
    char text[NOTATION_MAX];
    int size = snprintf(text, sizeof text, "%s", notation);
    GNT_ASSERT(size >= 0 && (size_t)size < sizeof text);
    struct gnt_test_notation all;
    all.size = 0;
    char *rest = text;
    for (char *packet; (packet = strsep(&rest, ";"));) {
        struct gnt_test_notation one;
        one.at = packet;
        one.size = 0;
        gnt_test_parse(&one, '\0');
        gnt_test_prefix(&all, all.size, one.bytes, one.size);
    }
    return all;
}

struct gnt_slice script_bytes(const char *notation)
{
    const struct gnt_test_notation n = parse(notation);
    return gnt_test_copy(gnt_slice(n.bytes, n.size), n.size);
}

void script_send(struct script_client *c, const char *notation)
{
    const struct gnt_test_notation n = parse(notation);
    script_send_bytes(c, gnt_slice(n.bytes, n.size));
}

void script_sendf(struct script_client *c, const char *format, ...)
{
    char text[NOTATION_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    GNT_ASSERT(size >= 0 && (size_t)size < sizeof text);
    script_send(c, text);
}

void script_expect_at(struct script_client *c, const char *notation, const char *file, int line)
{
    const struct gnt_test_notation n = parse(notation);
    script_settle(c->script);
    script_read(c);
    if (c->in_size < n.size || memcmp(c->in, n.bytes, n.size) != 0)
        failed(c, file, line, notation, &n);
    c->in_size -= n.size;
    memmove(c->in, c->in + n.size, c->in_size);
}

void script_expectf(struct script_client *c, const char *format, ...)
{
    char text[NOTATION_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    GNT_ASSERT(size >= 0 && (size_t)size < sizeof text);
    script_expect(c, text);
}

void script_expect_silence_at(struct script_client *c, const char *file, int line)
{
    script_settle(c->script);
    script_read(c);
    if (c->in_size || c->ended)
        failed(c, file, line, "silence was expected", NULL);
}

void script_expect_close_at(struct script_client *c, const char *file, int line)
{
    script_settle(c->script);
    script_read(c);
    if (c->in_size || !c->ended)
        failed(c, file, line, "a close was expected", NULL);
    script_close(c);
    script_settle(c->script);
}

struct script_client *script_connect_at(struct script *s, unsigned worker, const char *connect,
                                        const char *connack, const char *file, int line)
{
    struct script_client *c = script_open(s, worker);
    script_send(c, connect);
    script_expect_at(c, connack, file, line);
    return c;
}
