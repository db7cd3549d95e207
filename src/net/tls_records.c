#include "net/tls_records.h"

#include "base/assert.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    HEADER = 5,
    TAG = 16,
    KEY_MAX = 32,
    IV = 12,
    KEY_UPDATE = 5,          /* bytes of that message */
    RECORDS_A_KEY = 1 << 24, /* AES-GCM is good for 2^24.5 [RFC 8446 5.5] */
    BARREN_MAX = 32,         /* records in a row that bring no data, as with OpenSSL */
};

static const struct suite {
    uint16_t id;
    uint8_t key; /* bytes */
    uint8_t hash;
    const char *cipher;
    const EVP_MD *(*digest)(void);
} suites[] = {
    {0x1301, 16, 32, "AES-128-GCM", EVP_sha256},
    {0x1302, 32, 48, "AES-256-GCM", EVP_sha384},
    {0x1303, 32, 32, "ChaCha20-Poly1305", EVP_sha256},
};

enum { SUITES = sizeof suites / sizeof suites[0] };

/* One direction. */
struct way {
    uint64_t next; /* number of the next record */
    uint8_t secret[GNT_TLS_SECRET_MAX];
    uint8_t key[KEY_MAX];
    uint8_t iv[IV];
};

struct gnt_tls_records {
    const struct suite *suite;
    struct way in, out;
    uint32_t reason;
    uint8_t alert;
    bool update_due; /* the peer has asked for new keys */
    uint8_t barren;  /* how many records the last data is ago */
    uint8_t message_size;
    uint8_t message[KEY_UPDATE]; /* of a handshake message, which may be cut */
};

/* ---- Ciphers, of which each thread keeps one for all its connections */

static _Thread_local EVP_CIPHER_CTX *contexts[SUITES];
static pthread_key_t key;
static bool keyed;

static void thread_ends(void *of_thread)
{
    EVP_CIPHER_CTX **c = of_thread;
    for (size_t i = 0; i < SUITES; i++) {
        EVP_CIPHER_CTX_free(c[i]);
        c[i] = NULL;
    }
}

static void make_key(void)
{
    keyed = pthread_key_create(&key, thread_ends) == 0;
}

static EVP_CIPHER_CTX *context_new(const char *name)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *c = cipher ? EVP_CIPHER_CTX_new() : NULL;
    if (c && !EVP_CipherInit_ex2(c, cipher, NULL, NULL, 1, NULL)) {
        EVP_CIPHER_CTX_free(c);
        c = NULL;
    }
    EVP_CIPHER_free(cipher);
    return c;
}

/* NULL: no memory. */
static EVP_CIPHER_CTX *context_of(const struct suite *suite)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    EVP_CIPHER_CTX **c = &contexts[suite - suites];
    if (*c)
        return *c;
    pthread_once(&once, make_key);
    if (keyed && !pthread_setspecific(key, contexts))
        *c = context_new(suite->cipher);
    ERR_clear_error();
    return *c;
}

/* SIZE bytes at RECORD + HEADER, in place, with their tag behind them; the header counts too. */
static bool crypt_record(EVP_CIPHER_CTX *c, struct way *way, bool seal, uint8_t *record,
                         size_t size)
{
    uint8_t nonce[IV], *body = record + HEADER, *tag = body + size;
    int n;
    memcpy(nonce, way->iv, IV);
    for (unsigned i = 0; i < sizeof way->next; i++)
        nonce[IV - 1 - i] ^= (uint8_t)(way->next >> 8 * i);
    way->next++;
    return EVP_CipherInit_ex2(c, NULL, way->key, nonce, seal, NULL) &&
           (seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, tag)) &&
           EVP_CipherUpdate(c, NULL, &n, record, HEADER) &&
           EVP_CipherUpdate(c, body, &n, body, (int)size) && EVP_CipherFinal_ex(c, tag, &n) &&
           (!seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, tag));
}

/* ---- Keys */

/* HKDF-Expand-Label without a context [RFC 8446 7.1], of at most one hash. */
static bool expand(const struct suite *suite, const uint8_t *secret, const char *label, uint8_t *to,
                   size_t size)
{
    uint8_t info[32] = {0, (uint8_t)size}, whole[EVP_MAX_MD_SIZE];
    size_t n = strlen(label);
    info[2] = (uint8_t)(6 + n);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, n);
    info[9 + n] = 0;
    info[10 + n] = 1;
    bool done = HMAC(suite->digest(), secret, suite->hash, info, 11 + n, whole, NULL);
    if (done)
        memcpy(to, whole, size);
    OPENSSL_cleanse(whole, sizeof whole);
    return done;
}

static bool make_keys(const struct suite *suite, struct way *way)
{
    way->next = 0;
    return expand(suite, way->secret, "key", way->key, suite->key) &&
           expand(suite, way->secret, "iv", way->iv, IV);
}

