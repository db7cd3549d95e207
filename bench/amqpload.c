/*
 * amqpload - a small AMQP 1.0 load generator on libqpid-proton (proactor).
 *
 * N pairs of (sender -> queue -> receiver), one connection for each end, all
 * in one thread.  Senders keep at most --window messages unsettled and stop
 * when the peer grants no credit.  Every payload carries a marker, the send
 * time (CLOCK_MONOTONIC), the pair number and a sequence number.  One JSON line.
 *
 *   cc -O2 -Wall -Wextra -o amqpload amqpload.c -lqpid-proton-core -lqpid-proton-proactor
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/delivery.h>
#include <proton/event.h>
#include <proton/link.h>
#include <proton/proactor.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/terminus.h>
#include <proton/transport.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;
typedef uint32_t u32;
struct end {
    bool sender, open;
    u32 idx, seq, last;
    u32 unsettled;
    u64 tag;
    pn_connection_t *c;
    pn_link_t *link;
};

static const char MARK[8] = "mQpLoAd";
static const char *host = "127.0.0.1", *user, *pass, *prefix = "q", *label = "";
static int port = 5672, broker_pid, presettled, durable;
static u32 pairs = 1, window = 200, credit = 500, size = 100;
static double t_time = 3, t_warm = 0.5, t_drain = 4;

static pn_proactor_t *pro;
static struct end *ends;
static u32 n_open;
static bool running, failed;
static char why[200];
static u64 sent, received, acked, rejected, dups, disorder, bad, t_meas, last_rx;
static char msg[70000], in[140000];
static size_t msg_len, msg_off;

static u64 now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

static u64 hist[4096], hist_n, hist_max;

static void hist_add(u64 ns)
{
    u32 i = (u32)ns;
    if (ns >= 64) {
        int e = 63 - __builtin_clzll(ns);
        i = (u32)(e - 5) * 64 + (u32)((ns >> (e - 6)) & 63);
    }
    hist[i]++;
    hist_n++;
    if (ns > hist_max)
        hist_max = ns;
}

static double hist_us(double q)
{
    u64 acc = 0, want = (u64)(q * (double)hist_n);
    for (u32 i = 0; i < 4096 && hist_n; i++) {
        acc += hist[i];
        if (acc > want || acc == hist_n) {
            if (i < 64)
                return i / 1e3;
            int e = (int)(i / 64) + 5;
            return (double)((1ull << e) + ((u64)(i & 63) << (e - 6)) + (1ull << (e - 6)) / 2) / 1e3;
        }
    }
    return 0;
}

static double broker_cpu(void)
{
    clockid_t clk;
    struct timespec t;
    if (!broker_pid || clock_getcpuclockid(broker_pid, &clk) || clock_gettime(clk, &t))
        return 0;
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long broker_rss(void)
{
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", broker_pid);
    FILE *f = broker_pid ? fopen(path, "r") : NULL;
    while (f && fgets(line, sizeof line, f))
        sscanf(line, "VmRSS: %ld", &kb);
    if (f)
        fclose(f);
    return kb;
}

static double self_cpu(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* A header that says durable, if wanted: 00 53 70, list of one, true; then one data section: 00 53
 * 75, and vbin8 or vbin32. */
static void make_msg(void)
{
    static const char header[] = "\x00\x53\x70\xc0\x02\x01\x41", data[] = "\x00\x53\x75";
    char *p = msg;
    if (durable)
        p = mempcpy(p, header, sizeof header - 1);
    p = mempcpy(p, data, sizeof data - 1);
    if (size < 256) {
        *p++ = (char)0xa0;
        *p++ = (char)size;
    } else {
        *p++ = (char)0xb0;
        for (int i = 0; i < 4; i++)
            *p++ = (char)(size >> (24 - 8 * i));
    }
    msg_off = (size_t)(p - msg);
    memset(msg + msg_off, 'x', size);
    memcpy(msg + msg_off, MARK, 8);
    msg_len = msg_off + size;
}

