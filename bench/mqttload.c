/*
 * mqttload - a neutral MQTT 3.1.1 (and, with --v5, MQTT 5) load generator.
 *
 * One process, one thread, epoll, bounded memory.  Publishers stop at socket
 * back-pressure; nothing is queued in user space beyond one burst.  Every
 * payload carries the send time (CLOCK_MONOTONIC), a publisher number and a
 * sequence number, so loss, duplicates, order and latency are all checked at
 * the receiver.  Prints one JSON line on stdout.  See README.md.
 *
 *   cc -O2 -Wall -Wextra -o mqttload mqttload.c
 *   cc -O2 -Wall -Wextra -DWITH_TLS -o mqttload mqttload.c -lssl -lcrypto
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;

enum scen { FANIN, FANOUT, PAIRS, WILD, CONN, RETAINED };
static const char *const scen_name[] = {"fanin", "fanout", "pairs", "wild", "conn", "retained"};
enum role { PUB, SUB, IDLE, SLOW, DEAF };
enum cstate { C_NEW, C_TCP, C_TLS, C_CONNACK, C_SUBACK, C_READY, C_DEAD };

struct conn {
    int fd;
    u8 role, state;
    bool want_out; /* EPOLLOUT is registered */
    bool queued;   /* on the ready ring */
    u32 idx;       /* number among its role */
    u16 pid;
    u32 inflight;     /* QoS>0: not yet fully acknowledged */
    u32 seq;          /* publisher: messages made so far */
    double allowance; /* SLOW: bytes that it may read by now */
    u64 *sent_at;     /* QoS>0: when, by packet id modulo sent_mask + 1 */
    u8 *part;         /* incomplete incoming packet */
    size_t partlen, partcap;
    u8 *out; /* unsent outgoing bytes */
    size_t outoff, outlen, outcap;
#ifdef WITH_TLS
    SSL *ssl;
#endif
};

/* options */
static enum scen scen = PAIRS;
static const char *host = "127.0.0.1", *user, *pass, *cafile, *label = "";
static int port = 1883, qos = 0, v5, keepalive = 600, broker_pid, parallel = 64, nsources = 1,
           sndbuf = 65536;
static u32 npubs, nsubs, nslow, ndeaf, nconns = 1000, nret = 10000, window = 20;
static size_t psize = 64, burst = 8192;
static double t_time = 3, t_warm = 0.5, t_drain = 5, t_quiet = 0.7, t_hold = 1, rate,
              slow_rate = 1000;
static u64 credit, count, collect;
static bool durable, absent, resume;
static int run_number; /* 0: the process id */

/* state */
static char root[24]; /* first topic level, unique to this run */
static int ep, tfd;
static struct sockaddr_in dst;
static struct conn *conns;
/* conns[sub0..] subscribers, conns[pub0..] publishers, conns[slow0..] slow and then deaf
 * subscribers */
static u32 nc, sub0, pub0, slow0;
static u64 slow_expected, slow_received, slow_dups, slow_disorder, slow_read_at;
static u64 sent, acked, expected, received, dups, disorder, bad, closed_n, refused, rejected_sub;
static u64 t_start, t_meas, sched_k;
static bool running;
static u32 n_ready_state, n_pending;
/* What a subscriber has of a publisher's messages, by publisher and then by subscriber, the slow
   ones last. */
struct seen {
    u32 last; /* the highest sequence number */
    u32 got;  /* how many, repeated ones not counted */
};
static struct seen *seen;
static struct conn **ring;
static u32 ring_cap, ring_head, ring_n;
static u8 *tmpl;
static size_t tmpl_len, off_pid, off_pay;
static u32 sent_mask;
static u8 rbuf[512 * 1024];
static size_t read_most = sizeof rbuf; /* at once */
static u32 rng = 2463534242u;
static u64 last_rx, first_rx;
#ifdef WITH_TLS
static SSL_CTX *tls;
static SSL_SESSION *session; /* the first, for all that follow */
#endif
static u64 resumed;

static u64 now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

static void die(const char *fmt, ...)
{
    va_list ap;
    char msg[300];
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    printf("{\"label\":\"%s\",\"scenario\":\"%s\",\"error\":\"%s\",\"sent\":%llu,\"received\":%llu,"
           "\"connected\":%u}\n",
           label, scen_name[scen], msg, (unsigned long long)sent, (unsigned long long)received,
           n_ready_state);
    exit(1);
}

static void *xalloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p)
        die("out of memory");
    return p;
}

/* ---- latency histogram: 64 linear steps per power of two, about 1.5 % ---- */
struct hist {
    u64 step[64 * 64], n, max;
};
static struct hist delivery, acknowledgement;

static void hist_add(struct hist *h, u64 ns)
{
    u32 i;
    if (ns < 64) {
        i = (u32)ns;
    } else {
        int e = 63 - __builtin_clzll(ns);
        i = (u32)(e - 5) * 64 + (u32)((ns >> (e - 6)) & 63);
    }
    h->step[i]++;
    h->n++;
    if (ns > h->max)
        h->max = ns;
}

static double hist_us(const struct hist *h, double q)
{
    u64 want = (u64)(q * (double)h->n), acc = 0;
    if (!h->n)
        return 0;
    for (u32 i = 0; i < 64 * 64; i++) {
        acc += h->step[i];
        if (acc > want || acc == h->n) {
            if (i < 64)
                return i / 1e3;
            int e = (int)(i / 64) + 5;
            u64 lo = (1ull << e) + ((u64)(i & 63) << (e - 6));
            double v = (double)lo + (double)(1ull << (e - 6)) / 2;
            return (v > (double)h->max ? (double)h->max : v) / 1e3;
        }
    }
    return (double)h->max / 1e3;
}

/* ---- cost of the broker and of ourselves ---- */
struct cost {
    double cpu, user, sys, self;
    long rss_kb, hwm_kb, anon_kb;
};