static bool renew(const struct suite *suite, struct way *way)
{
    return expand(suite, way->secret, "traffic upd", way->secret, suite->hash) &&
           make_keys(suite, way);
}

static bool begin(const struct suite *suite, const struct gnt_tls_secret *from, struct way *way)
{
    memcpy(way->secret, from->bytes, from->size);
    bool done = make_keys(suite, way);
    way->next = from->records;
    return done;
}

gnt_err gnt_tls_records_new(uint16_t suite, const struct gnt_tls_secret *in,
                            const struct gnt_tls_secret *out, struct gnt_tls_records **records)
{
    const struct suite *s = suites;
    while (s < suites + SUITES && s->id != suite)
        s++;
    if (s == suites + SUITES || in->size != s->hash || out->size != s->hash)
        return GNT_UNSUPPORTED;
    struct gnt_tls_records *r = calloc(1, sizeof *r);
    if (!r)
        return GNT_NOMEM;
    r->suite = s;
    if (!begin(s, in, &r->in) || !begin(s, out, &r->out)) {
        ERR_clear_error();
        gnt_tls_records_free(&r);
        return GNT_NOMEM;
    }
    *records = r;
    return GNT_OK;
}

void gnt_tls_records_free(struct gnt_tls_records **r)
{
    if (*r)
        OPENSSL_cleanse(*r, sizeof **r);
    free(*r);
    *r = NULL;
}

/* ---- What comes */

static gnt_err wrong(struct gnt_tls_records *r, int reason, uint8_t alert)
{
    ERR_clear_error();
    r->reason = (uint32_t)ERR_PACK(ERR_LIB_SSL, 0, reason);
    r->alert = alert;
    return GNT_PROTOCOL;
}

unsigned long gnt_tls_records_why(const struct gnt_tls_records *r, uint8_t *alert)
{
    *alert = r->alert;
    return r->reason;
}

/* In 1.3 all but two are fatal, whatever level they name [RFC 8446 6]. */
static gnt_err take_alert(struct gnt_tls_records *r, struct gnt_slice content)
{
    if (content.size != 2)
        return wrong(r, SSL_R_INVALID_ALERT, SSL_AD_DECODE_ERROR);
    if (content.data[1] == SSL_AD_CLOSE_NOTIFY)
        return GNT_CLOSED;
    if (content.data[1] == SSL_AD_USER_CANCELLED)
        return GNT_OK;
    (void)wrong(r, SSL_AD_REASON_OFFSET + content.data[1], 0);
    return GNT_REFUSED;
}

/* The one message that is left for a client to send, KeyUpdate, ends its record, for what follows
 * is under other keys [RFC 8446 5.1, 4.6.3]. */
static gnt_err take_message(struct gnt_tls_records *r, struct gnt_slice content)
{
    static const uint8_t update[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1};
    size_t room = KEY_UPDATE - r->message_size;
    if (!content.size || content.size > room)
        return wrong(r, SSL_R_UNEXPECTED_MESSAGE, SSL_AD_UNEXPECTED_MESSAGE);
    memcpy(r->message + r->message_size, content.data, content.size);
    r->message_size = (uint8_t)(r->message_size + content.size);
    if (r->message_size < KEY_UPDATE)
        return GNT_OK;
    r->message_size = 0;
    if (memcmp(r->message, update, sizeof update) != 0)
        return wrong(r, SSL_R_UNEXPECTED_MESSAGE, SSL_AD_UNEXPECTED_MESSAGE);
    uint8_t request = r->message[KEY_UPDATE - 1];
    if (request > SSL_KEY_UPDATE_REQUESTED)
        return wrong(r, SSL_R_BAD_KEY_UPDATE, SSL_AD_ILLEGAL_PARAMETER);
    r->update_due |= request == SSL_KEY_UPDATE_REQUESTED;
    return renew(r->suite, &r->in) ? GNT_OK : GNT_NOMEM;
}

static gnt_err take(struct gnt_tls_records *r, uint8_t type, struct gnt_slice content,
                    struct gnt_slice *data)
{
    if (r->message_size && type != GNT_TLS_HANDSHAKE)
        return wrong(r, SSL_R_UNEXPECTED_RECORD, SSL_AD_UNEXPECTED_MESSAGE);
    if (type == GNT_TLS_DATA)
        *data = content;
    else if (type == GNT_TLS_ALERT)
        return take_alert(r, content);
    else if (type == GNT_TLS_HANDSHAKE)
        return take_message(r, content);
    else
        return wrong(r, SSL_R_UNEXPECTED_RECORD, SSL_AD_UNEXPECTED_MESSAGE);
    return GNT_OK;
}

