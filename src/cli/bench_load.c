#include "cli/bench_load.h"

#include "cli/bench_client.h"
#include "base/random.h"
#include "net/epoll.h"
#include "net/tls.h"
#include "net/websocket.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_SIZE = 64 * 1024,
    PENDING_MAX = 64,    /* connections that are being made at a time */
    BURST_MESSAGES = 64, /* of one publisher in one turn, */
    BURST_BYTES = 16384, /* and this much, but one message at least */
    DUE_A_TURN = 4096,   /* messages of an open loop before the loop turns */
    PATIENCE_S = 30,     /* for a further connection to come up */
    SEEN_ROWS_MAX = 1 << 25,
    SEEN_WORDS_GROUP = 64, /* members of a group overtake each other */
};

#define QUIET_NS  GNT_NS_PER_S /* without a message for so long, what is missing is lost */
#define SETTLE_NS (GNT_NS_PER_S / 5)

struct load {
    struct gnt_bench_host host;
    struct gnt_loop loop;
    struct gnt_bench_result *result;
    struct gnt_bench_client *clients; /* the subscribers, then the publishers */
    uint32_t count, opened, up;
    struct gnt_seen_rows order, groups; /* by publisher and receiver; and by publisher and group */
    struct gnt_seeded dice;
    struct gnt_watch signal_watch, tick_watch;
    int tick; /* timerfd: the loop's own waits are whole milliseconds */
    pid_t pid;
    uint64_t start, from, until; /* of sending; of the window that is measured */
    uint64_t scheduled;          /* messages of the open loop that have been made */
    uint64_t last_received;
    bool sending, failed;
    bool *interrupted;

    void (*progress)(void *context, const struct gnt_bench_progress *);
    void *context;
    const char *phase;
    uint64_t begun, next_progress, shown_sent, shown_received;
    struct gnt_histogram *second; /* since the last progress */
};

const char *gnt_bench_shape_name(enum gnt_bench_shape shape)
{
    static const char *const names[] = {
#define GNT_BENCH_SHAPE(name, word, pubs, subs, help) [GNT_BENCH_##name] = word,
        GNT_BENCH_SHAPES(GNT_BENCH_SHAPE)
#undef GNT_BENCH_SHAPE
    };
    return names[shape];
}

__attribute__((format(printf, 2, 3))) static void give_up(struct load *l, const char *format, ...)
{
    if (l->failed)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(l->result->failure, sizeof l->result->failure, format, arguments);
    va_end(arguments);
    l->failed = true;
}

static bool over(const struct load *l)
{
    return l->failed || *l->interrupted;
}

/* ---- What it costs */

