/* Both sides over pairs of streams, and raw frames that no side of ours would send. */
#include "net/websocket.h"

#include "net/pair.h"
#include "net/ws_frame.h"
#include "net/ws_opening.h"
#include "support/alloc_fault.h"
#include "support/unit.h"
#include "unit/net/fake_loop.h"

#include <stdio.h>
#include <sys/socket.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 64 * 1024, BIG = 1 << 20 };

static struct fake_loop fake, fake_other;
static struct gnt_stream *wire; /* the peer's end, raw */
static struct gnt_stream *ws;
static struct gnt_stream *both[2]; /* a client and a server */
static unsigned called;            /* on_ready of ws */

static void on_ready(struct gnt_stream *s)
{
    called++;
    gnt_stream_want(s, 0);
}

static int setup(void **state)
{
    (void)state;
    fake_loop_init(&fake);
    fake_loop_init(&fake_other);
    called = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gnt_stream_close(&wire);
    gnt_stream_close(&ws);
    gnt_stream_close(&both[0]);
    gnt_stream_close(&both[1]);
    gnt_loop_fini(&fake.loop);
    gnt_loop_fini(&fake_other.loop);
    return 0;
}

static void serve_in(size_t room, struct gnt_slice early)
{
    struct gnt_stream *inner;
    gnt_stream_close(&wire);
    gnt_stream_close(&ws);
    assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, room, &wire, &inner), GNT_OK);
    assert_int_equal(gnt_websocket_serve(&inner, early, &ws), GNT_OK);
    assert_null(inner);
    ws->on_ready = on_ready;
}

static void serve(void)
{
    serve_in(ROOM, gnt_slice(NULL, 0));
}

/* ---- Frames by hand */

static const uint8_t mask[4] = {0x11, 0x80, 0x00, 0xff};

/* FIRST: fin, reserved bits and opcode.  Returns the size. */
static size_t put_frame(uint8_t *to, uint8_t first, bool masked, const void *payload, size_t size)
{
    const uint8_t *bytes = payload;
    uint8_t *at = to;
    uint8_t bit = masked ? 0x80 : 0;
    *at++ = first;
    if (size < 126) {
        *at++ = (uint8_t)(bit | size);
    } else if (size <= UINT16_MAX) {
        *at++ = bit | 126;
        *at++ = (uint8_t)(size >> 8);
        *at++ = (uint8_t)size;
    } else {
        *at++ = bit | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            *at++ = (uint8_t)((uint64_t)size >> shift);
    }
    if (masked)
        memcpy(at, mask, 4);
    at += masked ? 4 : 0;
    for (size_t i = 0; i < size; i++)
        *at++ = masked ? bytes[i] ^ mask[i % 4] : bytes[i];
    return (size_t)(at - to);
}

static void send_raw(const void *bytes, size_t size)
{
    const struct iovec iov = {(void *)(uintptr_t)bytes, size};
    size_t n;
    assert_int_equal(gnt_stream_writev(wire, &iov, 1, &n), GNT_OK);
    assert_int_equal(n, size);
}

static void send_frame(uint8_t first, const char *payload)
{
    uint8_t frame[512];
    send_raw(frame, put_frame(frame, first, true, payload, strlen(payload)));
}

/* All that the server has sent, up to CAP bytes; "" if nothing. */
static size_t sent_by(struct gnt_stream *raw, uint8_t *to, size_t cap)
{
    size_t size = 0, n;
    while (size < cap && gnt_stream_read(raw, to + size, cap - size, &n) == GNT_OK)
        size += n;
    return size;
}

#define assert_sent(bytes)                                         \
    do {                                                           \
        uint8_t got_[512];                                         \
        size_t size_ = sent_by(wire, got_, sizeof got_);           \
        assert_int_equal(size_, sizeof(bytes) - 1);                \
        if (size_)                                                 \
            assert_memory_equal(got_, (bytes), sizeof(bytes) - 1); \
    } while (0)

static void assert_reads(const char *expected)
{
    char got[512];
    size_t n, size = 0;
    while (gnt_stream_read(ws, got + size, sizeof got - size, &n) == GNT_OK)
        size += n;
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(got, expected, size);
}

static gnt_err read_says(void)
{
    char got[64];
    size_t n;
    return gnt_stream_read(ws, got, sizeof got, &n);
}

static void write_text(struct gnt_stream *s, const char *text)
{
    const struct iovec iov[] = {{(void *)(uintptr_t)text, 1},
                                {(void *)(uintptr_t)(text + 1), strlen(text) - 1}};
    size_t n;
    assert_int_equal(gnt_stream_writev(s, iov, 2, &n), GNT_OK);
    assert_int_equal(n, strlen(text));
}

/* ---- Reading */

