/* The client's side of SCRAM [RFC 5802 3, 5, 7]. */

#include "base/base64.h"
#include "auth/scram_private.h"

/* Without channel binding, and for nobody else: what c= repeats, in base64. */
static const char header[] = "n,,", header_base64[] = "biws";

static gnt_err put_name(struct gnt_buf *out, struct gnt_slice name)
{
    gnt_err err = GNT_OK;
    for (size_t i = 0; i < name.size && !err; i++) {
        if (name.data[i] == ',')
            err = gnt_scram_put_str(out, "=2C");
        else if (name.data[i] == '=')
            err = gnt_scram_put_str(out, "=3D");
        else
            err = gnt_buf_put(out, gnt_slice(name.data + i, 1));
    }
    return err;
}

gnt_err gnt_scram_client_begin(struct gnt_scram_client *c, enum gnt_scram_hash hash,
                               struct gnt_slice name, const struct gnt_random *random,
                               struct gnt_buf *out)
{
    if (!gnt_scram_text_valid(name, GNT_SCRAM_NAME_MAX))
        return GNT_INVALID;
    c->hash = hash;
    gnt_err err = gnt_scram_put_str(&c->exchanged, "n=");
    if (!err)
        err = put_name(&c->exchanged, name);
    if (!err)
        err = gnt_scram_put_str(&c->exchanged, ",r=");
    c->nonce_at = gnt_buf_size(&c->exchanged);
    if (!err)
        err = gnt_scram_put_nonce(&c->exchanged, random);
    if (!err)
        err = gnt_buf_reserve(out, sizeof header - 1 + gnt_buf_size(&c->exchanged));
    if (!err)
        err = gnt_scram_put_str(out, header);
    return err ? err : gnt_buf_put(out, gnt_buf_slice(&c->exchanged));
}

/* What the server's challenge says. */
struct challenge {
    struct gnt_slice nonce;
    uint8_t salt[GNT_SCRAM_SALT_MAX];
    size_t salt_size;
    uint32_t iterations;
};

static gnt_err read_challenge(const struct gnt_scram_client *c, struct gnt_slice text,
                              struct challenge *out)
{
    struct gnt_scram_reader r = gnt_scram_reader(text);
    out->nonce = gnt_scram_expect(&r, 'r'); /* not m=, whose extension we do not know */
    struct gnt_slice salt = gnt_scram_expect(&r, 's');
    struct gnt_slice count = gnt_scram_expect(&r, 'i');
    gnt_scram_pass_extensions(&r);
    if (r.bad || !gnt_scram_nonce_valid(out->nonce) ||
        gnt_base64_read(salt, out->salt, sizeof out->salt, &out->salt_size))
        return GNT_MALFORMED;
    struct gnt_slice own = gnt_slice_skip(gnt_buf_slice(&c->exchanged), c->nonce_at);
    out->iterations = gnt_scram_iterations(count);
    bool good = out->iterations && out->nonce.size > own.size && gnt_slice_starts(out->nonce, own);
    return good ? GNT_OK : GNT_DENIED;
}

/* "c=biws,r=NONCE", signed together with what went before; then ",p=PROOF". */
static gnt_err put_answer(struct gnt_scram_client *c, struct gnt_slice nonce,
                          const struct gnt_scram_keys *keys, struct gnt_buf *out)
{
    struct gnt_buf *text = &c->exchanged;
    uint8_t proof[GNT_SCRAM_KEY_MAX];
    size_t size = gnt_scram_size(c->hash);
    gnt_err err = gnt_scram_put_str(text, ",");
    size_t from = gnt_buf_size(text);
    if (!err)
        err = gnt_scram_put_str(text, "c=");
    if (!err)
        err = gnt_scram_put_str(text, header_base64);
    if (!err)
        err = gnt_scram_put_str(text, ",r=");
    if (!err)
        err = gnt_buf_put(text, nonce);
    if (!err)
        err = gnt_scram_hmac(c->hash, keys->stored, gnt_buf_slice(text), proof);
    if (!err)
        err = gnt_scram_hmac(c->hash, keys->server, gnt_buf_slice(text), c->server_signature);
    if (err)
        return err;
    for (size_t i = 0; i < size; i++)
        proof[i] ^= keys->client[i];
    err = gnt_buf_put(out, gnt_slice_skip(gnt_buf_slice(text), from));
    if (!err)
        err = gnt_scram_put_str(out, ",p=");
    return err ? err : gnt_scram_put_base64(out, gnt_slice(proof, size));
}

gnt_err gnt_scram_client_answer(struct gnt_scram_client *c, struct gnt_slice challenge,
                                struct gnt_slice password, struct gnt_buf *out)
{
    struct challenge said;
    struct gnt_scram_keys keys;
    gnt_err err = read_challenge(c, challenge, &said);
    if (!err)
        err = gnt_scram_put_str(&c->exchanged, ",");
    if (!err)
        err = gnt_buf_put(&c->exchanged, challenge);
    if (err)
        return err;
    err = gnt_scram_keys(c->hash, password, gnt_slice(said.salt, said.salt_size), said.iterations,
                         &keys);
    if (!err)
        err = put_answer(c, said.nonce, &keys, out);
    gnt_scram_wipe(&keys, sizeof keys);
    c->answered = !err;
    return err;
}

gnt_err gnt_scram_client_verify(struct gnt_scram_client *c, struct gnt_slice last)
{
    struct gnt_scram_reader r = gnt_scram_reader(last);
    struct gnt_slice value;
    uint8_t signature[GNT_SCRAM_KEY_MAX];
    uint8_t letter = gnt_scram_read(&r, &value);
    gnt_scram_pass_extensions(&r);
    if (letter == 'e')
        return GNT_DENIED;
    if (r.bad || letter != 'v' || !gnt_scram_read_key(c->hash, value, signature))
        return GNT_MALFORMED;
    bool right = c->answered && gnt_scram_equal(c->hash, signature, c->server_signature);
    return right ? GNT_OK : GNT_DENIED;
}

void gnt_scram_client_fini(struct gnt_scram_client *c)
{
    gnt_buf_fini(&c->exchanged);
    gnt_scram_wipe(c, sizeof *c);
}
