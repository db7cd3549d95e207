#include "net/tls.h"

#include "base/assert.h"
#include "base/buf.h"
#include "net/loop.h"
#include "net/tls_rest.h"
#include "net/tls_words.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    RECORD_MAX = SSL3_RT_MAX_PLAIN_LENGTH,
    READS_A_CALL = 8,      /* of the stream below */
    STEPS_A_TURN = 4,      /* of handshakes: the longest takes a quarter of a millisecond */
    OWED_MAX = 256 * 1024, /* much more than the longest flight of a handshake */
};

/* What is encrypted goes to the stream below at once, or into `out` where it does not fit, so that
 * nothing in OpenSSL ever waits for being written.
 *
 * A server of TLS 1.3 lets go of OpenSSL's connection when the handshake is over, and goes on with
 * the rest alone, so that an idle connection is some 14 KiB less. */
struct tls {
    struct gnt_stream stream;
    struct gnt_stream *inner; /* owned */
    struct gnt_tls_context *context;
    SSL *ssl;                        /* NULL: gone, there is `rest` */
    struct gnt_tls_secrets *secrets; /* of a server, while it shakes hands */
    struct gnt_tls_rest *rest;
    struct gnt_buf early; /* had been read of the stream below before the handshake */
    struct gnt_buf out;
    unsigned long reason; /* OpenSSL's, of the failure */
    int16_t failure;      /* a gnt_err that every read tells */
    int16_t unwritable;   /* a gnt_err of writing below: what was read before may say more */
    int16_t unreadable;   /* the same of reading; GNT_CLOSED: its end */
    uint8_t reads_left;   /* of READS_A_CALL */
    uint8_t first;        /* byte that has come */
    bool open;            /* the handshake is over */
    bool ended;           /* the peer has sent close_notify */
    bool finished;        /* by the owner */
    bool finished_below;
    bool again; /* nothing came of several reads, and there may be more */
    char host[];
};

static struct tls *tls_of(struct gnt_stream *s)
{
    return GNT_CONTAINER(s, struct tls, stream);
}

static const struct tls *const_tls_of(const struct gnt_stream *s)
{
    const void *t = (const char *)s - offsetof(struct tls, stream);
    return t;
}

/* ---- The stream below */

static void fail(struct tls *t, gnt_err err)
{
    if (t->failure)
        return;
    t->failure = (int16_t)err;
    gnt_stream_notify(&t->stream, GNT_READABLE | GNT_WRITABLE);
}

/* GNT_MORE: not all. */
static gnt_err write_below(struct tls *t, struct gnt_slice bytes, size_t *n)
{
    const struct iovec iov = {(void *)(uintptr_t)bytes.data, bytes.size};
    *n = 0;
    if (!(t->inner->events & GNT_WRITABLE))
        return GNT_MORE;
    gnt_err err = gnt_stream_writev(t->inner, &iov, 1, n);
    if (err < 0)
        t->unwritable = (int16_t)err;
    return err == GNT_OK && *n < bytes.size ? GNT_MORE : err;
}

/* What waits is written as far as that is possible; an empty `out` holds no memory. */
static void flush(struct tls *t)
{
    size_t n;
    gnt_err err = GNT_OK;
    while (!err && gnt_buf_size(&t->out)) {
        err = write_below(t, gnt_buf_slice(&t->out), &n);
        gnt_buf_take(&t->out, n);
    }
    if (err < 0 || !gnt_buf_size(&t->out))
        gnt_buf_fini(&t->out);
    if (t->finished && !t->finished_below && !gnt_buf_size(&t->out)) {
        t->finished_below = true;
        gnt_stream_finish(t->inner);
    }
}

/* What the stream below has to wake it for when its owner would not. */
static void want_inner(struct tls *t)
{
    bool reads = t->again || (!t->open && !t->failure);
    gnt_stream_want(t->inner, (uint8_t)((gnt_buf_size(&t->out) ? GNT_WRITABLE : 0) |
                                        (reads ? GNT_READABLE : 0)));
}

static void settle(struct tls *t)
{
    flush(t);
    want_inner(t);
}

/* Takes everything: what cannot be written is kept, and what nobody will ever take is dropped. */
static void put_below(struct tls *t, struct gnt_slice bytes)
{
    size_t n = 0;
    if (!gnt_buf_size(&t->out) && !t->unwritable)
        (void)write_below(t, bytes, &n);
    if (n == bytes.size || t->unwritable)
        return;
    gnt_err err = gnt_buf_size(&t->out) + bytes.size > OWED_MAX
                      ? GNT_FULL
                      : gnt_buf_put(&t->out, gnt_slice_skip(bytes, n));
    if (err)
        fail(t, err);
}