static void test_messages_are_one_stream(void **state)
{
    (void)state;
    serve();
    send_frame(0x02, "one "); /* fragments, with control frames between them */
    send_frame(0x89, "ping");
    send_frame(0x00, "two ");
    send_frame(0x8a, "a pong that nobody asked for");
    send_frame(0x80, "");
    send_frame(0x82, "");
    send_frame(0x82, "three");
    assert_reads("one two three");
    assert_int_equal(read_says(), GNT_MORE);
    assert_sent("\x8a\x04ping");
}

/* Long lengths, all of it one byte at a time, and read into a buffer of CAP bytes. */
static void check_cut(const uint8_t *bytes, size_t size, size_t cut, size_t cap)
{
    uint8_t got[1024];
    size_t n, total = 0;
    serve();
    for (size_t at = 0; at < size;) {
        size_t now = size - at < cut ? size - at : cut;
        send_raw(bytes + at, now);
        at += now;
        gnt_err err;
        do { /* a turn, because small reads that bring nothing are only so many */
            err = gnt_stream_read(ws, got + total, cap, &n);
            assert_true(err || (n > 0 && n <= cap));
            total += n;
            gnt_loop_turn(&fake.loop, 0);
        } while (err == GNT_OK || (ws->events & GNT_READABLE && err != GNT_CLOSED));
        assert_int_equal(err, at < size ? GNT_MORE : GNT_CLOSED);
    }
    assert_int_equal(total, 503);
    for (size_t i = 0; i < total; i++)
        assert_int_equal(got[i], i < 500 ? (uint8_t)(i * 7) : "end"[i - 500]);
    assert_sent("\x8a\x01?\x88\x02\x03\xe8");
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    uint8_t payload[500], bytes[1024];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7);
    size_t size = put_frame(bytes, 0x02, true, payload, 300);
    size += put_frame(bytes + size, 0x89, true, "?", 1);
    size += put_frame(bytes + size, 0x80, true, payload + 300, 200);
    size += put_frame(bytes + size, 0x82, true, "end", 3);
    size += put_frame(bytes + size, 0x88, true, "\x03\xe8", 2);
    for (size_t cut = 1; cut <= size; cut++)
        for (size_t cap = 1; cap <= 512; cap += cap < 20 ? 1 : 61)
            check_cut(bytes, size, cut, cap);
}

/* 64 bits of length: what comes is handed on as it comes. */
static void test_endless_message(void **state)
{
    (void)state;
    static const uint8_t head[] = {0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0,    0,    0,    0};
    serve();
    send_raw(head, sizeof head);
    assert_reads("");
    send_raw("abc", 3);
    assert_reads("abc");
    send_raw("def", 3);
    assert_reads("def");
}

static void test_bytes_behind_the_handshake(void **state)
{
    (void)state;
    uint8_t early[64];
    size_t size = put_frame(early, 0x82, true, "early", 5), n;
    char got[8];
    serve_in(ROOM, gnt_slice(early, size - 2));
    assert_true(ws->events & GNT_READABLE);
    for (int i = 0; i < 3; i++) { /* with a buffer for one byte */
        assert_int_equal(gnt_stream_read(ws, got + i, 1, &n), GNT_OK);
        assert_int_equal(n, 1);
    }
    assert_memory_equal(got, "ear", 3);
    assert_int_equal(read_says(), GNT_MORE);
    assert_false(ws->events & GNT_READABLE);
    send_raw(early + size - 2, 2);
    assert_reads("ly");
}

struct bad {
    const char *what;
    uint8_t first;
    bool unmasked;
    const char *payload;
    size_t size;
    const char *answer; /* the status of the Close */
    gnt_err err;
};

#define BYTES(text) text, sizeof(text) - 1