static double process_cpu_s(pid_t pid)
{
    clockid_t id;
    struct timespec t;
    if (!pid || clock_getcpuclockid(pid, &id) || clock_gettime(id, &t))
        return 0;
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t process_rss_bytes(pid_t pid)
{
    char path[64];
    unsigned long long all, resident = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    FILE *f = pid ? fopen(path, "re") : NULL;
    if (!f)
        return 0;
    if (fscanf(f, "%llu %llu", &all, &resident) != 2)
        resident = 0;
    (void)fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct gnt_bench_cost cost_now(const struct load *l)
{
    return (struct gnt_bench_cost){process_cpu_s(l->pid), process_cpu_s(getpid()),
                                   process_rss_bytes(l->pid)};
}

/* ---- What comes */

static void on_up(struct gnt_bench_client *c)
{
    struct load *l = GNT_CONTAINER(c->host, struct load, host);
    l->up++;
    l->result->connected++;
}

/* Why a connection could not be made, for people. */
static const char *reason_of(const struct gnt_bench_client *c, gnt_err err,
                             char words[GNT_TLS_WORDS_MAX])
{
    const struct gnt_stream *tls = gnt_tls_of(c->stream);
    const char *refusal = c->host->target->websocket ? gnt_websocket_words(c->stream) : "";
    if (tls && *gnt_tls_words(tls, words))
        return words;
    return *refusal ? refusal : gnt_err_text(err);
}

static void on_down(struct gnt_bench_client *c, gnt_err err, uint8_t code)
{
    struct load *l = GNT_CONTAINER(c->host, struct load, host);
    char words[GNT_TLS_WORDS_MAX];
    l->result->closed++;
    if (l->start)
        return;
    if (err == GNT_REFUSED && code)
        give_up(l, "refused by the broker: %s", gnt_mqtt_reason_text(code));
    else
        give_up(l, "cannot connect %s %u: %s", c->publisher ? "publisher" : "subscriber", c->index,
                reason_of(c, err, words));
}

static size_t row_of(const struct gnt_bench_plan *plan, const struct gnt_bench_client *c,
                     uint32_t publisher)
{
    if (plan->shape == GNT_BENCH_PAIRS)
        return c->index;
    return (size_t)publisher * plan->subscribers + c->index;
}

static void note_number(struct load *l, const struct gnt_bench_client *c, uint32_t publisher,
                        uint32_t number)
{
    const struct gnt_bench_plan *plan = l->host.plan;
    enum gnt_seen seen = gnt_seen_note(&l->order, row_of(plan, c, publisher), number);
    l->result->disordered += seen == GNT_SEEN_LATE;
    if (plan->shape == GNT_BENCH_SHARED) {
        size_t row = (size_t)publisher * plan->groups + c->index % plan->groups;
        seen = gnt_seen_note(&l->groups, row, number);
    }
    l->result->duplicated += seen == GNT_SEEN_AGAIN;
}

static void on_message(struct gnt_bench_client *c, struct gnt_slice payload, uint64_t now)
{
    struct load *l = GNT_CONTAINER(c->host, struct load, host);
    const struct gnt_bench_plan *plan = l->host.plan;
    struct gnt_reader r = gnt_reader(payload);
    uint64_t due = (uint64_t)gnt_read_u32(&r) << 32;
    due |= gnt_read_u32(&r);
    uint32_t publisher = gnt_read_u32(&r), number = gnt_read_u32(&r);
    if (r.bad || payload.size != plan->size || publisher >= plan->publishers || number == 0 ||
        (plan->shape == GNT_BENCH_PAIRS && publisher != c->index)) {
        l->result->malformed++;
        return;
    }
    l->result->received++;
    l->last_received = now;
    note_number(l, c, publisher, number);
    uint64_t taken = now > due ? now - due : 0;
    if (l->from && due >= l->from && due < l->until)
        gnt_histogram_add(&l->result->latency_ns, taken);
    if (l->second)
        gnt_histogram_add(l->second, taken);
}

/* ---- What goes */

static uint64_t fan(const struct gnt_bench_plan *plan)
{
    switch (plan->shape) {
    case GNT_BENCH_PAIRS:
    case GNT_BENCH_WILD: return 1;
    case GNT_BENCH_FAN_IN:
    case GNT_BENCH_FAN_OUT: return plan->subscribers;
    case GNT_BENCH_SHARED: return plan->groups;
    case GNT_BENCH_IDLE: break;
    }
    return 0;
}

static uint64_t missing(const struct load *l)
{
    uint64_t came = l->result->received - l->result->duplicated;
    return l->result->expected > came ? l->result->expected - came : 0;
}

static bool credit_left(const struct load *l)
{
    return l->host.plan->credit == 0 || missing(l) < l->host.plan->credit;
}

/* False: it cannot be sent now. */
static bool send_one(struct load *l, struct gnt_bench_client *c, uint64_t due)
{
    const struct gnt_bench_plan *plan = l->host.plan;
    uint32_t to = 0;
    if (plan->shape == GNT_BENCH_WILD)
        to = (uint32_t)(gnt_seeded_next(&l->dice) % plan->subscribers);
    gnt_err err = c->closed ? GNT_CLOSED : gnt_bench_client_publish(c, due, to);
    if (err == GNT_NOMEM)
        give_up(l, "%s", gnt_err_text(err));
    if (err)
        return false;
    l->result->sent++;
    l->result->expected += fan(plan);
    return true;
}

/* As fast as it goes: each publisher that may send makes a burst.  It comes back into the list when
 * one of its messages is settled, or its transport has taken all again. */
static void send_bursts(struct load *l)
{
    const struct gnt_bench_plan *plan = l->host.plan;
    struct gnt_list batch;
    gnt_list_init(&batch);
    gnt_list_splice_back(&batch, &l->host.senders);
    uint32_t burst =
        BURST_BYTES / plan->size < BURST_MESSAGES ? BURST_BYTES / plan->size + 1 : BURST_MESSAGES;
    uint32_t most = plan->qos && plan->window < burst ? plan->window : burst;
    while (!gnt_list_empty(&batch) && credit_left(l)) {
        struct gnt_list *node = gnt_list_pop_front(&batch);
        struct gnt_bench_client *c = GNT_CONTAINER(node, struct gnt_bench_client, sender);
        uint64_t now = gnt_now(l->loop.clock);
        while (!c->closed && !c->blocked && credit_left(l) &&
               c->unsettled < (plan->qos ? plan->window : most) && send_one(l, c, now))
            ;
        /* The credit ended before its first message: nothing of its own would bring it back. */
        if (!c->closed && !c->blocked && c->unsettled == 0)
            gnt_list_push_back(&l->host.senders, node);
    }
    gnt_list_splice_back(&batch, &l->host.senders);
    gnt_list_splice_back(&l->host.senders, &batch);
}

static uint64_t due_at(const struct load *l, uint64_t k)
{
    uint64_t rate = l->host.plan->rate;
    return l->start + k / rate * GNT_NS_PER_S + k % rate * GNT_NS_PER_S / rate;
}

/* What has become due, as far as it was due before LIMIT. */
static void send_due(struct load *l, uint64_t limit)
{
    const struct gnt_bench_plan *plan = l->host.plan;
    uint64_t now = gnt_now(l->loop.clock), end = now < limit ? now + 1 : limit;
    for (int i = 0; i < DUE_A_TURN && due_at(l, l->scheduled) < end; i++) {
        uint32_t which = (uint32_t)(l->scheduled % plan->publishers);
        struct gnt_bench_client *c = &l->clients[plan->subscribers + which];
        if (!send_one(l, c, due_at(l, l->scheduled)))
            l->result->refused++;
        l->scheduled++;
    }
    uint64_t next = due_at(l, l->scheduled);
    struct itimerspec t = {
        .it_value = {(time_t)(next / GNT_NS_PER_S), (long)(next % GNT_NS_PER_S)}};
    (void)timerfd_settime(l->tick, TFD_TIMER_ABSTIME, &t, NULL);
}

/* ---- Turning the loop */

static void show_progress(struct load *l)
{
    uint64_t now = l->loop.now;
    if (!l->progress || now < l->next_progress)
        return;
    l->next_progress = now + GNT_NS_PER_S;
    const struct gnt_bench_progress p = {
        .phase = l->phase,
        .elapsed_s = (double)(now - l->begun) / 1e9,
        .connected = l->up - l->result->closed,
        .clients = l->count,
        .sent = l->result->sent - l->shown_sent,
        .received = l->result->received - l->shown_received,
        .latency_ns = l->second,
        .missing = missing(l),
    };
    l->progress(l->context, &p);
    l->shown_sent = l->result->sent;
    l->shown_received = l->result->received;
    memset(l->second, 0, sizeof *l->second);
}

static void turn(struct load *l, uint64_t until)
{
    bool busy =
        l->sending && !l->host.plan->rate && !gnt_list_empty(&l->host.senders) && credit_left(l);
    uint64_t now = gnt_now(l->loop.clock), most = GNT_NS_PER_S / 20;
    if (busy || now >= until)
        most = 0;
    else if (until - now < most)
        most = until - now;
    gnt_loop_turn(&l->loop, most);
    show_progress(l);
}

/* What is published here is written by the tasks at the end of the turn that follows.  With a rate,
 * all that was due before UNTIL is sent, however late this process was given the processor: what
 * would be left out are the longest latencies. */
static void turns(struct load *l, uint64_t until)
{
    bool open_loop = l->sending && l->host.plan->rate;
    while (!over(l) &&
           (gnt_now(l->loop.clock) < until || (open_loop && due_at(l, l->scheduled) < until))) {
        if (open_loop)
            send_due(l, until);
        else if (l->sending)
            send_bursts(l);
        turn(l, until);
    }
}

/* ---- The phases */

static uint32_t allowed_now(const struct load *l)
{
    uint64_t ramp = l->host.plan->ramp;
    uint64_t by_time = UINT32_MAX;
    if (ramp) {
        double s = (double)(l->loop.now - l->begun) / 1e9;
        by_time = 1 + (uint64_t)(s * (double)ramp);
    }
    uint64_t by_pending = (uint64_t)l->up + PENDING_MAX;
    uint64_t least = by_time < by_pending ? by_time : by_pending;
    uint32_t subscribers = l->host.plan->subscribers;
    if (l->host.target->amqp && l->up < subscribers && least > subscribers)
        least = subscribers; /* whose queues the publishers are to know */
    return least < l->count ? (uint32_t)least : l->count;
}

static void connect_all(struct load *l)
{
    const struct gnt_bench_plan *plan = l->host.plan;
    uint32_t seen = 0;
    uint64_t patience = l->loop.now + PATIENCE_S * GNT_NS_PER_S;
    l->phase = "connecting";
    while (!over(l) && l->up < l->count) {
        while (!l->failed && l->opened < allowed_now(l)) {
            uint32_t i = l->opened++;
            bool publisher = i >= plan->subscribers;
            gnt_err err = gnt_bench_client_open(&l->clients[i], &l->host, publisher,
                                                publisher ? i - plan->subscribers : i);
            if (err)
                give_up(l, "cannot connect: %s", gnt_err_text(err));
        }
        turn(l, plan->ramp ? l->loop.now + GNT_NS_PER_S / plan->ramp : GNT_NEVER);
        if (l->up > seen)
            patience = l->loop.now + PATIENCE_S * GNT_NS_PER_S;
        seen = l->up;
        if (l->loop.now > patience)
            give_up(l, "no answer in time: %u of %u clients are connected", l->up, l->count);
    }
    l->result->connect_s = (double)(l->loop.now - l->begun) / 1e9;
    turns(l, gnt_now(l->loop.clock) + SETTLE_NS);
}

static void measure(struct load *l)
{
    const struct gnt_bench_plan *plan = l->host.plan;
    l->phase = "warming up";
    l->start = gnt_now(l->loop.clock);
    for (uint32_t i = plan->subscribers; i < l->count; i++)
        gnt_list_push_back(&l->host.senders, &l->clients[i].sender);
    l->sending = plan->publishers > 0;
    turns(l, l->start + plan->warm_ns);

    l->phase = "measuring";
    l->result->start = cost_now(l);
    uint64_t sent = l->result->sent, received = l->result->received;
    l->from = gnt_now(l->loop.clock);
    l->until = l->from + plan->duration_ns;
    turns(l, l->until);
    l->sending = false;
    l->result->end = cost_now(l);
    l->until = gnt_now(l->loop.clock);
    l->result->measured_s = (double)(l->until - l->from) / 1e9;
    l->result->measured_sent = l->result->sent - sent;
    l->result->measured_received = l->result->received - received;
}

static void drain(struct load *l)
{
    uint64_t now = gnt_now(l->loop.clock), limit = gnt_deadline(now, l->host.plan->drain_ns);
    l->phase = "draining";
    l->last_received = now;
    while (!l->failed && missing(l) > 0 && now < limit && now < l->last_received + QUIET_NS) {
        turn(l, limit);
        now = gnt_now(l->loop.clock);
    }
    l->result->lost = missing(l);
}

/* ---- Beginning and end */

static void on_signal(struct gnt_watch *watch, uint32_t events)
{
    struct load *l = GNT_CONTAINER(watch, struct load, signal_watch);
    (void)events;
    *l->interrupted = true;
}

static void on_tick(struct gnt_watch *watch, uint32_t events)
{
    (void)watch, (void)events; /* it ends the wait, which is all */
}

static gnt_err make_seen(struct load *l)
{
    const struct gnt_bench_plan *plan = l->host.plan;
    uint64_t rows = plan->shape == GNT_BENCH_PAIRS ? plan->publishers
                                                   : (uint64_t)plan->publishers * plan->subscribers;
    if (rows > SEEN_ROWS_MAX)
        return GNT_TOOBIG;
    gnt_err err = gnt_seen_init(&l->order, (size_t)rows, 1);
    if (!err && plan->shape == GNT_BENCH_SHARED)
        err = gnt_seen_init(&l->groups, (size_t)plan->publishers * plan->groups, SEEN_WORDS_GROUP);
    return err;
}

static gnt_err make_memory(struct load *l)
{
    l->host.read_buffer = malloc(READ_SIZE);
    l->host.payload = malloc(l->host.plan->size);
    l->clients = calloc(l->count ? l->count : 1, sizeof *l->clients);
    l->second = calloc(1, sizeof *l->second);
    l->host.addresses = calloc(l->count ? l->count : 1, sizeof *l->host.addresses);
    if (!l->host.addresses || !l->host.read_buffer || !l->host.payload || !l->clients || !l->second)
        return GNT_NOMEM;
    for (uint32_t i = 0; i < l->host.plan->size; i++)
        l->host.payload[i] = (uint8_t)('a' + i % 26);
    return make_seen(l);
}

static gnt_err make_loop(struct load *l, int signals)
{
    struct gnt_poller *poller;
    gnt_err err = gnt_epoll_new(&poller);
    if (!err)
        err = gnt_loop_init(&l->loop, &gnt_clock_system, &poller);
    if (err)
        return err;
    l->tick = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    l->tick_watch.on_events = on_tick;
    l->signal_watch.on_events = on_signal;
    err = l->tick < 0 ? GNT_IO : GNT_OK;
    if (!err)
        err = gnt_epoll_add(l->loop.poller, l->tick, EPOLLIN | EPOLLET, &l->tick_watch);
    if (!err)
        err = gnt_epoll_add(l->loop.poller, signals, EPOLLIN, &l->signal_watch);
    return err;
}

static void free_load(struct load *l)
{
    for (uint32_t i = 0; l->clients && i < l->opened; i++)
        gnt_bench_client_leave(&l->clients[i]);
    for (uint32_t i = 0; l->clients && i < l->opened; i++)
        gnt_bench_client_close(&l->clients[i]);
    if (l->loop.poller)
        gnt_loop_fini(&l->loop);
    if (l->tick >= 0)
        close(l->tick);
    gnt_seen_fini(&l->order);
    gnt_seen_fini(&l->groups);
    for (uint32_t i = 0; l->host.addresses && i < l->count; i++)
        free(l->host.addresses[i]);
    free(l->host.addresses);
    free(l->host.read_buffer);
    free(l->host.payload);
    free(l->clients);
    free(l->second);
}

void gnt_bench_run(const struct gnt_bench_plan *plan, const struct gnt_bench_target *target,
                   int signals, void (*progress)(void *context, const struct gnt_bench_progress *),
                   void *context, struct gnt_bench_result *result, bool *interrupted)
{
    struct load l = {
        .host = {.plan = plan,
                 .target = target,
                 .run = gnt_random_u64(&gnt_random_system) >> 24,
                 .up = on_up,
                 .down = on_down,
                 .message = on_message},
        .result = result,
        .count = plan->publishers + plan->subscribers,
        .tick = -1,
        .pid = target->pid,
        .interrupted = interrupted,
        .progress = progress,
        .context = context,
    };
    memset(result, 0, sizeof *result);
    l.host.loop = &l.loop;
    gnt_list_init(&l.host.senders);
    gnt_seeded_init(&l.dice, l.host.run);
    gnt_err err = make_memory(&l);
    if (!err)
        err = make_loop(&l, signals);
    if (err) {
        give_up(&l, "%s", gnt_err_text(err));
    } else {
        l.begun = l.next_progress = l.loop.now;
        result->before = cost_now(&l);
        connect_all(&l);
        if (!over(&l))
            measure(&l);
        if (!l.failed && l.start)
            drain(&l);
    }
    free_load(&l);
}