static int bio_write(BIO *bio, const char *from, size_t size, size_t *written)
{
    put_below(BIO_get_data(bio), gnt_slice(from, size));
    *written = size;
    return 1;
}

/* Nothing of it is left when the handshake is over, in which the peer has the last word, and that
 * is an answer to what it did not know yet. */
static void read_early(struct tls *t, char *to, size_t cap, size_t *n)
{
    size_t size = gnt_buf_size(&t->early);
    *n = size < cap ? size : cap;
    memcpy(to, gnt_buf_slice(&t->early).data, *n);
    gnt_buf_take(&t->early, *n);
    if (*n == size)
        gnt_buf_fini(&t->early);
}

static gnt_err read_below(struct tls *t, char *to, size_t cap, size_t *n)
{
    *n = 0;
    if (gnt_buf_size(&t->early)) {
        read_early(t, to, cap, n);
        return GNT_OK;
    }
    if (!t->reads_left || !(t->inner->events & GNT_READABLE))
        return GNT_MORE;
    t->reads_left--;
    return gnt_stream_read(t->inner, to, cap, n);
}

static int bio_read(BIO *bio, char *to, size_t cap, size_t *n)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    gnt_err err = read_below(t, to, cap, n);
    if (*n && !t->first)
        t->first = (uint8_t)*to;
    if (err == GNT_MORE)
        BIO_set_retry_read(bio);
    else if (err)
        t->unreadable = (int16_t)err;
    return err == GNT_OK;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    const struct tls *t = BIO_get_data(bio);
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return t->unreadable == GNT_CLOSED;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method; /* one for ever; NULL: there was no memory */

static void make_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gnt_stream");
    if (!m)
        return;
    BIO_meth_set_write_ex(m, bio_write);
    BIO_meth_set_read_ex(m, bio_read);
    BIO_meth_set_ctrl(m, bio_ctrl);
    bio_method = m;
}

static gnt_err stand_on_inner(struct tls *t)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_bio_method);
    BIO *bio = bio_method ? BIO_new(bio_method) : NULL;
    if (!bio)
        return GNT_NOMEM;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    return GNT_OK;
}

/* ---- Without OpenSSL */

static gnt_err send_record(struct tls *t, enum gnt_tls_content type, struct gnt_slice content)
{
    static _Thread_local uint8_t sealed[GNT_TLS_SEALED_MAX];
    size_t n = gnt_tls_records_seal(t->rest->records, type, content, sealed);
    if (n)
        put_below(t, gnt_slice(sealed, n));
    else
        fail(t, GNT_NOMEM);
    return t->failure ? (gnt_err)t->failure : (gnt_err)t->unwritable;
}

static gnt_err send_data(struct tls *t, struct gnt_slice bytes)
{
    gnt_err err = GNT_OK;
    for (size_t n; bytes.size && !err; bytes = gnt_slice_skip(bytes, n)) {
        n = bytes.size < t->rest->most ? bytes.size : t->rest->most;
        err = send_record(t, GNT_TLS_DATA, gnt_slice(bytes.data, n));
    }
    return err;
}

/* As decrypt. */
static gnt_err read_rest(struct tls *t, uint8_t *to, size_t cap, size_t *n)
{
    uint8_t alert[2] = {SSL3_AL_FATAL};
    unsigned long reason;
    gnt_err err = gnt_tls_rest_read(t->rest, t->inner, to, cap, n, &reason, &alert[1]);
    t->ended |= err == GNT_CLOSED;
    if (err == GNT_MORE && gnt_tls_records_whole(gnt_buf_slice(&t->rest->in)))
        gnt_stream_notify(t->inner, GNT_READABLE); /* as if it were there still */
    if (err >= 0 || err == GNT_CLOSED)
        return err;
    t->reason = reason;
    if (alert[1])
        (void)send_record(t, GNT_TLS_ALERT, gnt_slice(alert, sizeof alert));
    fail(t, reason ? gnt_tls_meaning(reason) : err);
    return (gnt_err)t->failure;
}

/* ---- OpenSSL's answers */