static const struct bad bad[] = {
    {"text", 0x81, false, BYTES("x"), "\x03\xeb", GNT_PROTOCOL},
    {"empty text", 0x81, false, BYTES(""), "\x03\xeb", GNT_PROTOCOL},
    {"without a mask", 0x82, true, BYTES("x"), "\x03\xea", GNT_PROTOCOL},
    {"ping without a mask", 0x89, true, BYTES(""), "\x03\xea", GNT_PROTOCOL},
    {"first reserved bit", 0xc2, false, BYTES("x"), "\x03\xea", GNT_PROTOCOL},
    {"second", 0xa2, false, BYTES("x"), "\x03\xea", GNT_PROTOCOL},
    {"third", 0x92, false, BYTES("x"), "\x03\xea", GNT_PROTOCOL},
    {"reserved opcode", 0x83, false, BYTES("x"), "\x03\xea", GNT_PROTOCOL},
    {"reserved control opcode", 0x8b, false, BYTES("x"), "\x03\xea", GNT_PROTOCOL},
    {"continuation of nothing", 0x80, false, BYTES("x"), "\x03\xea", GNT_PROTOCOL},
    {"ping in fragments", 0x09, false, BYTES("x"), "\x03\xea", GNT_PROTOCOL},
    {"close of one byte", 0x88, false, BYTES("\x03"), "\x03\xea", GNT_CLOSED},
    {"status 999", 0x88, false, BYTES("\x03\xe7"), "\x03\xea", GNT_CLOSED},
    {"status 1004", 0x88, false, BYTES("\x03\xec"), "\x03\xea", GNT_CLOSED},
    {"status 1005", 0x88, false, BYTES("\x03\xed"), "\x03\xea", GNT_CLOSED},
    {"status 1006", 0x88, false, BYTES("\x03\xee"), "\x03\xea", GNT_CLOSED},
    {"status 1015", 0x88, false, BYTES("\x03\xf7"), "\x03\xea", GNT_CLOSED},
    {"status 2999", 0x88, false, BYTES("\x0b\xb7"), "\x03\xea", GNT_CLOSED},
    {"status 5000", 0x88, false, BYTES("\x13\x88"), "\x03\xea", GNT_CLOSED},
    {"a reason that is not UTF-8", 0x88, false, BYTES("\x03\xe8\xff"), "\x03\xef", GNT_CLOSED},
    {"status 1000", 0x88, false, BYTES("\x03\xe8"), "\x03\xe8", GNT_CLOSED},
    {"status 1001 and a reason", 0x88, false,
     BYTES("\x03\xe9"
           "bye"),
     "\x03\xe9", GNT_CLOSED},
    {"status 3000", 0x88, false, BYTES("\x0b\xb8"), "\x0b\xb8", GNT_CLOSED},
    {"status 4999", 0x88, false, BYTES("\x13\x87"), "\x13\x87", GNT_CLOSED},
};

static void test_closing_for_bad_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint8_t frame[64], got[64];
        serve();
        send_frame(0x82, "before");
        send_raw(frame,
                 put_frame(frame, bad[i].first, !bad[i].unmasked, bad[i].payload, bad[i].size));
        send_frame(0x82, "behind");
        assert_reads("before");
        assert_int_equal(read_says(), bad[i].err);
        assert_int_equal(read_says(), bad[i].err);
        assert_true(ws->events & GNT_READABLE);
        size_t size = sent_by(wire, got, sizeof got);
        if (size != 4 || memcmp(got, "\x88\x02", 2) != 0 || memcmp(got + 2, bad[i].answer, 2) != 0)
            fail_msg("%s: %zu bytes, status %02x%02x", bad[i].what, size, got[2], got[3]);
        size_t n;
        const struct iovec iov = {(void *)(uintptr_t) "x", 1};
        assert_int_equal(gnt_stream_writev(ws, &iov, 1, &n), bad[i].err);
    }
}

/* Lengths that a frame may not have, which its payload need not follow. */
static void test_bad_lengths(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[16];
        size_t size;
    } rows[] = {
        {{0x89, 0xfe, 0x00, 0x7e, 0, 0, 0, 0, 'x'}, 9},                    /* ping of 126 */
        {{0x88, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 'x'}, 15},       /* endless close */
        {{0x82, 0xfe, 0x00, 0x7d, 0, 0, 0, 0, 'x'}, 9},                    /* 125 in 16 bits */
        {{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 'x'}, 15}, /* 65535 in 64 */
        {{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'x'}, 15},    /* 2^63 */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        serve();
        send_raw(rows[i].bytes, rows[i].size);
        assert_int_equal(read_says(), GNT_PROTOCOL);
        assert_sent("\x88\x02\x03\xea");
    }
}

static void test_a_message_within_a_message(void **state)
{
    (void)state;
    serve();
    send_frame(0x02, "a");
    send_frame(0x82, "b");
    assert_reads("a");
    assert_int_equal(read_says(), GNT_PROTOCOL);
    assert_sent("\x88\x02\x03\xea");
}

static void test_peer_is_gone_without_a_word(void **state)
{
    (void)state;
    serve();
    send_frame(0x82, "last");
    gnt_stream_close(&wire);
    assert_reads("last");
    assert_int_equal(read_says(), GNT_CLOSED);
}

/* ---- Readiness */

static void test_ready_in_the_turn_of_the_stream_below(void **state)
{
    (void)state;
    serve();
    gnt_stream_want(ws, GNT_READABLE);
    gnt_loop_turn(&fake.loop, 0);
    assert_int_equal(called, 0);
    send_frame(0x82, "x");
    gnt_loop_turn(&fake.loop, 0);
    assert_int_equal(called, 1);
    assert_reads("x");
    assert_false(ws->events & GNT_READABLE);
}