static double tv(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static struct cost cost_now(void)
{
    struct cost c = {0};
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    c.self = tv(ru.ru_utime) + tv(ru.ru_stime);
    if (!broker_pid)
        return c;
    clockid_t clk;
    struct timespec t;
    if (!clock_getcpuclockid(broker_pid, &clk) && !clock_gettime(clk, &t))
        c.cpu = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", broker_pid);
    FILE *f = fopen(path, "r");
    if (f) {
        unsigned long ut, st;
        char *p = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
        if (p &&
            sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ut, &st) == 2) {
            double hz = (double)sysconf(_SC_CLK_TCK);
            c.user = (double)ut / hz;
            c.sys = (double)st / hz;
        }
        fclose(f);
    }
    snprintf(path, sizeof path, "/proc/%d/status", broker_pid);
    f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        sscanf(line, "VmRSS: %ld", &c.rss_kb);
        sscanf(line, "VmHWM: %ld", &c.hwm_kb);
        sscanf(line, "RssAnon: %ld", &c.anon_kb);
    }
    if (f)
        fclose(f);
    return c;
}

/* ---- connection I/O ---- */
static void want(struct conn *c, bool w)
{
    if (c->want_out == w)
        return;
    struct epoll_event ev = {.events = EPOLLIN | (w ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
    c->want_out = w;
}

static void drop(struct conn *c)
{
    if (c->state == C_DEAD)
        return;
    if (c->state == C_READY)
        n_ready_state--;
    else if (c->state != C_NEW)
        n_pending--;
    c->state = C_DEAD;
    closed_n++;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

/* >0 bytes, 0 would block, -1 closed */
static ssize_t io_read(struct conn *c, void *b, size_t n)
{
#ifdef WITH_TLS
    if (c->ssl) {
        int r = SSL_read(c->ssl, b, (int)n);
        if (r > 0)
            return r;
        int e = SSL_get_error(c->ssl, r);
        return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
#endif
    ssize_t r = recv(c->fd, b, n, 0);
    if (r > 0)
        return r;
    return r < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static ssize_t io_write(struct conn *c, const void *b, size_t n)
{
#ifdef WITH_TLS
    if (c->ssl) {
        int r = SSL_write(c->ssl, b, (int)n);
        if (r > 0)
            return r;
        int e = SSL_get_error(c->ssl, r);
        return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
#endif
    ssize_t r = send(c->fd, b, n, MSG_NOSIGNAL);
    if (r > 0)
        return r;
    return r < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void flush(struct conn *c)
{
    while (c->outlen) {
        ssize_t r = io_write(c, c->out + c->outoff, c->outlen);
        if (r < 0) {
            drop(c);
            return;
        }
        if (r == 0) {
            want(c, true);
            return;
        }
        c->outoff += (size_t)r;
        c->outlen -= (size_t)r;
    }
    c->outoff = 0;
    want(c, false);
}

static u8 *out_room(struct conn *c, size_t n)
{
    if (c->outoff && c->outoff + c->outlen + n > c->outcap) {
        memmove(c->out, c->out + c->outoff, c->outlen);
        c->outoff = 0;
    }
    if (c->outlen + n > c->outcap) {
        c->outcap = c->outlen + n < 256 ? 256 : (c->outlen + n) * 2;
        c->out = realloc(c->out, c->outcap);
        if (!c->out)
            die("out of memory");
    }
    u8 *p = c->out + c->outoff + c->outlen;
    c->outlen += n;
    return p;
}

static void put4(struct conn *c, u8 type, const u8 *pid)
{
    u8 *p = out_room(c, 4);
    p[0] = type;
    p[1] = 2;
    p[2] = pid[0];
    p[3] = pid[1];
}

static size_t put_len(u8 *p, size_t n)
{
    size_t i = 0;
    do {
        p[i] = n & 127;
        n >>= 7;
        if (n)
            p[i] |= 128;
        i++;
    } while (n);
    return i;
}

static size_t put_str(u8 *p, const char *s)
{
    size_t n = strlen(s);
    p[0] = (u8)(n >> 8);
    p[1] = (u8)n;
    memcpy(p + 2, s, n);
    return n + 2;
}

static void send_body(struct conn *c, u8 type, const u8 *body, size_t n)
{
    u8 h[5];
    h[0] = type;
    size_t k = 1 + put_len(h + 1, n);
    u8 *p = out_room(c, k + n);
    memcpy(p, h, k);
    memcpy(p + k, body, n);
}

static void send_connect(struct conn *c)
{
    u8 b[1024], *p = b;
    char id[64];
    p += put_str(p, "MQTT");
    *p++ = v5 ? 5 : 4;
    bool lasting = durable && c->role == SUB;
    *p++ = (u8)((lasting ? 0 : 2) | (user ? 0x80 : 0) | (pass ? 0x40 : 0));
    *p++ = (u8)(keepalive >> 8);
    *p++ = (u8)keepalive;
    if (v5 && lasting) {
        memcpy(p, "\5\x11\xff\xff\xff\xff", 6); /* session expiry: never */
        p += 6;
    } else if (v5) {
        *p++ = 0;
    }
    snprintf(id, sizeof id, "ml%d%c%u", run_number, "psixd"[c->role], c -> idx);
    p += put_str(p, id);
    if (user)
        p += put_str(p, user);
    if (pass)
        p += put_str(p, pass);
    send_body(c, 0x10, b, (size_t)(p - b));
    c->state = C_CONNACK;
    flush(c);
}

static void send_subscribe(struct conn *c)
{
    u8 b[200], *p = b;
    char t[100];
    switch (scen) {
    case FANIN: snprintf(t, sizeof t, "%s/in/#", root); break;
    case FANOUT: snprintf(t, sizeof t, "%s/out/all", root); break;
    case PAIRS: snprintf(t, sizeof t, "%s/pair/%06u", root, c->idx); break;
    case WILD: snprintf(t, sizeof t, "%s/+/dev/%06u/#", root, c->idx); break;
    default: snprintf(t, sizeof t, "%s/ret/#", root);
    }
    *p++ = 0;
    *p++ = 1;
    if (v5)
        *p++ = 0;
    p += put_str(p, t);
    *p++ = (u8)qos;
    send_body(c, 0x82, b, (size_t)(p - b));
    c->state = C_SUBACK;
    flush(c);
}

/* One publish packet serves as a template: topics have fixed-width digits. */
static void make_template(void)
{
    static const char *const tail[] = {"in/000000",           "out/all", "pair/000000",
                                       "000/dev/000000/temp", "",        "ret/000000/v"};
    char t[100];
    snprintf(t, sizeof t, "%s/%s", root, tail[scen]);
    size_t tl = strlen(t), body = 2 + tl + (qos ? 2 : 0) + (v5 ? 1 : 0) + psize;
    tmpl = xalloc(body + 5);
    tmpl[0] = (u8)(0x30 | qos << 1 | (scen == RETAINED));
    u8 *p = tmpl + 1 + put_len(tmpl + 1, body);
    p += put_str(p, t);
    off_pid = (size_t)(p - tmpl);
    if (qos)
        p += 2;
    if (v5)
        *p++ = 0;
    off_pay = (size_t)(p - tmpl);
    for (size_t i = 0; i < psize; i++)
        p[i] = (u8)('a' + i % 26);
    tmpl_len = off_pay + psize;
}

static void digits(u8 *end, u32 v, int n)
{
    while (n--) {
        *--end = (u8)('0' + v % 10);
        v /= 10;
    }
}

static u64 due_ns(const struct conn *c)
{
    return t_start + (u64)(((double)c->seq * npubs + c->idx) * 1e9 / rate);
}

static u32 fan(void)
{
    return scen == FANOUT ? nsubs : 1;
}

static bool credit_ok(void)
{
    return (!credit || expected - (received - dups) < credit) && (!count || sent < count);
}

static bool can_send(const struct conn *c, u64 now)
{
    return running && c->state == C_READY && (!qos || c->inflight < window) && credit_ok() &&
           (rate <= 0 || due_ns(c) <= now);
}

static void ready_push(struct conn *c)
{
    if (c->queued || c->role != PUB)
        return;
    c->queued = true;
    ring[(ring_head + ring_n++) % ring_cap] = c;
}

static void pump(struct conn *c)
{
    u64 now = now_ns();
    size_t n = 0;
    if (c->state != C_READY || c->want_out)
        return;
    while (n < burst && can_send(c, now)) {
        u8 *p = out_room(c, tmpl_len);
        u64 ts = rate > 0 ? due_ns(c) : now;
        memcpy(p, tmpl, tmpl_len);
        if (scen == FANIN || scen == PAIRS)
            digits(p + off_pid, c->idx, 6);
        else if (scen == RETAINED)
            digits(p + off_pid - 2, (u32)sent, 6);
        else if (scen == WILD) {
            rng ^= rng << 13;
            rng ^= rng >> 17;
            rng ^= rng << 5;
            digits(p + off_pid - 5, rng % nsubs, 6);
            digits(p + off_pid - 16, (rng >> 16) % 1000, 3);
        }
        if (qos) {
            if (++c->pid == 0)
                c->pid = 1;
            p[off_pid] = (u8)(c->pid >> 8);
            p[off_pid + 1] = (u8)c->pid;
            c->inflight++;
            c->sent_at[c->pid & sent_mask] = ts;
        }
        c->seq++;
        memcpy(p + off_pay, &ts, 8);
        memcpy(p + off_pay + 8, &c->idx, 4);
        memcpy(p + off_pay + 12, &c->seq, 4);
        sent++;
        expected += absent ? 0 : fan();
        slow_expected += scen == PAIRS ? c->idx < nslow : nslow;
        n += tmpl_len;
    }
    if (n)
        flush(c);
    if (!c->want_out && c->state == C_READY && (!qos || c->inflight < window) && running &&
        (rate <= 0 || due_ns(c) <= now))
        ready_push(c);
}

static struct seen *seen_by(u32 pub, const struct conn *c)
{
    return &seen[(size_t)pub * (nsubs + nslow) + (c->role == SLOW ? nsubs : 0) + c->idx];
}

/* What is due to this subscriber, was acknowledged to its publisher, and has not come.  While
   messages are unacknowledged it is a lower bound, for some of those may have come. */
static u64 acked_lost(const struct conn *c)
{
    u64 n = 0;
    u32 from = scen == PAIRS ? c->idx : 0, to = scen == PAIRS ? c->idx + 1 : npubs;
    for (u32 i = from; i < to; i++) {
        u32 acked = conns[pub0 + i].seq - conns[pub0 + i].inflight, got = seen_by(i, c)->got;
        n += acked > got ? acked - got : 0;
    }
    return n;
}

static void on_publish(struct conn *c, u8 head, const u8 *p, size_t n, u64 now)
{
    int q = head >> 1 & 3;
    size_t tl = n >= 2 ? (size_t)p[0] << 8 | p[1] : n, o = 2 + tl;
    if (o + (q ? 2u : 0u) > n) {
        bad++;
        return;
    }
    if (q) {
        put4(c, q == 1 ? 0x40 : 0x50, p + o);
        o += 2;
    }
    if (v5) {
        size_t pl = 0, sh = 0;
        do
            pl |= (size_t)(p[o] & 127) << sh, sh += 7;
        while (o < n && p[o++] & 128);
        o += pl;
    }
    if (o > n || n - o != psize) {
        bad++;
        return;
    }
    u64 ts;
    u32 pi, seq;
    memcpy(&ts, p + o, 8);
    memcpy(&pi, p + o + 8, 4);
    memcpy(&seq, p + o + 12, 4);
    bool slow = c->role == SLOW;
    if (slow) {
        slow_received++;
    } else {
        received++;
        if (!first_rx)
            first_rx = now;
        last_rx = now;
        if (ts >= t_meas && t_meas)
            hist_add(&delivery, now > ts ? now - ts : 0);
    }
    if (seen && pi < npubs) {
        struct seen *l = seen_by(pi, c);
        if (seq == l->last) {
            ++*(slow ? &slow_dups : &dups);
            return;
        }
        l->got++;
        if (seq < l->last)
            ++*(slow ? &slow_disorder : &disorder);
        else
            l->last = seq;
    }
}

static void on_acknowledged(struct conn *c, const u8 *p, size_t n, u64 now)
{
    if (n < 2)
        return;
    u64 at = c->sent_at ? c->sent_at[(u32)(p[0] << 8 | p[1]) & sent_mask] : 0;
    if (c->inflight)
        c->inflight--;
    acked++;
    if (t_meas && at >= t_meas)
        hist_add(&acknowledgement, now > at ? now - at : 0);
    ready_push(c);
}

static void on_packet(struct conn *c, u8 head, const u8 *p, size_t n, u64 now)
{
    switch (head >> 4) {
    case 2: /* CONNACK */
        if (n < 2 || p[1]) {
            refused++;
            drop(c);
            return;
        }
        if (c->role != PUB && c->role != IDLE) {
            send_subscribe(c);
        } else {
            c->state = C_READY;
            n_ready_state++;
            n_pending--;
        }
        break;
    case 9: /* SUBACK */
        if (c->state == C_SUBACK) {
            if (n < 3 || p[n - 1] >= 0x80)
                rejected_sub++;
            c->state = C_READY;
            n_ready_state++;
            n_pending--;
            if (c->role != SUB) /* from now on it is read slowly, or not at all */
                epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
        }
        break;
    case 3: on_publish(c, head, p, n, now); break;
    case 4: /* PUBACK */
    case 7: /* PUBCOMP */ on_acknowledged(c, p, n, now); break;
    case 5: /* PUBREC */
        if (n >= 2)
            put4(c, 0x62, p);
        break;
    case 6: /* PUBREL */
        if (n >= 2)
            put4(c, 0x70, p);
        break;
    case 13: break;
    default: bad++;
    }
}

/* Decrypted bytes that epoll knows nothing about. */
static bool tls_pending(const struct conn *c)
{
#ifdef WITH_TLS
    return c->ssl && SSL_pending(c->ssl) > 0;
#else
    (void)c;
    return false;
#endif
}

static void on_readable(struct conn *c)
{
    for (int round = 0; round < 8 || tls_pending(c); round++) {
        size_t have = c->partlen;
        if (have)
            memcpy(rbuf, c->part, have);
        size_t room = sizeof rbuf - have;
        ssize_t r = io_read(c, rbuf + have, room < read_most ? room : read_most);
        if (r < 0) {
            drop(c);
            return;
        }
        if (r == 0)
            break;
        u64 now = now_ns();
        size_t len = have + (size_t)r, o = 0;
        c->allowance -= (double)r;
        while (len - o >= 2) {
            size_t rl = 0, k = 1;
            int sh = 0;
            bool whole = false;
            while (o + k < len && k < 5) {
                u8 b = rbuf[o + k++];
                rl |= (size_t)(b & 127) << sh;
                sh += 7;
                if (!(b & 128)) {
                    whole = true;
                    break;
                }
            }
            if (!whole || len - o - k < rl)
                break;
            on_packet(c, rbuf[o], rbuf + o + k, rl, now);
            if (c->state == C_DEAD)
                return;
            o += k + rl;
        }
        c->partlen = len - o;
        if (c->partlen > c->partcap) {
            c->partcap = c->partlen * 2;
            free(c->part);
            c->part = xalloc(c->partcap);
        }
        if (c->partlen)
            memcpy(c->part, rbuf + o, c->partlen);
        if (c->partlen == sizeof rbuf)
            die("packet too large");
        if ((size_t)r < sizeof rbuf - have) {
#ifdef WITH_TLS
            if (c->ssl)
                continue;
#endif
            break;
        }
    }
    if (c->outlen && !c->want_out)
        flush(c);
}

#ifdef WITH_TLS
static int on_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    bool first = !session;
    if (first)
        session = s;
    return first;
}
#endif

static void tls_step(struct conn *c)
{
#ifdef WITH_TLS
    int r = SSL_connect(c->ssl);
    if (r == 1) {
        resumed += (u64)SSL_session_reused(c->ssl);
        send_connect(c);
        return;
    }
    int e = SSL_get_error(c->ssl, r);
    if (e == SSL_ERROR_WANT_WRITE)
        want(c, true);
    else if (e == SSL_ERROR_WANT_READ)
        want(c, false);
    else
        drop(c);
#else
    (void)c;
#endif
}

static void on_event(struct conn *c, u32 ev)
{
    if (c->state == C_DEAD || c->state == C_NEW)
        return;
    if (c->state == C_TCP) {
        int e = 0;
        socklen_t l = sizeof e;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &l);
        if (e) {
            drop(c);
            return;
        }
        if (!(ev & EPOLLOUT))
            return;
#ifdef WITH_TLS
        if (tls) {
            c->ssl = SSL_new(tls);
            SSL_set_fd(c->ssl, c->fd);
            SSL_SESSION *copy = session ? SSL_SESSION_dup(session) : NULL; /* one is used once */
            SSL_set_session(c->ssl, copy);
            SSL_SESSION_free(copy);
            struct in_addr ip;
            if (inet_pton(AF_INET, host, &ip) != 1)
                SSL_set_tlsext_host_name(c->ssl, host);
            c->state = C_TLS;
            tls_step(c);
            return;
        }
#endif
        send_connect(c);
        return;
    }
    if (c->state == C_TLS) {
        tls_step(c);
        return;
    }
    if (ev & (EPOLLIN | EPOLLHUP | EPOLLERR))
        on_readable(c);
    if (c->state != C_DEAD && (ev & EPOLLOUT)) {
        flush(c);
        if (c->state == C_READY && !c->want_out)
            ready_push(c);
    }
}

static void start_conn(struct conn *c)
{
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket: %s", strerror(errno));
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (sndbuf)
        setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof sndbuf);
    int small = 4096; /* so that what it does not read is soon the broker's to keep */
    if (c->role == SLOW || c->role == DEAF)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (nsources > 1) {
        struct sockaddr_in a = {.sin_family = AF_INET};
        a.sin_addr.s_addr = htonl(0x7f000001u + c->idx % (u32)nsources);
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(c->fd, (struct sockaddr *)&a, sizeof a))
            die("bind: %s", strerror(errno));
    }
    if (connect(c->fd, (struct sockaddr *)&dst, sizeof dst) && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    c->want_out = true;
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev))
        die("epoll_ctl: %s", strerror(errno));
    c->state = C_TCP;
    n_pending++;
}

/* Lets each slow subscriber read what it may by now. */
static void read_slowly(void)
{
    u64 now = now_ns();
    double more = (double)(now - slow_read_at) / 1e9 * slow_rate * (double)tmpl_len;
    double most = slow_rate * (double)tmpl_len / 10 + (double)tmpl_len;
    slow_read_at = now;
    for (u32 i = 0; i < nslow; i++) {
        struct conn *c = &conns[slow0 + i];
        c->allowance = c->allowance + more < most ? c->allowance + more : most;
        if (c->state == C_READY && c->outlen)
            flush(c); /* it is not watched */
        if (c->state != C_READY || c->allowance < (double)tmpl_len)
            continue;
        read_most = (size_t)c->allowance;
        on_readable(c);
        read_most = sizeof rbuf;
    }
}

/* Run the event loop once; timeout in ns (0 = poll). */
static void loop_once(u64 timeout)
{
    struct epoll_event ev[512];
    bool go = running && ring_n && credit_ok();
    if (nslow) {
        read_slowly();
        if (timeout > 2000000)
            timeout = 2000000;
    }
    int n = epoll_wait(ep, ev, 512, go ? 0 : (int)((timeout + 999999) / 1000000));
    for (int i = 0; i < n; i++)
        if (ev[i].data.ptr)
            on_event(ev[i].data.ptr, ev[i].events);
    if (!running)
        return;
    if (rate > 0) {
        u64 now = now_ns(), due;
        for (;;) {
            due = t_start + (u64)((double)sched_k * 1e9 / rate);
            if (due > now)
                break;
            ready_push(&conns[pub0 + sched_k++ % npubs]);
        }
        struct itimerspec it = {
            .it_value = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)}};
        timerfd_settime(tfd, TFD_TIMER_ABSTIME, &it, NULL);
    }
    for (u32 k = ring_n; k && credit_ok(); k--) {
        struct conn *c = ring[ring_head];
        ring_head = (ring_head + 1) % ring_cap;
        ring_n--;
        c->queued = false;
        pump(c);
    }
}

