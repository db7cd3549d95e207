#include "net/ws_opening.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHA1_SIZE = 20, NONCE_SIZE = 16 };

/* ---- Key and answer [RFC 6455 4.2.2] */

bool gnt_ws_key_valid(struct gnt_slice key)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (key.size != GNT_WS_KEY_SIZE)
        return false;
    for (size_t i = 0; i < GNT_WS_KEY_SIZE - 2; i++)
        if (!memchr(digits, key.data[i], sizeof digits - 1))
            return false;
    return memcmp(key.data + GNT_WS_KEY_SIZE - 2, "==", 2) == 0;
}

gnt_err gnt_ws_accept(struct gnt_slice key, char out[GNT_WS_ACCEPT_SIZE + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[GNT_WS_KEY_SIZE + sizeof guid], digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (key.size != GNT_WS_KEY_SIZE)
        return GNT_INVALID;
    memcpy(text, key.data, key.size);
    memcpy(text + key.size, guid, sizeof guid - 1);
    if (!EVP_Digest(text, key.size + sizeof guid - 1, digest, &size, EVP_sha1(), NULL) ||
        size != SHA1_SIZE)
        return GNT_NOMEM;
    EVP_EncodeBlock((unsigned char *)out, digest, SHA1_SIZE);
    return GNT_OK;
}

/* ---- The client's part */

static gnt_err put_request(struct gnt_buf *to, const struct gnt_websocket_request *r,
                           const char *key)
{
    static const char form[] = "GET %s HTTP/1.1\r\n"
                               "Host: %s\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Key: %s\r\n"
                               "Sec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Protocol: %s\r\n"
                               "\r\n";
    size_t most =
        sizeof form + strlen(r->path) + strlen(r->host) + strlen(key) + strlen(r->protocol);
    gnt_err err = gnt_buf_reserve(to, most);
    if (err)
        return err;
    int n = snprintf((char *)gnt_buf_tail(to), most, form, r->path, r->host, key, r->protocol);
    gnt_buf_wrote(to, (size_t)n);
    return GNT_OK;
}

gnt_err gnt_ws_opening_new(const struct gnt_websocket_request *request, struct gnt_ws_opening **out)
{
    uint8_t nonce[NONCE_SIZE];
    char key[GNT_WS_KEY_SIZE + 1];
    struct gnt_ws_opening *o = calloc(1, sizeof *o);
    if (!o)
        return GNT_NOMEM;
    gnt_http_head_init(&o->answer, HTTP_RESPONSE);
    (void)snprintf(o->protocol, sizeof o->protocol, "%s", request->protocol);
    request->random->fill(request->random->self, nonce, sizeof nonce);
    EVP_EncodeBlock((unsigned char *)key, nonce, sizeof nonce);
    gnt_err err = gnt_ws_accept(gnt_slice_str(key), o->accept);
    if (!err)
        err = put_request(&o->request, request, key);
    if (err)
        gnt_ws_opening_free(&o);
    else
        *out = o;
    return err;
}

void gnt_ws_opening_free(struct gnt_ws_opening **opening)
{
    struct gnt_ws_opening *o = *opening;
    *opening = NULL;
    if (!o)
        return;
    gnt_buf_fini(&o->request);
    gnt_http_head_fini(&o->answer);
    free(o);
}

static gnt_err wrong(struct gnt_ws_opening *o, gnt_err err, const char *words)
{
    (void)snprintf(o->words, sizeof o->words, "%s", words);
    return err;
}

/* The first line of the answer, without the version. */
static gnt_err refused(struct gnt_ws_opening *o)
{
    unsigned status = o->answer.parser.status_code;
    (void)snprintf(o->words, sizeof o->words, "the server answers %u %s", status,
                   http_status_str((enum http_status)status));
    return GNT_REFUSED;
}

static gnt_err check(struct gnt_ws_opening *o)
{
    const struct gnt_http_head *h = &o->answer;
    if (h->parser.status_code != HTTP_STATUS_SWITCHING_PROTOCOLS)
        return refused(o);
    if (!gnt_http_has(h, GNT_HTTP_UPGRADE, "websocket") ||
        !gnt_http_has(h, GNT_HTTP_CONNECTION, "upgrade"))
        return wrong(o, GNT_PROTOCOL, "the server changes to something that is not WebSocket");
    if (gnt_http_count(h, GNT_HTTP_WS_ACCEPT) != 1 ||
        !gnt_slice_eq_str(gnt_http_value(h, GNT_HTTP_WS_ACCEPT), o->accept))
        return wrong(o, GNT_PROTOCOL, "the server's Sec-WebSocket-Accept is not right");
    if (gnt_http_count(h, GNT_HTTP_WS_EXTENSIONS))
        return wrong(o, GNT_PROTOCOL, "the server uses extensions that nobody asked for");
    if (gnt_http_count(h, GNT_HTTP_WS_PROTOCOL) != 1 ||
        !gnt_slice_eq_str(gnt_http_value(h, GNT_HTTP_WS_PROTOCOL), o->protocol))
        return wrong(o, GNT_PROTOCOL, "the server does not speak MQTT there");
    return GNT_OK;
}

static gnt_err read_answer(struct gnt_ws_opening *o, struct gnt_stream *stream)
{
    gnt_err err;
    do {
        uint8_t *at;
        size_t cap, n;
        err = gnt_http_head_room(&o->answer, &at, &cap);
        if (!err)
            err = gnt_stream_read(stream, at, cap, &n);
        if (err)
            return err;
        err = gnt_http_head_took(&o->answer, n);
    } while (err == GNT_MORE);
    if (err)
        return wrong(o, GNT_PROTOCOL, "the server's answer is not HTTP");
    return check(o);
}

gnt_err gnt_ws_opening_step(struct gnt_ws_opening *o, struct gnt_stream *stream, uint8_t *want)
{
    while (gnt_buf_size(&o->request)) {
        struct gnt_slice left = gnt_buf_slice(&o->request);
        /* iovec's base is not const, though writev only reads. */
        const struct iovec iov = {(void *)(uintptr_t)left.data, left.size};
        size_t n;
        *want = GNT_WRITABLE;
        gnt_err err = gnt_stream_writev(stream, &iov, 1, &n);
        if (err)
            return err;
        gnt_buf_take(&o->request, n);
    }
    *want = GNT_READABLE;
    return read_answer(o, stream);
}