/* Frames that bring nothing do not keep the loop from the others, and are not forgotten. */
static void test_many_pings(void **state)
{
    (void)state;
    uint8_t frame[8];
    size_t size = put_frame(frame, 0x89, true, "", 0);
    char got[64];
    size_t n;
    serve();
    for (int i = 0; i < 1000; i++)
        send_raw(frame, size);
    send_frame(0x82, "x");
    int calls = 0;
    gnt_stream_want(ws, GNT_READABLE);
    while (gnt_stream_read(ws, got, sizeof got, &n) == GNT_MORE) {
        assert_true(++calls < 1000);
        called = 0;
        gnt_stream_want(ws, GNT_READABLE);
        gnt_loop_turn(&fake.loop, 0);
        gnt_loop_turn(&fake.loop, 0);
        assert_int_equal(called, 1);
    }
    assert_true(calls > 2);
    assert_int_equal(n, 1);
}

static void test_pong_when_there_is_room_again(void **state)
{
    (void)state;
    uint8_t got[64];
    serve_in(24, gnt_slice(NULL, 0));
    write_text(ws, "0123456789012345678901"); /* with the header all that there is room for */
    send_frame(0x89, "1");
    assert_int_equal(read_says(), GNT_MORE);
    send_frame(0x89, "2"); /* only the latest is answered */
    assert_int_equal(read_says(), GNT_MORE);
    gnt_loop_turn(&fake.loop, 0);
    size_t n;
    assert_int_equal(gnt_stream_read(wire, got, 24, &n), GNT_OK);
    assert_int_equal(n, 24);
    gnt_loop_turn(&fake.loop, 0); /* nobody wants anything of it */
    assert_sent("\x8a\x01"
                "1\x8a\x01"
                "2");
}

/* Whoever asks on and on while it takes nothing is not remembered once for each thing that its
 * owner would write. */
static void test_pongs_that_nobody_takes_are_no_heap(void **state)
{
    (void)state;
    size_t n, before = 0;
    char x = 'x';
    serve_in(24, gnt_slice(NULL, 0));
    write_text(ws, "0123456789012345678901");
    for (int i = 0; i < 100; i++) {
        const struct iovec iov = {&x, 1};
        send_frame(0x89, "1");
        assert_int_equal(read_says(), GNT_MORE);
        assert_int_equal(gnt_stream_writev(ws, &iov, 1, &n), GNT_MORE);
        before = i ? before : gnt_stream_untaken(ws);
    }
    assert_int_equal(gnt_stream_untaken(ws), before);
}

/* What goes wrong with a pong is told by the read that has tried, even if there is nothing more to
 * read: nobody would wake the owner for it later. */
static void test_a_pong_without_memory(void **state)
{
    (void)state;
    uint8_t got[24];
    size_t n;
    serve_in(24, gnt_slice(NULL, 0));
    write_text(ws, "0123456789012345678901");
    for (int i = 0; i < 2; i++) {
        send_frame(0x89, "1");
        assert_int_equal(read_says(), GNT_MORE);
    }
    assert_int_equal(gnt_stream_read(wire, got, sizeof got, &n), GNT_OK);
    gnt_alloc_fail_at(0);
    gnt_err err = read_says();
    gnt_alloc_fail_at(-1);
    assert_int_equal(err, GNT_NOMEM);
}

static void test_moves(void **state)
{
    (void)state;
    uint8_t frame[64];
    size_t size = put_frame(frame, 0x82, true, "moving", 6);
    serve();
    gnt_stream_want(ws, GNT_READABLE);
    send_raw(frame, 9);
    assert_reads("mov");
    assert_int_equal(gnt_stream_move(ws, NULL), GNT_OK);
    send_raw(frame + 9, size - 9);
    assert_true(gnt_list_empty(&fake.loop.ready));
    assert_int_equal(gnt_stream_move(ws, &fake_other.loop), GNT_OK);
    gnt_loop_turn(&fake.loop, 0);
    assert_int_equal(called, 0);
    gnt_loop_turn(&fake_other.loop, 0);
    assert_int_equal(called, 1);
    assert_reads("ing");
}

static void from_this_machine(const struct gnt_stream *s, struct sockaddr_storage *out)
{
    assert_ptr_equal(s->owner, ws);
    out->ss_family = AF_UNIX;
}

static void test_address_of_the_stream_below(void **state)
{
    (void)state;
    struct gnt_stream *inner;
    struct sockaddr_storage address;
    assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, ROOM, &wire, &inner), GNT_OK);
    struct gnt_stream_ops ops = *inner->ops;
    ops.address = from_this_machine;
    inner->ops = &ops;
    assert_int_equal(gnt_websocket_serve(&inner, gnt_slice(NULL, 0), &ws), GNT_OK);
    gnt_stream_address(ws, &address);
    assert_int_equal(address.ss_family, AF_UNIX);
    gnt_stream_close(&ws);
}

/* ---- Writing */

static void test_one_writev_is_one_message(void **state)
{
    (void)state;
    serve();
    write_text(ws, "hello");
    assert_sent("\x82\x05hello");
    char peer[32];
    gnt_stream_peer(ws, peer, sizeof peer);
    assert_string_equal(peer, "pair");
}

/* What there is no room for is told, and goes on where it stopped; controls come between messages.
 */
