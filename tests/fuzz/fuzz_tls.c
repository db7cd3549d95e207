/* What a client that has shaken hands sends in TLS 1.3: the first byte says the suite, the second
 * how it is cut, and what follows is records, each a type, a size and what is in it.  Of them the
 * type 0 has padding behind it, 255 is not sealed, and 24 is new keys as they should be. */
#include "fuzz.h"
#include "net/tls_rest.h"
#include "still_loop.h"

#include "base/assert.h"
#include "net/pair.h"

#include <openssl/ssl.h>
#include <stdlib.h>

enum { ROOM = 1 << 18, MOST = 1 << 14, NOT_SEALED = 255, NEW_KEYS = 24 };

static struct gnt_loop loop;

/* What is said, and how much of it is data up to the first record that is anything else. */
static struct {
    uint8_t wire[ROOM], data[MOST];
    size_t wire_size, data_size;
    bool all_data;
} said;

/* What is heard. */
struct heard {
    uint8_t data[MOST];
    size_t size;
    gnt_err end;
    unsigned long reason;
    uint8_t alert;
};

static struct gnt_tls_records *new_records(unsigned suite, char in, char out)
{
    static const uint16_t ids[] = {0x1301, 0x1302, 0x1303};
    struct gnt_tls_secret secrets[2] = {{.size = suite == 1 ? 48 : 32}, {0}};
    struct gnt_tls_records *r = NULL;
    secrets[1] = secrets[0];
    memset(secrets[0].bytes, in, secrets[0].size);
    memset(secrets[1].bytes, out, secrets[1].size);
    gnt_err err = gnt_tls_records_new(ids[suite], &secrets[0], &secrets[1], &r);
    GNT_ASSERT(!err);
    return r;
}

static void put(const void *bytes, size_t size)
{
    memcpy(said.wire + said.wire_size, bytes, size);
    said.wire_size += size;
}

static void seal(struct gnt_tls_records *r, uint8_t type, struct gnt_slice content)
{
    static uint8_t sealed[GNT_TLS_SEALED_MAX];
    size_t n = gnt_tls_records_seal(r, (enum gnt_tls_content)type, content, sealed);
    GNT_ASSERT(n);
    put(sealed, n);
}

/* New keys of a peer are what answers a request for them, in front of data. */
static void renew(struct gnt_tls_records *r, unsigned suite)
{
    static const uint8_t request[] = {24, 0, 0, 1, 1};
    static uint8_t wire[GNT_TLS_SEALED_MAX];
    struct gnt_tls_records *other = new_records(suite, 'a', 'b');
    struct gnt_slice data;
    size_t used, n = gnt_tls_records_seal(other, GNT_TLS_HANDSHAKE,
                                          gnt_slice(request, sizeof request), wire);
    GNT_ASSERT(n);
    gnt_err err = gnt_tls_records_open(r, wire, n, &used, &data);
    GNT_ASSERT(err == GNT_OK || err == GNT_PROTOCOL); /* good once, for the first key */
    gnt_tls_records_free(&other);
}

static void say(const uint8_t *at, const uint8_t *end, unsigned suite)
{
    struct gnt_tls_records *r = new_records(suite, 'b', 'a');
    said.wire_size = said.data_size = 0;
    said.all_data = true;
    while (end - at > 2) {
        uint8_t type = at[0];
        size_t size = at[1] + 1u, left = (size_t)(end - at - 2);
        size = size < left ? size : left;
        struct gnt_slice content = {at + 2, size};
        at += 2 + size;
        if (said.wire_size + size + GNT_TLS_SEALED_MAX - GNT_TLS_PLAIN_MAX > ROOM)
            break;
        if (type == NEW_KEYS)
            renew(r, suite);
        else if (type == NOT_SEALED)
            put(content.data, content.size);
        else
            seal(r, type, content);
        said.all_data &= type == GNT_TLS_DATA || type == NEW_KEYS;
        if (said.all_data && type == GNT_TLS_DATA) {
            memcpy(said.data + said.data_size, content.data, content.size);
            said.data_size += content.size;
        }
    }
    gnt_tls_records_free(&r);
}

static bool more(const struct gnt_tls_rest *rest, const struct gnt_stream *inner)
{
    return (inner->events & GNT_READABLE) || gnt_tls_records_whole(gnt_buf_slice(&rest->in));
}

/* Gives the wire to a rest, CUT bytes at a time, which is read CAP bytes at a time, or more. */
static void hear(unsigned suite, size_t cut, size_t cap, struct heard *h)
{
    struct gnt_stream *peer, *inner;
    struct gnt_tls_rest *rest = calloc(1, sizeof *rest);
    gnt_err err = gnt_pair_new(&loop, &loop, ROOM, &peer, &inner);
    GNT_ASSERT(!err && rest);
    rest->records = new_records(suite, 'a', 'b');
    *h = (struct heard){.end = GNT_OK};
    unsigned calls = 0;
    for (size_t at = 0; at < said.wire_size && h->end >= 0;) {
        size_t n = said.wire_size - at < cut ? said.wire_size - at : cut;
        const struct iovec iov = {said.wire + at, n};
        err = gnt_stream_writev(peer, &iov, 1, &n);
        GNT_ASSERT(!err && n == iov.iov_len);
        at += n;
        gnt_loop_turn(&loop, 0);
        do {
            size_t most = calls++ % 2 ? cap : MOST / 4;
            GNT_ASSERT(h->size + most <= sizeof h->data);
            h->end =
                gnt_tls_rest_read(rest, inner, h->data + h->size, most, &n, &h->reason, &h->alert);
            GNT_ASSERT(n <= most);
            h->size += n;
        } while (h->end == GNT_OK || (h->end == GNT_MORE && more(rest, inner)));
    }
    gnt_stream_close(&peer);
    gnt_stream_close(&inner);
    gnt_tls_rest_free(&rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct heard whole, cut;
    if (size < 2 || size > MOST / 4)
        return 0;
    unsigned suite = data[0] % 3;
    still_loop_init(&loop);
    say(data + 2, data + size, suite);
    hear(suite, ROOM, MOST / 4, &whole);
    hear(suite, data[1] + 1u, data[0] / 3 + 1u, &cut);
    gnt_loop_fini(&loop);
    GNT_ASSERT(whole.size == cut.size && memcmp(whole.data, cut.data, cut.size) == 0);
    GNT_ASSERT(whole.size >= said.data_size);
    GNT_ASSERT(memcmp(whole.data, said.data, said.data_size) == 0);
    GNT_ASSERT(whole.end == cut.end && whole.alert == cut.alert && whole.reason == cut.reason);
    GNT_ASSERT(!said.all_data || whole.size == said.data_size);
    return 0;
}