/* Connect conns[from..to), at most `parallel` at a time, until all are up. */
static void bring_up(u32 from, u32 to, double limit)
{
    u64 end = now_ns() + (u64)(limit * 1e9);
    u32 next = from;
    while (next < to || n_pending) {
        while (next < to && n_pending < (u32)parallel)
            start_conn(&conns[next++]);
        loop_once(50000000);
        if (now_ns() > end)
            die("connect phase timed out (%u up, %u pending, %llu refused, %llu closed)",
                n_ready_state, n_pending, (unsigned long long)refused,
                (unsigned long long)closed_n);
        if (scen != CONN && closed_n)
            die("connection closed or refused in setup (%llu refused)",
                (unsigned long long)refused);
    }
}

static void run_for(double sec)
{
    u64 end = now_ns() + (u64)(sec * 1e9);
    for (;;) {
        u64 t = now_ns();
        if (t >= end || (count && sent >= count))
            return;
        loop_once(end - t < 50000000 ? end - t : 50000000);
    }
}

/* Wait until `want_n` are received, and what is due to slow subscribers, or nothing came for
   `quiet`, or `limit`; says which.  Only after "quiet" are the missing ones surely lost. */
static const char *settle(u64 want_n, double quiet, double limit)
{
    u64 t0 = now_ns(), last = t0, before = received + slow_received;
    while (received - dups < want_n || slow_received - slow_dups < slow_expected) {
        loop_once(20000000);
        u64 t = now_ns();
        if (received + slow_received != before) {
            before = received + slow_received;
            last = t;
        }
        if (t - last > (u64)(quiet * 1e9))
            return "quiet";
        if (t - t0 > (u64)(limit * 1e9))
            return "limit";
    }
    return "complete";
}