static void test_written_in_parts(void **state)
{
    (void)state;
    for (size_t room = 1; room < 40; room++) {
        char text[300];
        uint8_t got[1024];
        size_t at = 0, size = 0, n;
        memset(text, 'a', sizeof text);
        serve_in(room, gnt_slice(NULL, 0));
        bool pinged = false;
        while (at < sizeof text) {
            const struct iovec iov[] = {{text + at, (sizeof text - at) / 2},
                                        {text + at + (sizeof text - at) / 2,
                                         sizeof text - at - (sizeof text - at) / 2}};
            gnt_err err = gnt_stream_writev(ws, iov, 2, &n);
            at += n;
            assert_true(err == GNT_MORE || (err == GNT_OK && n));
            assert_int_equal(ws->events & GNT_WRITABLE, 0 + (at == sizeof text ? GNT_WRITABLE : 0));
            if (!pinged && room > 10) {
                send_frame(0x89, "?");
                assert_int_equal(read_says(), GNT_MORE);
                pinged = true;
            }
            size += sent_by(wire, got + size, sizeof got - size);
            assert_true(ws->events & GNT_WRITABLE);
            gnt_loop_turn(&fake.loop, 0);
            size += sent_by(wire, got + size, sizeof got - size);
        }
        gnt_loop_turn(&fake.loop, 0);
        size += sent_by(wire, got + size, sizeof got - size);
        assert_int_equal(size, 304 + (pinged ? 3 : 0));
        assert_memory_equal(got, "\x82\x7e\x01\x2c", 4);
        assert_memory_equal(got + 4, text, sizeof text);
        if (pinged)
            assert_memory_equal(got + 304, "\x8a\x01?", 3);
    }
}

static void test_large_output_is_several_messages(void **state)
{
    (void)state;
    static uint8_t out[BIG], got[BIG + 64];
    struct iovec iov[GNT_STREAM_IOV_MAX];
    for (size_t i = 0; i < BIG; i++)
        out[i] = (uint8_t)(i * 31);
    for (size_t i = 0; i < COUNT_OF(iov); i++)
        iov[i] = (struct iovec){out + i * (BIG / COUNT_OF(iov)), BIG / COUNT_OF(iov)};
    serve_in(BIG + 64, gnt_slice(NULL, 0));
    size_t n;
    assert_int_equal(gnt_stream_writev(ws, iov, COUNT_OF(iov), &n), GNT_OK);
    assert_int_equal(n, BIG);
    size_t size = sent_by(wire, got, sizeof got), at = 0, done = 0;
    while (at < size) {
        assert_int_equal(got[at], 0x82);
        assert_int_equal(got[at + 1], 127);
        size_t length = (size_t)got[at + 7] << 16 | (size_t)got[at + 8] << 8 | got[at + 9];
        assert_true(length <= 256 * 1024 && length <= size - at - 10);
        assert_memory_equal(got + at + 10, out + done, length);
        done += length;
        at += 10 + length;
    }
    assert_int_equal(done, BIG);
}

static void test_finish(void **state)
{
    (void)state;
    serve();
    write_text(ws, "last");
    gnt_stream_finish(ws);
    gnt_stream_finish(ws);
    assert_sent("\x82\x04last\x88\x02\x03\xe8");
    size_t n;
    const struct iovec iov = {(void *)(uintptr_t) "x", 1};
    assert_int_equal(gnt_stream_writev(ws, &iov, 1, &n), GNT_CLOSED);
    send_frame(0x82, "still coming");
    assert_reads("still coming");
    send_frame(0x88, "\x03\xe8");
    assert_int_equal(read_says(), GNT_CLOSED);
    assert_sent("");
}

static void test_close_says_that_it_goes(void **state)
{
    (void)state;
    uint8_t got[8];
    size_t n;
    serve();
    gnt_stream_close(&ws);
    assert_sent("\x88\x02\x03\xe9");
    assert_int_equal(gnt_stream_read(wire, got, sizeof got, &n), GNT_CLOSED);
}

/* ---- A client and a server of ours */

static const char *const path = "/mqtt";

static struct gnt_websocket_request request(const struct gnt_random *random)
{
    return (struct gnt_websocket_request){
        .host = "example:81", .path = path, .protocol = "mqtt", .random = random};
}

static void connect_with(const struct gnt_random *random)
{
    struct gnt_stream *inner;
    const struct gnt_websocket_request r = request(random);
    gnt_stream_close(&wire);
    gnt_stream_close(&ws);
    assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, ROOM, &wire, &inner), GNT_OK);
    assert_int_equal(gnt_websocket_connect(&inner, &r, &ws), GNT_OK);
    ws->on_ready = on_ready;
}