static void pump(struct end *e)
{
    if (!running || !e->open || !e->sender)
        return;
    u64 now = now_ns();
    for (int n = 0; n < 64 && pn_link_credit(e->link) > 0 && e->unsettled < window; n++) {
        u64 tag = ++e->tag;
        e->seq++;
        memcpy(msg + msg_off + 8, &now, 8);
        memcpy(msg + msg_off + 16, &e->idx, 4);
        memcpy(msg + msg_off + 20, &e->seq, 4);
        pn_delivery_t *d = pn_delivery(e->link, pn_dtag((const char *)&tag, sizeof tag));
        pn_link_send(e->link, msg, msg_len);
        pn_link_advance(e->link);
        if (presettled)
            pn_delivery_settle(d);
        else
            e->unsettled++;
        sent++;
    }
}

static void on_delivery(struct end *e, pn_delivery_t *d)
{
    if (e->sender) {
        u64 st = pn_delivery_remote_state(d);
        if (pn_delivery_updated(d) && (st || pn_delivery_settled(d))) {
            if (st == PN_ACCEPTED)
                acked++;
            else
                rejected++;
            pn_delivery_settle(d);
            e->unsettled--;
            pump(e);
        }
        return;
    }
    if (!pn_delivery_readable(d) || pn_delivery_partial(d))
        return;
    ssize_t n = pn_link_recv(e->link, in, sizeof in);
    pn_link_advance(e->link);
    char *p = n > 0 ? memmem(in, (size_t)n, MARK, 8) : NULL;
    if (p) {
        u64 ts, now = now_ns();
        u32 seq;
        memcpy(&ts, p + 8, 8);
        memcpy(&seq, p + 20, 4);
        received++;
        last_rx = now;
        if (t_meas && ts >= t_meas)
            hist_add(now - ts);
        if (seq == e->last)
            dups++;
        else if (seq < e->last)
            disorder++;
        else
            e->last = seq;
    } else {
        bad++;
    }
    if (!pn_delivery_settled(d))
        pn_delivery_update(d, PN_ACCEPTED);
    pn_delivery_settle(d);
    int have = pn_link_credit(e->link);
    if (have <= (int)credit / 2)
        pn_link_flow(e->link, (int)credit - have);
}

static void fail(const char *what, pn_condition_t *c)
{
    if (failed)
        return;
    failed = true;
    snprintf(why, sizeof why, "%s: %s %s", what,
             c && pn_condition_is_set(c) ? pn_condition_get_name(c) : "",
             c && pn_condition_is_set(c) ? pn_condition_get_description(c) : "");
    for (char *p = why; *p; p++)
        if (*p == '"' || *p == '\\' || (unsigned char)*p < 32)
            *p = ' ';
}

static void on_event(pn_event_t *ev)
{
    pn_connection_t *c = pn_event_connection(ev);
    struct end *e = c ? pn_connection_get_context(c) : NULL;
    switch (pn_event_type(ev)) {
    case PN_CONNECTION_INIT: {
        char a[200];
        pn_session_t *s = pn_session(c);
        pn_connection_open(c);
        pn_session_open(s);
        snprintf(a, sizeof a, "%s%u", prefix, e->idx);
        e->link = e->sender ? pn_sender(s, "out") : pn_receiver(s, "in");
        pn_terminus_t *node = e->sender ? pn_link_target(e->link) : pn_link_source(e->link);
        pn_terminus_set_address(node, a);
        if (durable)
            pn_terminus_set_durability(node, PN_DELIVERIES);
        pn_link_set_snd_settle_mode(e->link, presettled ? PN_SND_SETTLED : PN_SND_UNSETTLED);
        pn_link_set_rcv_settle_mode(e->link, PN_RCV_FIRST);
        pn_link_open(e->link);
        break;
    }
    case PN_LINK_REMOTE_OPEN:
        if (!e->open) {
            e->open = true;
            n_open++;
            if (!e->sender)
                pn_link_flow(e->link, (int)credit);
        }
        break;
    case PN_LINK_FLOW:
    case PN_CONNECTION_WAKE: pump(e); break;
    case PN_DELIVERY: on_delivery(e, pn_event_delivery(ev)); break;
    case PN_TRANSPORT_CLOSED:
    case PN_TRANSPORT_ERROR:
        fail("transport", pn_transport_condition(pn_event_transport(ev)));
        break;
    case PN_CONNECTION_REMOTE_CLOSE:
        fail("connection closed by peer", pn_connection_remote_condition(c));
        break;
    case PN_SESSION_REMOTE_CLOSE:
        fail("session closed by peer", pn_session_remote_condition(pn_event_session(ev)));
        break;
    case PN_LINK_REMOTE_CLOSE:
        fail("link closed by peer", pn_link_remote_condition(pn_event_link(ev)));
        break;
    case PN_PROACTOR_TIMEOUT: pn_proactor_set_timeout(pro, 20); break;
    default: break;
    }
}