/* It tells by its thread's queue of errors, where nothing else may lie. */
static void before_call(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

/* It is the wire that has failed, and neither side: the session stays good for being resumed, for
 * which OpenSSL wants to see both ends in order. */
static gnt_err cut_off(struct tls *t, gnt_err err)
{
    SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    fail(t, err);
    return (gnt_err)t->failure;
}

/* The end below is told as close_notify, but is none: where that has come, nothing more is read. */
static gnt_err end(struct tls *t)
{
    t->ended = t->unreadable != GNT_CLOSED;
    if (t->ended)
        return GNT_CLOSED;
    t->reason = ERR_PACK(ERR_LIB_SSL, 0, SSL_R_UNEXPECTED_EOF_WHILE_READING);
    return cut_off(t, GNT_IO);
}

/* Of a call that has not done what it should.  What is wrong stays so. */
static gnt_err outcome(struct tls *t, int result)
{
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return t->failure ? (gnt_err)t->failure : GNT_MORE;
    case SSL_ERROR_ZERO_RETURN: return end(t);
    default: break;
    }
    t->reason = ERR_peek_error();
    ERR_clear_error();
    if (t->unreadable && t->unreadable != GNT_CLOSED)
        return cut_off(t, (gnt_err)t->unreadable);
    fail(t, gnt_tls_meaning(t->reason));
    return (gnt_err)t->failure;
}

/* ---- Handshake */

static void forget_secrets(struct tls *t)
{
    if (t->secrets)
        OPENSSL_cleanse(t->secrets, sizeof *t->secrets);
    free(t->secrets);
    t->secrets = NULL;
}

/* OpenSSL reads nothing beyond a server's handshake, so that nothing is with it afterwards. */
static gnt_err watch_secrets(struct tls *t)
{
    t->secrets = calloc(1, sizeof *t->secrets);
    SSL_set_read_ahead(t->ssl, 0);
    return t->secrets ? gnt_tls_secrets_attach(t->ssl, t->secrets) : GNT_NOMEM;
}

/* What cannot go on without OpenSSL goes on with it. */
static void let_go_of_openssl(struct tls *t)
{
    if (gnt_tls_rest_new(t->ssl, t->secrets, &t->rest) == GNT_OK) {
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* a good session */
        SSL_free(t->ssl);
        t->ssl = NULL;
    } else {
        gnt_tls_secrets_detach(t->ssl);
        SSL_set_read_ahead(t->ssl, 1);
    }
    forget_secrets(t);
}

static void open_up(struct tls *t)
{
    t->open = true;
    if (t->secrets)
        let_go_of_openssl(t);
    gnt_stream_stand_on(&t->stream, t->inner);
    if (t->ssl && SSL_has_pending(t->ssl)) /* came together with the last of the handshake */
        gnt_stream_notify(&t->stream, GNT_READABLE);
}

/* Whether there may be one more step of a handshake in this turn: when many come at once, the
 * others of the loop do not wait for all of them. */
static bool may_shake(const struct gnt_loop *loop)
{
    static _Thread_local struct {
        const struct gnt_loop *loop;
        uint64_t turn;
        unsigned steps;
    } now;
    if (now.loop != loop || now.turn != loop->turn) {
        now.loop = loop;
        now.turn = loop->turn;
        now.steps = 0;
    }
    return now.steps++ < STEPS_A_TURN;
}

static void shake_hands(struct tls *t)
{
    t->reads_left = READS_A_CALL;
    before_call();
    int result = SSL_do_handshake(t->ssl);
    if (result == 1)
        open_up(t);
    else if (outcome(t, result) == GNT_CLOSED) /* close_notify instead of a handshake */
        fail(t, GNT_CLOSED);
}

static void on_inner_ready(struct gnt_stream *inner)
{
    struct tls *t = tls_of(inner->owner);
    bool shaking = !t->open && !t->failure;
    if (shaking && !may_shake(inner->loop))
        return;
    if (shaking)
        shake_hands(t);
    if (t->again)
        gnt_stream_notify(&t->stream, GNT_READABLE);
    t->again = false;
    settle(t);
}

/* ---- Reading */

static bool may_read_more(const struct tls *t)
{
    return SSL_has_pending(t->ssl) || (t->inner->events & GNT_READABLE);
}

/* Fills TO; GNT_MORE: and there is nothing more now. */
static gnt_err decrypt(struct tls *t, uint8_t *to, size_t cap, size_t *n)
{
    gnt_err err = GNT_OK;
    t->reads_left = READS_A_CALL;
    while (!err && *n < cap) {
        size_t got = 0;
        before_call();
        int result = SSL_read_ex(t->ssl, to + *n, cap - *n, &got);
        *n += got;
        if (result != 1)
            err = outcome(t, result);
        else if (!may_read_more(t))
            err = GNT_MORE;
    }
    return err;
}