/* Reads the request; KEY is what it has. */
static void read_request(char key[25])
{
    char got[1024];
    gnt_loop_turn(&fake.loop, 0);
    size_t size = sent_by(wire, (uint8_t *)got, sizeof got - 1);
    got[size] = '\0';
    static const char before[] = "GET /mqtt HTTP/1.1\r\n"
                                 "Host: example:81\r\n"
                                 "Upgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Sec-WebSocket-Key: ";
    static const char behind[] = "\r\n"
                                 "Sec-WebSocket-Version: 13\r\n"
                                 "Sec-WebSocket-Protocol: mqtt\r\n"
                                 "\r\n";
    assert_int_equal(size, sizeof before - 1 + 24 + sizeof behind - 1);
    assert_memory_equal(got, before, sizeof before - 1);
    assert_string_equal(got + sizeof before - 1 + 24, behind);
    memcpy(key, got + sizeof before - 1, 24);
    key[24] = '\0';
}

/* ACCEPT NULL: the right one. */
static void send_answer(const char *key, const char *status, const char *fields, const char *accept)
{
    char right[GNT_WS_ACCEPT_SIZE + 1], text[1024];
    assert_int_equal(gnt_ws_accept(gnt_slice_str(key), right), GNT_OK);
    int n = snprintf(text, sizeof text, "HTTP/1.1 %s\r\n%sSec-WebSocket-Accept: %s\r\n\r\n", status,
                     fields, accept ? accept : right);
    send_raw(text, (size_t)n);
    gnt_loop_turn(&fake.loop, 0);
}

static const char good_fields[] = "Upgrade: WebSocket\r\n"
                                  "Connection: keep-alive, upgrade\r\n"
                                  "Server: somebody\r\n"
                                  "Sec-WebSocket-Protocol: mqtt\r\n";

static void open_client(const struct gnt_random *random)
{
    char key[25];
    connect_with(random);
    read_request(key);
    assert_false(ws->events & GNT_WRITABLE);
    assert_int_equal(read_says(), GNT_MORE);
    send_answer(key, "101 Switching Protocols", good_fields, NULL);
    assert_true(ws->events & GNT_WRITABLE);
    assert_string_equal(gnt_websocket_words(ws), "");
}

static void test_the_standards_example(void **state)
{
    (void)state;
    char accept[GNT_WS_ACCEPT_SIZE + 1];
    assert_int_equal(gnt_ws_accept(LITERAL("dGhlIHNhbXBsZSBub25jZQ=="), accept), GNT_OK);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_int_equal(gnt_ws_accept(LITERAL("short"), accept), GNT_INVALID);
}

static void test_client_opens(void **state)
{
    (void)state;
    open_client(&gnt_random_system);
    assert_reads("");
    send_raw("\x82\x03"
             "abc\x89\x01?",
             8);
    assert_reads("abc");
}

static void test_server_speaks_with_its_answer(void **state)
{
    (void)state;
    char key[25], accept[GNT_WS_ACCEPT_SIZE + 1], text[512];
    connect_with(&gnt_random_system);
    read_request(key);
    assert_int_equal(gnt_ws_accept(gnt_slice_str(key), accept), GNT_OK);
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 101 OK\r\n%sSec-WebSocket-Accept: %s\r\n\r\n\x82\x05"
                     "early",
                     good_fields, accept);
    for (int i = 0; i < n; i++) { /* one byte a turn */
        send_raw(text + i, 1);
        gnt_loop_turn(&fake.loop, 0);
    }
    assert_reads("early");
}

/* Two messages of the same text look different on the wire, and never as the text itself. */
static void test_client_masks(void **state)
{
    (void)state;
    uint8_t got[2][64];
    open_client(&gnt_random_system);
    for (int i = 0; i < 2; i++) {
        write_text(ws, "the same text");
        assert_int_equal(sent_by(wire, got[i], sizeof got[i]), 6 + 13);
        assert_memory_equal(got[i], "\x82\x8d", 2);
        for (int k = 0; k < 13; k++)
            assert_int_equal(got[i][6 + k] ^ got[i][2 + k % 4], "the same text"[k]);
    }
    assert_memory_not_equal(got[0] + 2, got[1] + 2, 4);
    gnt_stream_finish(ws);
    assert_int_equal(sent_by(wire, got[0], sizeof got[0]), 8);
    assert_memory_equal(got[0], "\x88\x82", 2);
}

static void test_client_wants_no_masks(void **state)
{
    (void)state;
    uint8_t frame[16];
    open_client(&gnt_random_system);
    send_raw(frame, put_frame(frame, 0x82, true, "x", 1));
    assert_int_equal(read_says(), GNT_PROTOCOL);
}