static void run(double sec, u32 want_open, u64 want_recv, double quiet)
{
    u64 end = now_ns() + (u64)(sec * 1e9), seen = received, t_seen = now_ns();
    while (!failed) {
        u64 t = now_ns();
        if (t >= end || (want_open && n_open == want_open) ||
            (want_recv && received - dups >= want_recv))
            return;
        if (received != seen) {
            seen = received;
            t_seen = t;
        } else if (quiet > 0 && t - t_seen > (u64)(quiet * 1e9)) {
            return;
        }
        pn_event_batch_t *b = pn_proactor_wait(pro);
        for (pn_event_t *ev; (ev = pn_event_batch_next(b));)
            on_event(ev);
        pn_proactor_done(pro, b);
    }
}

static void connect_ends(bool senders)
{
    char addr[PN_MAX_ADDR], cid[64];
    pn_proactor_addr(addr, sizeof addr, host, (snprintf(cid, sizeof cid, "%d", port), cid));
    for (u32 i = 0; i < pairs; i++) {
        struct end *e = &ends[2 * i + senders];
        e->sender = senders;
        e->idx = i;
        e->c = pn_connection();
        snprintf(cid, sizeof cid, "amqpload-%d-%d-%u", (int)getpid(), senders, i);
        pn_connection_set_container(e->c, cid);
        pn_connection_set_context(e->c, e);
        pn_transport_t *t = pn_transport();
        if (user) {
            pn_connection_set_user(e->c, user);
            pn_connection_set_password(e->c, pass ? pass : "");
            pn_sasl_set_allow_insecure_mechs(pn_sasl(t), true);
        }
        pn_sasl_allowed_mechs(pn_sasl(t), user ? "PLAIN" : "ANONYMOUS");
        pn_proactor_connect2(pro, e->c, t, addr);
    }
}

