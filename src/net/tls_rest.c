#include "net/tls_rest.h"

#include "base/assert.h"

#include <openssl/err.h>
#include <stdlib.h>

enum {
    INPUT_MAX = 64 * 1024, /* at once */
    BARREN_MAX = 16,       /* records at once that bring no data: new keys take 30 us */
};

struct gnt_tls_facts gnt_tls_facts_of(SSL *ssl)
{
    const unsigned char *protocol;
    unsigned size;
    SSL_get0_alpn_selected(ssl, &protocol, &size);
    return (struct gnt_tls_facts){
        .version = SSL_get_version(ssl),
        .cipher = SSL_get_cipher_name(ssl),
        .host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name),
        .protocol = gnt_slice(protocol, size),
        .resumed = SSL_session_reused(ssl),
    };
}

/* One of four sizes, where the client has asked for one. */
static uint16_t most_in_a_record(SSL *ssl)
{
    unsigned code = SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl));
    return code ? (uint16_t)(256u << code) : GNT_TLS_PLAIN_MAX;
}

/* NULL: no memory. */
static struct gnt_tls_rest *remember(SSL *ssl)
{
    struct gnt_tls_facts facts = gnt_tls_facts_of(ssl);
    size_t host = facts.host ? strlen(facts.host) + 1 : 0, protocol = facts.protocol.size;
    struct gnt_tls_rest *r = calloc(1, sizeof *r + host + protocol);
    if (!r)
        return NULL;
    r->facts = facts;
    r->most = most_in_a_record(ssl);
    r->peer = SSL_get1_peer_certificate(ssl);
    if (host)
        r->facts.host = memcpy(r->text, facts.host, host);
    if (protocol)
        r->facts.protocol.data = memcpy(r->text + host, facts.protocol.data, protocol);
    return r;
}

gnt_err gnt_tls_rest_new(SSL *ssl, const struct gnt_tls_secrets *secrets,
                         struct gnt_tls_rest **rest)
{
    if (SSL_version(ssl) != TLS1_3_VERSION || SSL_has_pending(ssl))
        return GNT_UNSUPPORTED;
    struct gnt_tls_rest *r = remember(ssl);
    if (!r)
        return GNT_NOMEM;
    gnt_err err = gnt_tls_records_new(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl)),
                                      &secrets->in, &secrets->out, &r->records);
    if (err)
        gnt_tls_rest_free(&r);
    else
        *rest = r;
    return err;
}

void gnt_tls_rest_free(struct gnt_tls_rest **rest)
{
    struct gnt_tls_rest *r = *rest;
    *rest = NULL;
    if (!r)
        return;
    gnt_tls_records_free(&r->records);
    gnt_buf_fini(&r->in);
    X509_free(r->peer);
    free(r);
}

/* ---- Reading */

/* Data that did not fit when its record was opened. */
static size_t take_opened(struct gnt_tls_rest *r, uint8_t *to, size_t cap)
{
    size_t n = r->opened < cap ? r->opened : cap;
    if (n)
        memcpy(to, gnt_buf_slice(&r->in).data, n);
    gnt_buf_take(&r->in, n);
    r->opened -= (uint32_t)n;
    return n;
}

/* Puts what waits in `in` to the front of BYTES and, unless that is a record, what can be read
 * behind it: so much that its data fit into CAP bytes, or one record. */
static gnt_err gather(const struct gnt_tls_rest *r, struct gnt_stream *inner, size_t cap,
                      uint8_t *bytes, size_t *size)
{
    size_t most = cap < GNT_TLS_RECORD_MAX ? GNT_TLS_RECORD_MAX : cap, n = 0;
    struct gnt_slice waits = gnt_buf_slice(&r->in);
    most = most < INPUT_MAX ? most : INPUT_MAX;
    GNT_ASSERT(waits.size <= INPUT_MAX);
    if (waits.size)
        memcpy(bytes, waits.data, waits.size);
    *size = waits.size;
    if (gnt_tls_records_whole(waits)) /* else it is shorter than one */
        return GNT_OK;
    if (!(inner->events & GNT_READABLE))
        return GNT_MORE;
    gnt_err err = gnt_stream_read(inner, bytes + *size, most - *size, &n);
    *size += n;
    return err;
}

/* For the next time. */
static gnt_err leave(struct gnt_tls_rest *r, struct gnt_slice data, struct gnt_slice records)
{
    r->opened = (uint32_t)data.size;
    gnt_buf_clear(&r->in);
    if (!data.size && !records.size) {
        gnt_buf_fini(&r->in);
        return GNT_OK;
    }
    gnt_err err = data.size ? gnt_buf_put(&r->in, data) : GNT_OK;
    return err || !records.size ? err : gnt_buf_put(&r->in, records);
}

gnt_err gnt_tls_rest_read(struct gnt_tls_rest *r, struct gnt_stream *inner, uint8_t *to, size_t cap,
                          size_t *n, unsigned long *reason, uint8_t *alert)
{
    static _Thread_local uint8_t bytes[INPUT_MAX];
    struct gnt_slice data, rest = {0};
    size_t size, used, at = 0;
    unsigned barren = 0;
    *reason = 0;
    *alert = 0;
    *n = take_opened(r, to, cap);
    if (*n == cap)
        return GNT_OK;
    gnt_err err = GNT_OK, below = gather(r, inner, cap, bytes, &size);
    while (!rest.size && barren < BARREN_MAX &&
           !(err = gnt_tls_records_open(r->records, bytes + at, size - at, &used, &data))) {
        size_t taken = data.size < cap - *n ? data.size : cap - *n;
        memcpy(to + *n, data.data, taken);
        rest = gnt_slice_skip(data, taken);
        *n += taken;
        at += used;
        barren += !data.size;
    }
    if (!err && !*n)
        err = GNT_MORE;
    gnt_err left = leave(r, rest, gnt_slice(bytes + at, size - at));
    if (left || err == GNT_NOMEM)
        return GNT_NOMEM;
    if (err < 0 && err != GNT_CLOSED)
        *reason = gnt_tls_records_why(r->records, alert);
    if (err != GNT_MORE || below >= 0 || *n)
        return err;
    if (below == GNT_CLOSED) /* without close_notify: it may not be where the peer wanted it */
        *reason = ERR_PACK(ERR_LIB_SSL, 0, SSL_R_UNEXPECTED_EOF_WHILE_READING);
    return below == GNT_CLOSED ? GNT_IO : below;
}