static void test_client_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *status, *fields, *accept;
        gnt_err err;
        const char *words;
    } rows[] = {
        {"404 Not Found", "", NULL, GNT_REFUSED, "the server answers 404 Not Found"},
        {"403 Whatever", "", NULL, GNT_REFUSED, "the server answers 403 Forbidden"},
        {"200 OK", good_fields, NULL, GNT_REFUSED, "the server answers 200 OK"},
        {"101 OK", good_fields, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", GNT_PROTOCOL,
         "the server's Sec-WebSocket-Accept is not right"},
        {"101 OK", "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\n", NULL,
         GNT_PROTOCOL, "the server changes to something that is not WebSocket"},
        {"101 OK", "Upgrade: websocket\r\nConnection: close\r\nSec-WebSocket-Protocol: mqtt\r\n",
         NULL, GNT_PROTOCOL, "the server changes to something that is not WebSocket"},
        {"101 OK", "Upgrade: websocket\r\nConnection: Upgrade\r\n", NULL, GNT_PROTOCOL,
         "the server does not speak MQTT there"},
        {"101 OK", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\n",
         NULL, GNT_PROTOCOL, "the server does not speak MQTT there"},
        {"101 OK",
         "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\n"
         "Sec-WebSocket-Extensions: permessage-deflate\r\n",
         NULL, GNT_PROTOCOL, "the server uses extensions that nobody asked for"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char key[25];
        connect_with(&gnt_random_system);
        read_request(key);
        send_answer(key, rows[i].status, rows[i].fields, rows[i].accept);
        assert_int_equal(ws->events, GNT_READABLE | GNT_WRITABLE);
        assert_int_equal(read_says(), rows[i].err);
        assert_int_equal(read_says(), rows[i].err);
        assert_string_equal(gnt_websocket_words(ws), rows[i].words);
    }
}

static void test_client_meets_something_else(void **state)
{
    (void)state;
    char key[25];
    connect_with(&gnt_random_system);
    read_request(key);
    send_raw("SSH-2.0-OpenSSH\r\n", 17);
    gnt_loop_turn(&fake.loop, 0);
    assert_int_equal(read_says(), GNT_PROTOCOL);
    assert_string_equal(gnt_websocket_words(ws), "the server's answer is not HTTP");
    connect_with(&gnt_random_system);
    gnt_loop_turn(&fake.loop, 0);
    gnt_stream_close(&wire);
    gnt_loop_turn(&fake.loop, 0);
    assert_int_equal(read_says(), GNT_CLOSED);
}

/* Everything that a client sends arrives, through little room, whatever the cuts. */
static void pump(struct gnt_stream *from, struct gnt_stream *to, size_t total)
{
    uint8_t out[5000], got[999];
    size_t sent = 0, received = 0, n;
    while (received < total) {
        size_t size = sent * 7 % sizeof out + 1;
        size = size < total - sent ? size : total - sent;
        for (size_t i = 0; i < size; i++)
            out[i] = (uint8_t)((sent + i) * 13 >> 3);
        const struct iovec iov[] = {{out, size / 3}, {out + size / 3, size - size / 3}};
        gnt_err err = sent < total ? gnt_stream_writev(from, iov, 2, &n) : GNT_MORE;
        assert_true(err >= 0);
        sent += err ? 0 : n;
        while ((err = gnt_stream_read(to, got, sizeof got, &n)) == GNT_OK)
            for (size_t i = 0; i < n; i++, received++)
                assert_int_equal(got[i], (uint8_t)(received * 13 >> 3));
        assert_int_equal(err, GNT_MORE);
        gnt_loop_turn(&fake.loop, 0);
    }
    assert_int_equal(received, total);
}

/* Where the wire ends meet: what both say is carried over by hand until they are open. */
static void meet(size_t room, const struct gnt_random *random)
{
    struct gnt_stream *a, *b;
    struct gnt_http_head head;
    char accept[GNT_WS_ACCEPT_SIZE + 1], text[512];
    uint8_t *at;
    size_t cap, n;
    const struct gnt_websocket_request r = request(random);
    gnt_stream_close(&both[0]);
    gnt_stream_close(&both[1]);
    assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, room, &a, &b), GNT_OK);
    assert_int_equal(gnt_websocket_connect(&a, &r, &both[0]), GNT_OK);
    gnt_http_head_init(&head, HTTP_REQUEST);
    gnt_err err;
    do {
        gnt_loop_turn(&fake.loop, 0);
        assert_int_equal(gnt_http_head_room(&head, &at, &cap), GNT_OK);
        assert_int_equal(gnt_stream_read(b, at, cap, &n), GNT_OK);
        err = gnt_http_head_took(&head, n);
    } while (err == GNT_MORE);
    assert_int_equal(err, GNT_OK);
    assert_int_equal(gnt_ws_accept(gnt_http_value(&head, GNT_HTTP_WS_KEY), accept), GNT_OK);
    gnt_http_head_fini(&head);
    int size = snprintf(text, sizeof text, "HTTP/1.1 101 OK\r\n%sSec-WebSocket-Accept: %s\r\n\r\n",
                        good_fields, accept);
    for (size_t done = 0; done < (size_t)size; done += n) {
        const struct iovec iov = {text + done, (size_t)size - done};
        assert_int_equal(gnt_stream_writev(b, &iov, 1, &n), GNT_OK);
        gnt_loop_turn(&fake.loop, 0);
    }
    assert_int_equal(gnt_websocket_serve(&b, gnt_slice(NULL, 0), &both[1]), GNT_OK);
    assert_true(both[0]->events & GNT_WRITABLE);
    both[0]->on_ready = both[1]->on_ready = on_ready;
}

