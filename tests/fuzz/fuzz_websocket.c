/* What strangers send on the way to a WebSocket and on it; the first byte says who and how it is
 * cut.
 *   even  a client: a request to the HTTP front, and frames behind it
 *   odd   a server: its answer to our client, and frames behind it; "@" in it is what the client
 *         wants to be answered to its key */
#include "front/http/front.h"
#include "fuzz.h"
#include "still_loop.h"

#include "base/assert.h"
#include "base/random.h"
#include "net/pair.h"
#include "net/websocket.h"
#include "net/ws_opening.h"

#include <stdlib.h>

enum { ROOM = 1 << 16, MOST = 1 << 14 };

static struct gnt_loop loop;
static struct gnt_stream *opened;

static void on_open(void *context, struct gnt_stream *websocket)
{
    (void)context;
    GNT_ASSERT(!opened);
    opened = websocket;
}

/* What has come out, in whatever parts. */
struct seen {
    uint8_t payload[MOST], wire[ROOM];
    size_t payload_size, wire_size;
    gnt_err end;
};

static void read_all(struct gnt_stream *s, uint8_t *to, size_t *size, size_t most, gnt_err *end)
{
    size_t n;
    gnt_err err = GNT_OK;
    while (s && *size < most && !err) {
        err = gnt_stream_read(s, to + *size, most - *size < 777 ? most - *size : 777, &n);
        *size += n;
    }
    if (err < 0)
        *end = err;
}

/* Gives DATA to the other end of PEER, CUT bytes at a time, and collects what comes of it. */
static void feed(struct gnt_stream *peer, const uint8_t *data, size_t size, size_t cut,
                 struct seen *seen)
{
    gnt_err peer_end = GNT_OK;
    for (size_t at = 0; at < size && peer_end == GNT_OK;) {
        const struct iovec iov = {(void *)(uintptr_t)(data + at),
                                  size - at < cut ? size - at : cut};
        size_t n = 0;
        gnt_err err = gnt_stream_writev(peer, &iov, 1, &n);
        at += n;
        for (int i = 0; i < 4; i++) {
            gnt_loop_turn(&loop, 0);
            read_all(opened, seen->payload, &seen->payload_size, MOST, &seen->end);
        }
        read_all(peer, seen->wire, &seen->wire_size, ROOM, &peer_end);
        if (err < 0)
            break;
    }
}

static void from_client(const uint8_t *data, size_t size, size_t cut, struct seen *seen)
{
    static const char *const protocols[] = {"mqtt", NULL};
    static const struct gnt_http_path paths[] = {{"/mqtt", protocols, on_open}, {NULL, NULL, NULL}};
    static const struct gnt_http_origins origins = {NULL, 0, true};
    static struct gnt_counters counters;
    struct gnt_http_front front;
    struct gnt_stream *peer, *inner;
    gnt_http_front_init(&front, &loop, &counters, paths, NULL);
    gnt_err err = gnt_pair_new(&loop, &loop, ROOM, &peer, &inner);
    GNT_ASSERT(!err);
    gnt_http_front_accept(&front, inner, &origins);
    feed(peer, data, size, cut, seen);
    static const char version[] = "HTTP/1.1 ";
    GNT_ASSERT(!seen->wire_size || memcmp(seen->wire, version, sizeof version - 1) == 0);
    gnt_stream_close(&opened);
    gnt_stream_close(&peer);
    gnt_http_front_fini(&front);
}

static void from_server(const uint8_t *data, size_t size, size_t cut, struct seen *seen)
{
    static uint8_t answer[2 * MOST];
    struct gnt_seeded seeded;
    struct gnt_stream *peer, *inner;
    gnt_seeded_init(&seeded, 1);
    const struct gnt_websocket_request request = {
        .host = "h", .path = "/", .protocol = "mqtt", .random = &seeded.door};
    gnt_err err = gnt_pair_new(&loop, &loop, ROOM, &peer, &inner);
    GNT_ASSERT(!err);
    err = gnt_websocket_connect(&inner, &request, &opened);
    GNT_ASSERT(!err);
    gnt_loop_turn(&loop, 0);
    gnt_err end = GNT_OK;
    read_all(peer, seen->wire, &seen->wire_size, ROOM, &end);
    char accept[GNT_WS_ACCEPT_SIZE + 1];
    static const char before[] = "Sec-WebSocket-Key: ";
    const uint8_t *key = memmem(seen->wire, seen->wire_size, before, sizeof before - 1);
    err = gnt_ws_accept(gnt_slice(key + sizeof before - 1, GNT_WS_KEY_SIZE), accept);
    GNT_ASSERT(!err);
    size_t used = 0;
    for (size_t i = 0; i < size && used + GNT_WS_ACCEPT_SIZE < sizeof answer; i++) {
        size_t n = data[i] == '@' ? GNT_WS_ACCEPT_SIZE : 1;
        memcpy(answer + used, n > 1 ? (const void *)accept : (const void *)&data[i], n);
        used += n;
    }
    feed(peer, answer, used, cut, seen);
    GNT_ASSERT(strlen(gnt_websocket_words(opened)) < GNT_WS_WORDS_MAX);
    gnt_stream_close(&opened);
    gnt_stream_close(&peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seen whole, cut;
    if (!size || size > MOST)
        return 0;
    void (*run)(const uint8_t *, size_t, size_t, struct seen *) =
        data[0] & 1 ? from_server : from_client;
    still_loop_init(&loop);
    whole = cut = (struct seen){.end = GNT_OK};
    run(data + 1, size - 1, size, &whole);
    run(data + 1, size - 1, (size_t)(data[0] >> 1) + 1, &cut);
    gnt_loop_fini(&loop);
    GNT_ASSERT(whole.payload_size <= size && whole.payload_size == cut.payload_size);
    GNT_ASSERT(memcmp(whole.payload, cut.payload, whole.payload_size) == 0);
    GNT_ASSERT(whole.end == cut.end);
    return 0;
}