static gnt_err tls_read(struct gnt_stream *s, void *to, size_t cap, size_t *n)
{
    struct tls *t = tls_of(s);
    if (t->failure || t->ended || !t->open)
        return t->failure ? (gnt_err)t->failure : t->ended ? GNT_CLOSED : GNT_MORE;
    gnt_err err = (t->rest ? read_rest : decrypt)(t, to, cap, n);
    bool more_below = t->inner->events & GNT_READABLE;
    t->again = err == GNT_MORE && !*n && more_below; /* others have their turn, too */
    settle(t);
    if (!*n)
        return err;
    if (err == GNT_MORE && !more_below)
        s->events &= (uint8_t)~GNT_READABLE;
    return GNT_OK;
}

/* ---- Writing */

/* The next bytes for one record: where they lie, or gathered from several pieces.  *at is the
 * place in IOV, *skip that in its piece; both go on. */
static struct gnt_slice next_record(const struct iovec *iov, int count, int *at, size_t *skip)
{
    static _Thread_local uint8_t gathered[RECORD_MAX];
    size_t size = 0;
    for (; *at < count && size < RECORD_MAX; ++*at, *skip = 0) {
        const uint8_t *piece = iov[*at].iov_base;
        size_t left = iov[*at].iov_len - *skip, room = RECORD_MAX - size;
        size_t here = left < room ? left : room;
        if (!here)
            continue;
        piece += *skip;
        bool whole = here == RECORD_MAX || *at == count - 1;
        if (!size && whole) {
            *skip += here;
            return gnt_slice(piece, here);
        }
        memcpy(gathered + size, piece, here);
        size += here;
        if (here < left) {
            *skip += here;
            break;
        }
    }
    return gnt_slice(gathered, size);
}

static gnt_err encrypt(struct tls *t, struct gnt_slice bytes)
{
    size_t written;
    if (t->rest)
        return send_data(t, bytes);
    before_call();
    int result = SSL_write_ex(t->ssl, bytes.data, bytes.size, &written);
    gnt_err err = result == 1 ? (gnt_err)t->failure : outcome(t, result);
    return err ? err : (gnt_err)t->unwritable;
}

static gnt_err tls_writev(struct gnt_stream *s, const struct iovec *iov, int count, size_t *n)
{
    struct tls *t = tls_of(s);
    if (t->failure || t->unwritable)
        return t->failure ? (gnt_err)t->failure : (gnt_err)t->unwritable;
    if (t->finished || !t->open)
        return t->finished ? GNT_CLOSED : GNT_MORE;
    flush(t);
    gnt_err err = t->unwritable;
    int at = 0;
    size_t skip = 0;
    while (!err) {
        if (gnt_buf_size(&t->out)) {
            err = GNT_MORE;
            break;
        }
        struct gnt_slice record = next_record(iov, count, &at, &skip);
        if (!record.size)
            break;
        err = encrypt(t, record);
        if (!err)
            *n += record.size;
    }
    settle(t);
    return *n && err >= 0 ? GNT_OK : err;
}

/* ---- The rest of a stream */