static void test_both_ways(void **state)
{
    (void)state;
    static const size_t rooms[] = {1, 7, 100, 4096, 300000};
    for (size_t i = 0; i < COUNT_OF(rooms); i++) {
        meet(rooms[i], &gnt_random_system);
        pump(both[0], both[1], 40000);
        pump(both[1], both[0], 40000);
    }
}

/* ---- Memory */

static gnt_err serve_once(struct gnt_stream *raw, struct gnt_stream **inner)
{
    uint8_t frame[64];
    char got[64];
    size_t n;
    gnt_err err = gnt_websocket_serve(inner, LITERAL("\x82\x81\0\0\0\0x"), &ws);
    if (err)
        return err;
    const struct iovec in = {frame, put_frame(frame, 0x89, true, "ping", 4)};
    assert_int_equal(gnt_stream_writev(raw, &in, 1, &n), GNT_OK);
    while (err == GNT_OK)
        err = gnt_stream_read(ws, got, sizeof got, &n);
    const struct iovec out = {got, sizeof got};
    return err == GNT_MORE ? gnt_stream_writev(ws, &out, 1, &n) : err;
}

static gnt_err connect_once(struct gnt_stream *raw, struct gnt_stream **inner)
{
    const struct gnt_websocket_request r = request(&gnt_random_system);
    char got[1024], text[512], accept[GNT_WS_ACCEPT_SIZE + 1];
    size_t n, begin = strlen("GET /mqtt HTTP/1.1\r\nHost: example:81\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Key: ");
    gnt_err err = gnt_websocket_connect(inner, &r, &ws);
    if (err)
        return err;
    gnt_loop_turn(&fake.loop, 0);
    assert_int_equal(gnt_stream_read(raw, got, sizeof got, &n), GNT_OK);
    assert_int_equal(gnt_ws_accept(gnt_slice(got + begin, 24), accept), GNT_OK);
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 101 OK\r\n%sSec-WebSocket-Accept: %s\r\n\r\n\x89\x01?\x82\x01x",
                        good_fields, accept);
    const struct iovec in = {text, (size_t)size};
    assert_int_equal(gnt_stream_writev(raw, &in, 1, &n), GNT_OK);
    gnt_loop_turn(&fake.loop, 0);
    while (err == GNT_OK)
        err = gnt_stream_read(ws, got, sizeof got, &n);
    const struct iovec out = {got, sizeof got};
    return err == GNT_MORE ? gnt_stream_writev(ws, &out, 1, &n) : err;
}

/* Whatever fails is told, and changes nothing: what is taken is taken, the rest is the caller's. */
static void test_out_of_memory(void **state)
{
    (void)state;
    gnt_err (*const ways[])(struct gnt_stream * raw, struct gnt_stream * *inner) = {serve_once,
                                                                                    connect_once};
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        bool failed = true;
        long n = 0;
        for (; failed; n++) {
            struct gnt_stream *inner;
            assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, ROOM, &wire, &inner), GNT_OK);
            gnt_alloc_fail_at(n);
            gnt_err err = ways[i](wire, &inner);
            failed = gnt_alloc_failed();
            gnt_alloc_fail_at(-1);
            assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
            assert_true(!inner == (ws != NULL));
            gnt_stream_close(&inner);
            gnt_stream_close(&ws);
            gnt_stream_close(&wire);
        }
        assert_true(n > 4);
    }
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_messages_are_one_stream),
        T(test_cut_anywhere),
        T(test_endless_message),
        T(test_bytes_behind_the_handshake),
        T(test_closing_for_bad_frames),
        T(test_bad_lengths),
        T(test_a_message_within_a_message),
        T(test_peer_is_gone_without_a_word),
        T(test_ready_in_the_turn_of_the_stream_below),
        T(test_many_pings),
        T(test_pong_when_there_is_room_again),
        T(test_pongs_that_nobody_takes_are_no_heap),
        T(test_a_pong_without_memory),
        T(test_moves),
        T(test_address_of_the_stream_below),
        T(test_one_writev_is_one_message),
        T(test_written_in_parts),
        T(test_large_output_is_several_messages),
        T(test_finish),
        T(test_close_says_that_it_goes),
        T(test_the_standards_example),
        T(test_client_opens),
        T(test_server_speaks_with_its_answer),
        T(test_client_masks),
        T(test_client_wants_no_masks),
        T(test_client_is_refused),
        T(test_client_meets_something_else),
        T(test_both_ways),
        T(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