static void usage(void)
{
    fputs("mqttload --scenario fanin|fanout|pairs|wild|conn|retained [options]\n"
          "  --host A --port N --user U --pass P --tls CAFILE --v5 --keepalive S\n"
          "  --resume (conn: the session of the first connection, by all others)\n"
          "  --pubs N --subs N --qos Q --size BYTES --window W (QoS>0 in flight per publisher)\n"
          "  --time S --warm S --drain S --rate MSGS_PER_S (open loop) --count N --credit N\n"
          "  --burst BYTES (most per write) --sndbuf BYTES --conns N --retained N --hold S\n"
          "  --slow N --slow-rate MSGS_PER_S (further subscribers that read so much) --quiet S\n"
          "  --deaf N (further subscribers that read nothing)\n"
          "  --durable (subscribers' sessions outlive them) --run N (names them)\n"
          "  --absent (durable, and gone before anything is sent)\n"
          "  --collect N (takes what waits for the durable ones of --run, N messages)\n"
          "  --parallel N (connects at a time) --sources N (127.0.0.1..) --pid BROKERPID --label "
          "TEXT\n",
          stderr);
    exit(2);
}

static void options(int argc, char **argv)
{
    static const struct option o[] = {{"scenario", 1, 0, 'S'},
                                      {"host", 1, 0, 'h'},
                                      {"port", 1, 0, 'p'},
                                      {"user", 1, 0, 'u'},
                                      {"pass", 1, 0, 'P'},
                                      {"tls", 1, 0, 'T'},
                                      {"v5", 0, 0, '5'},
                                      {"resume", 0, 0, 'R' + 128},
                                      {"keepalive", 1, 0, 'k'},
                                      {"pubs", 1, 0, 'a'},
                                      {"subs", 1, 0, 'b'},
                                      {"qos", 1, 0, 'q'},
                                      {"size", 1, 0, 's'},
                                      {"window", 1, 0, 'w'},
                                      {"time", 1, 0, 't'},
                                      {"warm", 1, 0, 'W'},
                                      {"drain", 1, 0, 'd'},
                                      {"rate", 1, 0, 'r'},
                                      {"count", 1, 0, 'c'},
                                      {"credit", 1, 0, 'C'},
                                      {"burst", 1, 0, 'B'},
                                      {"sndbuf", 1, 0, 'f'},
                                      {"conns", 1, 0, 'n'},
                                      {"retained", 1, 0, 'R'},
                                      {"hold", 1, 0, 'H'},
                                      {"parallel", 1, 0, 'l'},
                                      {"sources", 1, 0, 'o'},
                                      {"pid", 1, 0, 'i'},
                                      {"label", 1, 0, 'L'},
                                      {"slow", 1, 0, 'x'},
                                      {"slow-rate", 1, 0, 'X'},
                                      {"deaf", 1, 0, 'D'},
                                      {"quiet", 1, 0, 'Q'},
                                      {"durable", 0, 0, 'E'},
                                      {"absent", 0, 0, 'A'},
                                      {"run", 1, 0, 'r' + 128},
                                      {"collect", 1, 0, 'c' + 128},
                                      {0, 0, 0, 0}};
    int ch;
    while ((ch = getopt_long(argc, argv, "", o, NULL)) != -1) {
        switch (ch) {
        case 'S': {
            u32 i = 0;
            while (i < 6 && strcmp(optarg, scen_name[i]))
                i++;
            if (i == 6)
                usage();
            scen = (enum scen)i;
            break;
        }
        case 'h': host = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 'u': user = optarg; break;
        case 'P': pass = optarg; break;
        case 'T': cafile = optarg; break;
        case '5': v5 = 1; break;
        case 'R' + 128: resume = true; break;
        case 'k': keepalive = atoi(optarg); break;
        case 'a': npubs = (u32)atol(optarg); break;
        case 'b': nsubs = (u32)atol(optarg); break;
        case 'q': qos = atoi(optarg); break;
        case 's': psize = (size_t)atol(optarg); break;
        case 'w': window = (u32)atol(optarg); break;
        case 't': t_time = atof(optarg); break;
        case 'W': t_warm = atof(optarg); break;
        case 'd': t_drain = atof(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'c': count = strtoull(optarg, NULL, 10); break;
        case 'C': credit = strtoull(optarg, NULL, 10); break;
        case 'B': burst = (size_t)atol(optarg); break;
        case 'f': sndbuf = atoi(optarg); break;
        case 'n': nconns = (u32)atol(optarg); break;
        case 'R': nret = (u32)atol(optarg); break;
        case 'H': t_hold = atof(optarg); break;
        case 'l': parallel = atoi(optarg); break;
        case 'o': nsources = atoi(optarg); break;
        case 'i': broker_pid = atoi(optarg); break;
        case 'L': label = optarg; break;
        case 'x': nslow = (u32)atol(optarg); break;
        case 'X': slow_rate = atof(optarg); break;
        case 'D': ndeaf = (u32)atol(optarg); break;
        case 'Q': t_quiet = atof(optarg); break;
        case 'E': durable = true; break;
        case 'A': absent = durable = true; break;
        case 'r' + 128: run_number = atoi(optarg); break;
        case 'c' + 128:
            collect = strtoull(optarg, NULL, 10);
            durable = true;
            break;
        default: usage();
        }
    }
    if (optind != argc || qos < 0 || qos > 2 || psize < 16 || psize > 200000 || window < 1 ||
        window > 60000)
        usage();
}

static void common_json(const char *more)
{
    printf("{\"label\":\"%s\",\"scenario\":\"%s\",\"version\":%d,\"tls\":%d,\"qos\":%d,\"size\":%"
           "zu,\"pubs\":%u,\"subs\":%u,"
           "\"window\":%u,\"rate\":%.0f,\"credit\":%llu,%s}\n",
           label, scen_name[scen], v5 ? 5 : 4, cafile != NULL, qos, psize, npubs, nsubs, window,
           rate, (unsigned long long)credit, more);
}

static void broker_json(char *s, size_t n, struct cost a, struct cost b, double per)
{
    snprintf(
        s, n,
        "\"self_cpu_s\":%.3f,\"broker_cpu_s\":%.4f,\"broker_user_s\":%.2f,\"broker_sys_s\":%.2f,"
        "\"broker_cpu_us_per_msg\":%.3f,\"rss_before_kb\":%ld,\"rss_after_kb\":%ld,\"rss_peak_kb\":"
        "%ld",
        b.self - a.self, b.cpu - a.cpu, b.user - a.user, b.sys - a.sys,
        per > 0 ? (b.cpu - a.cpu) * 1e6 / per : 0, a.rss_kb, b.rss_kb, b.hwm_kb);
}

static void scen_conn(void)
{
    char s[600], m[1200];
    u32 first = resume ? 1 : 0;
    bring_up(0, first, 60);
    struct cost a = cost_now();
    u64 t0 = now_ns();
    bring_up(first, nc, 60);
    double sec = (double)(now_ns() - t0) / 1e9;
    run_for(0.3);
    struct cost b = cost_now();
    run_for(t_hold);
    struct cost c = cost_now();
    u32 up = n_ready_state - first;
    broker_json(s, sizeof s, a, b, up);
    snprintf(m, sizeof m,
             "\"conns\":%u,\"connected\":%u,\"refused\":%llu,\"closed\":%llu,\"seconds\":%.3f,"
             "\"connects_per_s\":%.0f,\"resumed\":%llu,"
             "\"rss_bytes_per_conn\":%.0f,\"anon_bytes_per_conn\":%.0f,"
             "\"held_bytes_per_conn\":%.0f,\"idle_cpu_percent\":%.2f,%s",
             nconns, n_ready_state, (unsigned long long)refused, (unsigned long long)closed_n, sec,
             up / sec, (unsigned long long)resumed,
             up ? (double)(b.rss_kb - a.rss_kb) * 1024 / up : 0,
             up ? (double)(b.anon_kb - a.anon_kb) * 1024 / up : 0,
             up ? (double)(c.anon_kb - a.anon_kb) * 1024 / up : 0,
             t_hold > 0 ? (c.cpu - b.cpu) * 100 / t_hold : 0, s);
    common_json(m);
}

static void scen_retained(void)
{
    char s[600], m[1200];
    struct cost z = cost_now();
    bring_up(pub0, pub0 + 1, 10);
    count = nret;
    t_start = now_ns();
    running = true;
    ready_push(&conns[pub0]);
    u64 end = t_start + (u64)(t_time * 10 * 1e9);
    while ((sent < count || conns[pub0].inflight || conns[pub0].outlen) && now_ns() < end &&
           !closed_n)
        loop_once(20000000);
    running = false;
    double store = (double)(now_ns() - t_start) / 1e9;
    u64 nsent = sent;
    run_for(0.5);
    struct cost a = cost_now();
    u64 t0 = now_ns();
    bring_up(sub0, sub0 + 1, 10);
    const char *drained = settle(nsent, 1.5, t_drain + 5);
    struct cost b = cost_now();
    broker_json(s, sizeof s, a, b, (double)received);
    double sec = last_rx > t0 ? (double)(last_rx - t0) / 1e9 : 0;
    snprintf(m, sizeof m,
             "\"sent\":%llu,\"received\":%llu,\"lost\":%lld,\"drain\":\"%s\",\"bad\":%llu,"
             "\"closed\":%llu,\"store_seconds\":%.3f,\"stored_per_s\":%.0f,"
             "\"rss_start_kb\":%ld,\"first_ms\":%.2f,\"seconds\":%.4f,\"msgs_per_s\":%.0f,%s",
             (unsigned long long)nsent, (unsigned long long)received,
             (long long)nsent - (long long)received, drained, (unsigned long long)bad,
             (unsigned long long)closed_n, store, nsent / store, z.rss_kb,
             first_rx > t0 ? (double)(first_rx - t0) / 1e6 : 0, sec, sec > 0 ? received / sec : 0,
             s);
    common_json(m);
}

/* What was acknowledged, and what of that was lost; how the slow ones fared. */
static void acked_json(char *s, size_t n)
{
    u64 unacked = 0, lost = 0, slow_lost = 0;
    for (u32 i = 0; i < npubs; i++)
        unacked += conns[pub0 + i].inflight;
    for (u32 i = 0; qos && seen && scen != WILD && i < nsubs; i++)
        lost += acked_lost(&conns[sub0 + i]);
    for (u32 i = 0; qos && seen && i < nslow; i++)
        slow_lost += acked_lost(&conns[slow0 + i]);
    int k = snprintf(s, n, "\"unacked\":%llu,\"acked_lost\":%llu,", (unsigned long long)unacked,
                     (unsigned long long)lost);
    if (nslow)
        snprintf(s + k, n - (size_t)k,
                 "\"slow_expected\":%llu,\"slow_received\":%llu,\"slow_acked_lost\":%llu,"
                 "\"slow_dups\":%llu,\"slow_disorder\":%llu,",
                 (unsigned long long)slow_expected, (unsigned long long)slow_received,
                 (unsigned long long)slow_lost, (unsigned long long)slow_dups,
                 (unsigned long long)slow_disorder);
}

/* What one says who goes for good; its session stays. */
static void part(struct conn *c)
{
    static const u8 disconnect[2] = {0xe0, 0};
    memcpy(out_room(c, sizeof disconnect), disconnect, sizeof disconnect);
    flush(c);
    drop(c);
    closed_n--;
}

/* Until all that was sent is acknowledged. */
static void settle_acknowledged(double limit)
{
    u64 end = now_ns() + (u64)(limit * 1e9);
    while (qos && acked < sent && now_ns() < end)
        loop_once(20000000);
}

/* Takes what waits for durable subscribers. */
static void scen_collect(void)
{
    char s[600], m[1200];
    struct cost a = cost_now();
    u64 t0 = now_ns();
    bring_up(sub0, sub0 + nsubs, 60);
    const char *drained = settle(collect, t_quiet, t_drain);
    struct cost b = cost_now();
    broker_json(s, sizeof s, a, b, (double)received);
    double sec = last_rx > t0 ? (double)(last_rx - t0) / 1e9 : 0;
    snprintf(m, sizeof m,
             "\"expected\":%llu,\"received\":%llu,\"lost\":%lld,\"drain\":\"%s\",\"dups\":%llu,"
             "\"disorder\":%llu,\"bad\":%llu,\"closed\":%llu,\"first_ms\":%.2f,\"seconds\":%.4f,"
             "\"msgs_per_s\":%.0f,%s",
             (unsigned long long)collect, (unsigned long long)received,
             (long long)collect - (long long)(received - dups), drained, (unsigned long long)dups,
             (unsigned long long)disorder, (unsigned long long)bad, (unsigned long long)closed_n,
             first_rx > t0 ? (double)(first_rx - t0) / 1e6 : 0, sec,
             sec > 0 ? (double)received / sec : 0, s);
    common_json(m);
}

static void scen_traffic(void)
{
    char s[600], m[3000], acks[400];
    bring_up(sub0, sub0 + nsubs, 30);
    for (u32 i = 0; absent && i < nsubs; i++)
        part(&conns[sub0 + i]);
    bring_up(slow0, slow0 + nslow + ndeaf, 30);
    bring_up(pub0, pub0 + npubs, 30);
    run_for(0.2);
    struct cost a = cost_now();
    t_start = now_ns();
    running = true;
    for (u32 i = 0; i < npubs; i++)
        if (rate <= 0)
            ready_push(&conns[pub0 + i]);
    run_for(t_warm);
    struct cost w0 = cost_now();
    u64 r0 = received, a0 = acked, m0 = t_meas = now_ns();
    run_for(t_time);
    u64 r1 = received, a1 = acked, m1 = now_ns();
    double acked_per_s = (double)(a1 - a0) * 1e9 / (double)(m1 - m0);
    struct cost w1 = cost_now();
    running = false;
    if (count)
        m1 = 0;
    const char *drained = settle(expected, t_quiet, t_drain);
    settle_acknowledged(absent ? t_drain : 0);
    if (!m1)
        r1 = received, m1 = absent ? now_ns() : last_rx;
    struct cost b = cost_now();
    double sec = (double)(m1 - m0) / 1e9;
    broker_json(s, sizeof s, a, b, (double)(absent ? acked : received));
    acked_json(acks, sizeof acks);
    snprintf(m, sizeof m,
             "\"sent\":%llu,\"expected\":%llu,\"received\":%llu,\"lost\":%lld,\"drain\":\"%s\",%s"
             "\"dups\":%llu,\"disorder\":%llu,\"bad\":%llu,"
             "\"closed\":%llu,\"sub_rejected\":%llu,\"seconds\":%.3f,\"total_seconds\":%.3f,\"msgs_"
             "per_s\":%.0f,"
             "\"acked_per_s\":%.0f,\"ack_p50_us\":%.1f,\"ack_p99_us\":%.1f,\"ack_max_us\":%.1f,"
             "\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,"
             "\"window_broker_cpu_us_per_msg\":%.3f,\"broker_cpu_percent\":%.1f,\"self_cpu_"
             "percent\":%.1f,%s",
             (unsigned long long)sent, (unsigned long long)expected, (unsigned long long)received,
             (long long)expected - (long long)(received - dups), drained, acks,
             (unsigned long long)dups, (unsigned long long)disorder, (unsigned long long)bad,
             (unsigned long long)closed_n, (unsigned long long)rejected_sub, sec,
             (double)(last_rx - t_start) / 1e9, (double)(r1 - r0) / sec, acked_per_s,
             hist_us(&acknowledgement, .5), hist_us(&acknowledgement, .99),
             (double)acknowledgement.max / 1e3, hist_us(&delivery, .5), hist_us(&delivery, .9),
             hist_us(&delivery, .99), hist_us(&delivery, .999), (double)delivery.max / 1e3,
             r1 > r0 ? (w1.cpu - w0.cpu) * 1e6 / (double)(r1 - r0) : 0,
             (w1.cpu - w0.cpu) * 100 / sec, (w1.self - w0.self) * 100 / sec, s);
    common_json(m);
}

int main(int argc, char **argv)
{
    options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    run_number = run_number ? run_number : (int)getpid();
    snprintf(root, sizeof root, "m%d", run_number);
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);

    dst.sin_family = AF_INET;
    dst.sin_port = htons((u16)port);
    if (inet_pton(AF_INET, host, &dst.sin_addr) != 1) {
        struct addrinfo hint = {.ai_family = AF_INET}, *ai;
        if (getaddrinfo(host, NULL, &hint, &ai))
            die("cannot resolve host");
        dst.sin_addr = ((struct sockaddr_in *)(void *)ai->ai_addr)->sin_addr;
        freeaddrinfo(ai);
    }
    if (cafile) {
#ifdef WITH_TLS
        tls = SSL_CTX_new(TLS_client_method());
        if (!tls || SSL_CTX_load_verify_locations(tls, cafile, NULL) != 1)
            die("cannot load CA file");
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
        if (resume) {
            SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
            SSL_CTX_sess_set_new_cb(tls, on_session);
        }
        SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
#else
        die("built without TLS");
#endif
    }

    switch (scen) {
    case FANIN:
        npubs = npubs ? npubs : 50;
        nsubs = 1;
        break;
    case FANOUT:
        npubs = 1;
        nsubs = nsubs ? nsubs : 500;
        break;
    case PAIRS:
        npubs = npubs ? npubs : nsubs ? nsubs : 100;
        nsubs = npubs;
        break;
    case WILD:
        npubs = npubs ? npubs : 50;
        nsubs = nsubs ? nsubs : 1000;
        break;
    case RETAINED: npubs = nsubs = 1; break;
    case CONN: npubs = nsubs = 0; break;
    }
    if ((durable || collect) && scen > WILD)
        usage();
    bool floods = scen == FANIN || scen == FANOUT || scen == PAIRS;
    if ((nslow || ndeaf) && (!floods || nslow > npubs * nsubs || ndeaf > npubs * nsubs))
        usage(); /* who is slow or deaf in pairs is beside one of them */
    nc = scen == CONN ? nconns : npubs + nsubs + nslow + ndeaf;
    sub0 = 0;
    pub0 = nsubs;
    slow0 = pub0 + npubs;
    conns = xalloc(nc * sizeof *conns);
    for (u32 i = 0; i < nc; i++) {
        conns[i].fd = -1;
        u32 from = scen == CONN || i < pub0 ? 0
                   : i < slow0              ? pub0
                   : i < slow0 + nslow      ? slow0
                                            : slow0 + nslow;
        conns[i].role = scen == CONN        ? IDLE
                        : i < pub0          ? SUB
                        : i < slow0         ? PUB
                        : i < slow0 + nslow ? SLOW
                                            : DEAF;
        conns[i].idx = i - from;
    }
    if (scen != CONN && scen != RETAINED && (u64)npubs * (nsubs + nslow) <= 50000000)
        seen = xalloc((size_t)npubs * (nsubs + nslow) * sizeof *seen);
    ring_cap = npubs + 1;
    ring = xalloc(ring_cap * sizeof *ring);
    make_template();

    ep = epoll_create1(EPOLL_CLOEXEC);
    tfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    if (ep < 0 || tfd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, tfd, &ev))
        die("epoll: %s", strerror(errno));

    while (qos && sent_mask + 1 < 4 * window)
        sent_mask = sent_mask * 2 + 1;
    for (u32 i = 0; qos && i < npubs; i++)
        conns[pub0 + i].sent_at = xalloc((sent_mask + 1) * sizeof(u64));

    if (collect)
        scen_collect();
    else if (scen == CONN)
        scen_conn();
    else if (scen == RETAINED)
        scen_retained();
    else
        scen_traffic();
    return 0;
}