/* Sends close_notify, and keeps the session good for being resumed. */
static void say_end(struct tls *t)
{
    static const uint8_t close_notify[] = {SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY};
    if (!t->open || t->failure)
        return;
    if (t->rest) {
        (void)send_record(t, GNT_TLS_ALERT, gnt_slice(close_notify, sizeof close_notify));
        return;
    }
    before_call();
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

static void tls_finish(struct gnt_stream *s)
{
    struct tls *t = tls_of(s);
    if (t->finished)
        return;
    t->finished = true;
    say_end(t);
    settle(t);
}

static void tls_free(struct tls *t)
{
    SSL_free(t->ssl);
    forget_secrets(t);
    gnt_tls_rest_free(&t->rest);
    gnt_tls_context_unref(&t->context);
    gnt_buf_fini(&t->early);
    gnt_buf_fini(&t->out);
    free(t);
}

static void tls_close(struct gnt_stream *s)
{
    struct tls *t = tls_of(s);
    if (!t->finished)
        say_end(t);
    flush(t);
    gnt_stream_close(&t->inner);
    tls_free(t);
}

static gnt_err tls_move(struct gnt_stream *s, struct gnt_loop *loop)
{
    return gnt_stream_move(tls_of(s)->inner, loop);
}

static size_t tls_untaken(const struct gnt_stream *s)
{
    const struct tls *t = const_tls_of(s);
    return gnt_stream_untaken(t->inner) + gnt_buf_size(&t->out);
}

static const struct gnt_stream *tls_below(const struct gnt_stream *s)
{
    return const_tls_of(s)->inner;
}

static const struct gnt_stream_ops tls_ops = {
    .read = tls_read,
    .writev = tls_writev,
    .finish = tls_finish,
    .close = tls_close,
    .move = tls_move,
    .untaken = tls_untaken,
    .below = tls_below,
};

gnt_err gnt_tls_new(struct gnt_stream **inner, struct gnt_tls_context *context, const char *host,
                    struct gnt_stream **out)
{
    size_t size = host ? strlen(host) + 1 : 0;
    struct tls *t = malloc(sizeof *t + size);
    if (!t)
        return GNT_NOMEM;
    *t = (struct tls){.inner = *inner, .context = gnt_tls_context_ref(context)};
    if (host)
        memcpy(t->host, host, size);
    gnt_stream_init(&t->stream, &tls_ops, t->inner->loop);
    gnt_err err = gnt_tls_context_begin(context, host ? t->host : NULL, &t->ssl);
    if (!err && gnt_tls_context_is_server(context))
        err = watch_secrets(t);
    if (!err)
        err = stand_on_inner(t);
    if (err) {
        tls_free(t);
        return err;
    }
    *inner = NULL;
    t->inner->owner = &t->stream;
    t->inner->on_ready = on_inner_ready;
    /* A client speaks first, as soon as it is connected. */
    gnt_stream_want(t->inner, gnt_tls_context_is_server(context) ? GNT_READABLE : GNT_WRITABLE);
    *out = &t->stream;
    return GNT_OK;
}

void gnt_tls_came(struct gnt_stream *s, struct gnt_buf *early)
{
    GNT_ASSERT(s->ops == &tls_ops);
    struct tls *t = tls_of(s);
    GNT_ASSERT(!t->open && !gnt_buf_size(&t->early));
    if (!gnt_buf_size(early))
        return;
    t->early = *early;
    *early = (struct gnt_buf){0};
    gnt_stream_notify(t->inner, GNT_READABLE); /* as if it were there still */
}

const struct gnt_stream *gnt_tls_of(const struct gnt_stream *s)
{
    while (s && s->ops != &tls_ops)
        s = gnt_stream_below(s);
    return s;
}

gnt_err gnt_tls_handshake(const struct gnt_stream *s)
{
    GNT_ASSERT(s->ops == &tls_ops);
    const struct tls *t = const_tls_of(s);
    return t->open ? GNT_OK : t->failure ? (gnt_err)t->failure : GNT_MORE;
}

static struct gnt_tls_trouble trouble_of(const struct gnt_stream *s)
{
    GNT_ASSERT(s->ops == &tls_ops);
    const struct tls *t = const_tls_of(s);
    return (struct gnt_tls_trouble){.ssl = t->ssl,
                                    .reason = t->reason,
                                    .first = t->first,
                                    .server = gnt_tls_context_is_server(t->context),
                                    .open = t->open};
}

char *gnt_tls_words(const struct gnt_stream *s, char out[GNT_TLS_WORDS_MAX])
{
    const struct gnt_tls_trouble trouble = trouble_of(s);
    out[0] = '\0';
    if (trouble.reason)
        gnt_tls_say(&trouble, out);
    return out;
}

bool gnt_tls_lasting(const struct gnt_stream *s)
{
    const struct gnt_tls_trouble trouble = trouble_of(s);
    return trouble.reason && gnt_tls_lasts(&trouble);
}

X509 *gnt_tls_peer_certificate(const struct gnt_stream *s)
{
    GNT_ASSERT(s->ops == &tls_ops);
    const struct tls *t = const_tls_of(s);
    if (t->rest)
        return t->rest->peer;
    return t->open ? SSL_get0_peer_certificate(t->ssl) : NULL;
}

gnt_err gnt_tls_peer_name(const struct gnt_stream *s, struct gnt_buf *out)
{
    const X509 *certificate = gnt_tls_peer_certificate(s);
    enum gnt_tls_name rule = gnt_tls_context_name(const_tls_of(s)->context);
    return certificate ? gnt_tls_name(rule, certificate, out) : GNT_NOTFOUND;
}

bool gnt_tls_peer_has_to_be_named(const struct gnt_stream *s)
{
    GNT_ASSERT(s->ops == &tls_ops);
    return gnt_tls_context_demands_name(const_tls_of(s)->context);
}

struct gnt_tls_facts gnt_tls_facts(const struct gnt_stream *s)
{
    GNT_ASSERT(s->ops == &tls_ops);
    const struct tls *t = const_tls_of(s);
    return t->rest ? t->rest->facts : gnt_tls_facts_of(t->ssl);
}
