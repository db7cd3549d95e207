/* Every message and line that auth reads, from somebody who means ill: the first byte says which.
 *   's'  a client's messages, one line each, to a server that knows the user; 'S' with SHA-512
 *   'c'  a server's messages to a client; "r=" and the client's nonce are put before the first;
 *        'C' with SHA-512
 *   'v'  a verifier
 *   'b'  base64 */
#include "base/base64.h"
#include "auth/scram.h"
#include "base/assert.h"
#include "fuzz.h"
#include "lines.h"

#include <stdlib.h>

static struct gnt_seeded seeded;

/* A refusal has words, one of them, and nothing of what the peer said. */
static void check_refusal(gnt_err err, const struct gnt_buf *out)
{
    GNT_ASSERT(err == GNT_DENIED || err == GNT_MALFORMED);
    GNT_ASSERT(gnt_slice_starts(gnt_buf_slice(out), gnt_slice_str("e=")));
    GNT_ASSERT(gnt_buf_size(out) < 40);
}

static void server(struct gnt_slice in, enum gnt_scram_hash hash)
{
    const struct gnt_scram_verifier verifier = {
        .hash = hash, .iterations = 4096, .salt_size = 3, .stored_key = {1}, .server_key = {2}};
    struct gnt_scram_server s = {.known = false};
    struct gnt_buf out = {0};
    gnt_err err = gnt_scram_server_begin(&s, take_line(&in), &out);
    if (err) {
        check_refusal(err, &out);
    } else {
        GNT_ASSERT(gnt_scram_text_valid(gnt_slice_str(s.name), GNT_SCRAM_NAME_MAX));
        err = gnt_scram_server_challenge(&s, &verifier, true, &seeded.door, &out);
        GNT_ASSERT(!err);
        gnt_buf_clear(&out);
        err = gnt_scram_server_finish(&s, take_line(&in), &out);
        check_refusal(err, &out); /* nobody has a key for that verifier */
    }
    gnt_scram_server_fini(&s);
    gnt_buf_fini(&out);
}

static void client(struct gnt_slice in, enum gnt_scram_hash hash)
{
    struct gnt_scram_client c = {.answered = false};
    struct gnt_buf out = {0}, challenge = {0};
    struct gnt_slice line = take_line(&in);
    if (is_slow(line))
        return;
    gnt_err err = gnt_scram_client_begin(&c, hash, gnt_slice_str("user"), &seeded.door, &out);
    GNT_ASSERT(!err);
    struct gnt_slice nonce = gnt_slice_skip(gnt_buf_slice(&c.exchanged), c.nonce_at);
    err = gnt_buf_put(&challenge, gnt_slice_str("r="));
    if (!err)
        err = gnt_buf_put(&challenge, nonce);
    if (!err)
        err = gnt_buf_put(&challenge, line);
    GNT_ASSERT(!err);
    gnt_buf_clear(&out);
    err = gnt_scram_client_answer(&c, gnt_buf_slice(&challenge), gnt_slice_str("pencil"), &out);
    GNT_ASSERT(err == GNT_OK || gnt_buf_size(&out) == 0);
    GNT_ASSERT(gnt_scram_client_verify(&c, take_line(&in)) != GNT_OK);
    gnt_scram_client_fini(&c);
    gnt_buf_fini(&out);
    gnt_buf_fini(&challenge);
}

static void verifier(struct gnt_slice in, enum gnt_scram_hash hash)
{
    (void)hash;
    struct gnt_scram_verifier v, back;
    char text[GNT_SCRAM_VERIFIER_TEXT];
    const char *why;
    if (gnt_scram_verifier_read(in, &v, &why)) {
        GNT_ASSERT(why);
        return;
    }
    gnt_scram_verifier_write(&v, text);
    GNT_ASSERT(gnt_slice_eq_str(in, text));
    gnt_err err = gnt_scram_verifier_read(gnt_slice_str(text), &back, &why);
    GNT_ASSERT(!err && memcmp(&v, &back, sizeof v) == 0);
}

static void base64(struct gnt_slice in, enum gnt_scram_hash hash)
{
    (void)hash;
    uint8_t bytes[256], text[GNT_BASE64_SIZE(sizeof bytes)];
    size_t size;
    if (gnt_base64_read(in, bytes, sizeof bytes, &size))
        return;
    size_t written = (size_t)(gnt_base64_write(text, gnt_slice(bytes, size)) - text);
    GNT_ASSERT(gnt_slice_eq(in, gnt_slice(text, written)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        uint8_t letter;
        void (*run)(struct gnt_slice in, enum gnt_scram_hash hash);
        enum gnt_scram_hash hash;
    } parts[] = {
        {'s', server, GNT_SCRAM_SHA_256},  {'S', server, GNT_SCRAM_SHA_512},
        {'c', client, GNT_SCRAM_SHA_256},  {'C', client, GNT_SCRAM_SHA_512},
        {'v', verifier, GNT_SCRAM_HASHES}, {'b', base64, GNT_SCRAM_HASHES},
    };
    gnt_seeded_init(&seeded, 1);
    for (size_t i = 0; size && i < sizeof parts / sizeof parts[0]; i++)
        if (data[0] == parts[i].letter)
            parts[i].run(gnt_slice_skip(gnt_slice(data, size), 1), parts[i].hash);
    return 0;
}