int main(int argc, char **argv)
{
    static const struct option o[] = {{"host", 1, 0, 'h'},
                                      {"port", 1, 0, 'p'},
                                      {"user", 1, 0, 'u'},
                                      {"pass", 1, 0, 'P'},
                                      {"addr", 1, 0, 'a'},
                                      {"pairs", 1, 0, 'n'},
                                      {"size", 1, 0, 's'},
                                      {"window", 1, 0, 'w'},
                                      {"credit", 1, 0, 'c'},
                                      {"time", 1, 0, 't'},
                                      {"warm", 1, 0, 'W'},
                                      {"drain", 1, 0, 'd'},
                                      {"presettled", 0, 0, '0'},
                                      {"durable", 0, 0, 'D'},
                                      {"pid", 1, 0, 'i'},
                                      {"label", 1, 0, 'L'},
                                      {0, 0, 0, 0}};
    int ch;
    while ((ch = getopt_long(argc, argv, "", o, NULL)) != -1) {
        switch (ch) {
        case 'h': host = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 'u': user = optarg; break;
        case 'P': pass = optarg; break;
        case 'a': prefix = optarg; break;
        case 'n': pairs = (u32)atol(optarg); break;
        case 's': size = (u32)atol(optarg); break;
        case 'w': window = (u32)atol(optarg); break;
        case 'c': credit = (u32)atol(optarg); break;
        case 't': t_time = atof(optarg); break;
        case 'W': t_warm = atof(optarg); break;
        case 'd': t_drain = atof(optarg); break;
        case '0': presettled = 1; break;
        case 'D': durable = 1; break;
        case 'i': broker_pid = atoi(optarg); break;
        case 'L': label = optarg; break;
        default: return fputs("see README.md for the options\n", stderr), 2;
        }
    }
    if (!pairs || size < 24 || size > 65536 || !window || credit < 2)
        return fputs("bad option value\n", stderr), 2;
    make_msg();
    ends = calloc(2 * pairs, sizeof *ends);
    pro = pn_proactor();
    if (!ends || !pro)
        return 1;
    pn_proactor_set_timeout(pro, 20);
    connect_ends(false);
    run(10, pairs, 0, 0);
    connect_ends(true);
    run(10, 2 * pairs, 0, 0);
    if (!failed && n_open < 2 * pairs)
        fail("links did not open in time", NULL);
    run(0.2, 0, 0, 0);

    long rss0 = broker_rss();
    double b0 = broker_cpu();
    u64 t0 = now_ns();
    running = true;
    for (u32 i = 0; i < pairs && !failed; i++)
        pn_connection_wake(ends[2 * i + 1].c);
    run(t_warm, 0, 0, 0);
    u64 r0 = received, m0 = t_meas = now_ns();
    double bw0 = broker_cpu(), s0 = self_cpu();
    run(t_time, 0, 0, 0);
    u64 r1 = received, m1 = now_ns();
    double bw1 = broker_cpu(), s1 = self_cpu(), sec = (double)(m1 - m0) / 1e9;
    running = false;
    if (received < sent)
        run(t_drain, 0, sent, 0.7);
    run(0.05, 0, 0, 0);
    double b1 = broker_cpu();
    printf(
        "{\"label\":\"%s\",\"scenario\":\"amqp\",\"pairs\":%u,\"size\":%u,\"window\":%u,\"credit\":"
        "%u,\"presettled\":%d,\"durable\":%d,"
        "%s%s%s\"sent\":%llu,\"accepted\":%llu,\"not_accepted\":%llu,\"received\":%llu,\"lost\":%"
        "lld,\"dups\":%llu,"
        "\"disorder\":%llu,\"bad\":%llu,\"seconds\":%.3f,\"total_seconds\":%.3f,\"msgs_per_s\":%."
        "0f,\"p50_us\":%.1f,"
        "\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,\"self_cpu_percent\":%."
        "1f,"
        "\"broker_cpu_percent\":%.1f,\"broker_cpu_s\":%.4f,\"window_broker_cpu_us_per_msg\":%.3f,"
        "\"broker_cpu_us_per_msg\":%.3f,\"rss_before_kb\":%ld,\"rss_after_kb\":%ld}\n",
        label, pairs, size, window, credit, presettled, durable, failed ? "\"error\":\"" : "",
        failed ? why : "", failed ? "\"," : "", (unsigned long long)sent, (unsigned long long)acked,
        (unsigned long long)rejected, (unsigned long long)received,
        (long long)sent - (long long)(received - dups), (unsigned long long)dups,
        (unsigned long long)disorder, (unsigned long long)bad, sec,
        last_rx > t0 ? (double)(last_rx - t0) / 1e9 : 0, (double)(r1 - r0) / sec, hist_us(.5),
        hist_us(.9), hist_us(.99), hist_us(.999), (double)hist_max / 1e3, (s1 - s0) * 100 / sec,
        (bw1 - bw0) * 100 / sec, b1 - b0, r1 > r0 ? (bw1 - bw0) * 1e6 / (double)(r1 - r0) : 0,
        received ? (b1 - b0) * 1e6 / (double)received : 0, rss0, broker_rss());
    return failed;
}