/* Nobody means anything by many records that say nothing, and each is work. */
static gnt_err check_barren(struct gnt_tls_records *r, uint8_t type, struct gnt_slice data)
{
    static const int reasons[] = {[GNT_TLS_ALERT] = SSL_R_TOO_MANY_WARN_ALERTS,
                                  [GNT_TLS_HANDSHAKE] = SSL_R_TOO_MANY_KEY_UPDATES,
                                  [GNT_TLS_DATA] = SSL_R_RECORD_TOO_SMALL};
    r->barren = data.size ? 0 : (uint8_t)(r->barren + 1);
    return r->barren > BARREN_MAX ? wrong(r, reasons[type], SSL_AD_UNEXPECTED_MESSAGE) : GNT_OK;
}

static size_t body_size(const uint8_t *record)
{
    return (size_t)record[3] << 8 | record[4];
}

/* By its header alone. */
static gnt_err check_header(struct gnt_tls_records *r, const uint8_t *record)
{
    size_t size = body_size(record);
    if (record[0] != GNT_TLS_DATA)
        return wrong(r, SSL_R_UNEXPECTED_RECORD, SSL_AD_UNEXPECTED_MESSAGE);
    if (size > GNT_TLS_RECORD_MAX - HEADER)
        return wrong(r, SSL_R_ENCRYPTED_LENGTH_TOO_LONG, SSL_AD_RECORD_OVERFLOW);
    if (size < TAG + 1)
        return wrong(r, SSL_R_LENGTH_TOO_SHORT, SSL_AD_DECODE_ERROR);
    return GNT_OK;
}

bool gnt_tls_records_whole(struct gnt_slice in)
{
    if (in.size < HEADER)
        return false;
    size_t size = HEADER + body_size(in.data);
    return in.data[0] != GNT_TLS_DATA || size > GNT_TLS_RECORD_MAX || in.size >= size;
}

gnt_err gnt_tls_records_open(struct gnt_tls_records *r, uint8_t *bytes, size_t size, size_t *used,
                             struct gnt_slice *data)
{
    *used = 0;
    *data = gnt_slice(bytes, 0);
    if (size < HEADER)
        return GNT_MORE;
    gnt_err err = check_header(r, bytes);
    if (err)
        return err;
    size_t n = body_size(bytes);
    if (size < HEADER + n)
        return GNT_MORE;
    EVP_CIPHER_CTX *c = context_of(r->suite);
    if (!c)
        return GNT_NOMEM;
    if (!crypt_record(c, &r->in, false, bytes, n - TAG))
        return wrong(r, SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, SSL_AD_BAD_RECORD_MAC);
    *used = HEADER + n;
    n -= TAG;
    while (n && !bytes[HEADER + n - 1]) /* padding */
        n--;
    if (!n)
        return wrong(r, SSL_R_BAD_RECORD_TYPE, SSL_AD_UNEXPECTED_MESSAGE);
    if (--n > GNT_TLS_PLAIN_MAX)
        return wrong(r, SSL_R_DATA_LENGTH_TOO_LONG, SSL_AD_RECORD_OVERFLOW);
    uint8_t type = bytes[HEADER + n];
    err = take(r, type, gnt_slice(bytes + HEADER, n), data);
    return err ? err : check_barren(r, type, *data);
}

/* ---- What goes */

static size_t seal_one(struct gnt_tls_records *r, EVP_CIPHER_CTX *c, enum gnt_tls_content type,
                       struct gnt_slice content, uint8_t *to)
{
    size_t size = content.size + 1, body = size + TAG;
    const uint8_t header[HEADER] = {GNT_TLS_DATA, 3, 3, (uint8_t)(body >> 8), (uint8_t)body};
    memcpy(to, header, HEADER);
    memcpy(to + HEADER, content.data, content.size);
    to[HEADER + content.size] = (uint8_t)type;
    return crypt_record(c, &r->out, true, to, size) ? HEADER + body : 0;
}

static size_t seal_update(struct gnt_tls_records *r, EVP_CIPHER_CTX *c, uint8_t *to)
{
    static const uint8_t update[KEY_UPDATE] = {SSL3_MT_KEY_UPDATE, 0, 0, 1,
                                               SSL_KEY_UPDATE_NOT_REQUESTED};
    size_t size = seal_one(r, c, GNT_TLS_HANDSHAKE, gnt_slice(update, sizeof update), to);
    r->update_due = false;
    return size && renew(r->suite, &r->out) ? size : 0;
}

size_t gnt_tls_records_seal(struct gnt_tls_records *r, enum gnt_tls_content type,
                            struct gnt_slice content, uint8_t *to)
{
    GNT_ASSERT(content.size && content.size <= GNT_TLS_PLAIN_MAX);
    EVP_CIPHER_CTX *c = context_of(r->suite);
    size_t update = 0;
    if (!c)
        return 0;
    if (type == GNT_TLS_DATA && (r->update_due || r->out.next >= RECORDS_A_KEY)) {
        update = seal_update(r, c, to);
        if (!update)
            return 0;
    }
    size_t size = seal_one(r, c, type, content, to + update);
    return size ? update + size : 0;
}
