/* The server's side of SCRAM [RFC 5802 3, 5, 7]. */

#include "base/base64.h"
#include "auth/scram_private.h"

#include <stdio.h>

/* The words that the grammar has for a server's "e=" [RFC 5802 7]. */
static const char bad_encoding[] = "invalid-encoding", bad_name[] = "invalid-username-encoding",
                  bad_proof[] = "invalid-proof", other[] = "other-error",
                  no_extensions[] = "extensions-not-supported",
                  no_binding[] = "channel-binding-not-supported",
                  other_binding[] = "channel-bindings-dont-match";

static gnt_err refuse(struct gnt_buf *out, gnt_err err, const char *word)
{
    size_t before = gnt_buf_size(out);
    gnt_err put = gnt_scram_put_str(out, "e=");
    if (!put)
        put = gnt_scram_put_str(out, word);
    if (put)
        gnt_buf_cut(out, before);
    return put ? put : err;
}

/* A saslname without its escapes; false: it is none, or too long. */
static bool read_name(struct gnt_slice text, char name[GNT_SCRAM_NAME_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = (char)text.data[i];
        if (c == '=') {
            struct gnt_slice rest = gnt_slice_skip(text, i);
            bool comma = gnt_slice_starts(rest, gnt_slice_str("=2C"));
            if (!comma && !gnt_slice_starts(rest, gnt_slice_str("=3D")))
                return false;
            c = comma ? ',' : '=';
            i += 2;
        }
        if (n == GNT_SCRAM_NAME_MAX)
            return false;
        name[n++] = c;
    }
    name[n] = '\0';
    return gnt_scram_text_valid(gnt_slice(name, n), GNT_SCRAM_NAME_MAX);
}

/* "n,," or "y,,", perhaps with "a=name" between the commas: *size is its length.  NULL, or the word
 * for what is wrong. */
static const char *read_header(struct gnt_slice first, size_t *size, struct gnt_slice *authzid)
{
    *authzid = gnt_slice(NULL, 0);
    if (gnt_slice_starts(first, gnt_slice_str("p=")))
        return no_binding;
    if (!gnt_slice_starts(first, gnt_slice_str("n,")) &&
        !gnt_slice_starts(first, gnt_slice_str("y,")))
        return other;
    const uint8_t *from = first.data + 2;
    const uint8_t *comma = first.size > 2 ? memchr(from, ',', first.size - 2) : NULL;
    if (!comma)
        return other;
    struct gnt_slice between = gnt_slice(from, (size_t)(comma - from));
    if (between.size && !gnt_slice_starts(between, gnt_slice_str("a=")))
        return other;
    if (between.size)
        *authzid = gnt_slice_skip(between, 2);
    *size = between.size + 3;
    return between.size == 2 ? other : NULL;
}

/* client-first-message-bare. */
static const char *read_bare(struct gnt_scram_server *s, struct gnt_slice bare,
                             struct gnt_slice authzid)
{
    char asked[GNT_SCRAM_NAME_MAX + 1];
    struct gnt_scram_reader r = gnt_scram_reader(bare);
    struct gnt_slice name;
    uint8_t letter = gnt_scram_read(&r, &name);
    if (letter == 'm')
        return no_extensions;
    if (letter != 'n')
        return other;
    if (!read_name(name, s->name))
        return bad_name;
    struct gnt_slice nonce = gnt_scram_expect(&r, 'r');
    gnt_scram_pass_extensions(&r);
    if (r.bad || !gnt_scram_nonce_valid(nonce))
        return other;
    s->nonce_at = (size_t)(nonce.data - bare.data);
    s->nonce_size = nonce.size;
    /* Nobody may act for somebody else. */
    if (authzid.size && (!read_name(authzid, asked) || strcmp(asked, s->name) != 0))
        return other;
    return NULL;
}

gnt_err gnt_scram_server_begin(struct gnt_scram_server *s, struct gnt_slice first,
                               struct gnt_buf *out)
{
    size_t header_size = 0;
    struct gnt_slice authzid;
    if (first.size > GNT_SCRAM_MESSAGE_MAX)
        return refuse(out, GNT_MALFORMED, other);
    const char *wrong = read_header(first, &header_size, &authzid);
    struct gnt_slice bare = wrong ? first : gnt_slice_skip(first, header_size);
    if (!wrong)
        wrong = read_bare(s, bare, authzid);
    if (wrong)
        return refuse(out, GNT_MALFORMED, wrong);
    gnt_err err = gnt_buf_put(&s->header, gnt_slice(first.data, header_size));
    return err ? err : gnt_buf_put(&s->exchanged, bare);
}

/* ",r=NONCES,s=SALT,i=COUNT" behind client-first-bare. */
static gnt_err put_challenge(struct gnt_scram_server *s, const struct gnt_random *random)
{
    struct gnt_buf *to = &s->exchanged;
    char count[16];
    uint8_t client[GNT_SCRAM_NONCE_MAX];
    memcpy(client, gnt_buf_slice(to).data + s->nonce_at, s->nonce_size);
    gnt_err err = gnt_scram_put_str(to, ",r=");
    s->nonce_at = gnt_buf_size(to);
    if (!err)
        err = gnt_buf_put(to, gnt_slice(client, s->nonce_size));
    if (!err)
        err = gnt_scram_put_nonce(to, random);
    s->nonce_size += GNT_SCRAM_NONCE_SIZE;
    if (!err)
        err = gnt_scram_put_str(to, ",s=");
    if (!err)
        err = gnt_scram_put_base64(to, gnt_slice(s->verifier.salt, s->verifier.salt_size));
    snprintf(count, sizeof count, ",i=%u", s->verifier.iterations);
    return err ? err : gnt_scram_put_str(to, count);
}

gnt_err gnt_scram_server_challenge(struct gnt_scram_server *s, const struct gnt_scram_verifier *v,
                                   bool known, const struct gnt_random *random, struct gnt_buf *out)
{
    s->verifier = *v;
    s->known = known;
    size_t bare_size = gnt_buf_size(&s->exchanged);
    gnt_err err = put_challenge(s, random);
    if (err)
        return err;
    return gnt_buf_put(out, gnt_slice_skip(gnt_buf_slice(&s->exchanged), bare_size + 1));
}

/* What the client's answer says. */
struct answer {
    struct gnt_slice binding, nonce, proof, without_proof;
};

static bool read_answer(struct gnt_slice text, struct answer *out)
{
    struct gnt_scram_reader r = gnt_scram_reader(text);
    out->binding = gnt_scram_expect(&r, 'c');
    out->nonce = gnt_scram_expect(&r, 'r');
    uint8_t letter = 0;
    while (!r.bad && !r.end && letter != 'p' && letter != 'm')
        letter = gnt_scram_read(&r, &out->proof);
    if (r.bad || !r.end || letter != 'p')
        return false;
    out->without_proof = gnt_slice(text.data, text.size - out->proof.size - 3); /* ",p=" */
    return true;
}

/* c= repeats the header that the client began with, so that nobody has changed it on the way. */
static const char *check_binding(const struct gnt_scram_server *s, struct gnt_slice text)
{
    uint8_t said[GNT_SCRAM_MESSAGE_MAX];
    size_t size;
    if (gnt_base64_read(text, said, sizeof said, &size))
        return bad_encoding;
    return gnt_slice_eq(gnt_slice(said, size), gnt_buf_slice(&s->header)) ? NULL : other_binding;
}

/* GNT_DENIED: it is not the proof of who knows the password. */
static gnt_err check_proof(struct gnt_scram_server *s, const uint8_t proof[GNT_SCRAM_KEY_MAX],
                           uint8_t server_signature[GNT_SCRAM_KEY_MAX])
{
    enum gnt_scram_hash hash = s->verifier.hash;
    uint8_t key[GNT_SCRAM_KEY_MAX] = {0}, stored[GNT_SCRAM_KEY_MAX] = {0};
    struct gnt_slice signed_text = gnt_buf_slice(&s->exchanged);
    gnt_err err = gnt_scram_hmac(hash, s->verifier.stored_key, signed_text, key);
    for (size_t i = 0; i < gnt_scram_size(hash); i++)
        key[i] ^= proof[i]; /* ClientSignature XOR ClientProof is ClientKey */
    if (!err)
        err = gnt_scram_hash_key(hash, key, stored);
    bool right = gnt_scram_equal(hash, stored, s->verifier.stored_key);
    if (!err && !(right & s->known))
        err = GNT_DENIED;
    if (!err)
        err = gnt_scram_hmac(hash, s->verifier.server_key, signed_text, server_signature);
    gnt_scram_wipe(key, sizeof key);
    return err;
}

gnt_err gnt_scram_server_finish(struct gnt_scram_server *s, struct gnt_slice answer,
                                struct gnt_buf *out)
{
    struct answer a;
    enum gnt_scram_hash hash = s->verifier.hash;
    uint8_t proof[GNT_SCRAM_KEY_MAX], signature[GNT_SCRAM_KEY_MAX];
    if (!read_answer(answer, &a))
        return refuse(out, GNT_MALFORMED, other);
    const char *wrong = check_binding(s, a.binding);
    if (wrong)
        return refuse(out, GNT_MALFORMED, wrong);
    struct gnt_slice nonce =
        gnt_slice(gnt_buf_slice(&s->exchanged).data + s->nonce_at, s->nonce_size);
    if (!gnt_slice_eq(a.nonce, nonce))
        return refuse(out, GNT_DENIED, other);
    if (!gnt_scram_read_key(hash, a.proof, proof))
        return refuse(out, GNT_MALFORMED, bad_encoding);
    gnt_err err = gnt_scram_put_str(&s->exchanged, ",");
    if (!err)
        err = gnt_buf_put(&s->exchanged, a.without_proof);
    if (!err)
        err = check_proof(s, proof, signature);
    if (err == GNT_DENIED)
        return refuse(out, err, bad_proof);
    size_t before = gnt_buf_size(out);
    if (!err)
        err = gnt_scram_put_str(out, "v=");
    if (!err)
        err = gnt_scram_put_base64(out, gnt_slice(signature, gnt_scram_size(hash)));
    if (err)
        gnt_buf_cut(out, before);
    return err;
}

void gnt_scram_server_fini(struct gnt_scram_server *s)
{
    gnt_buf_fini(&s->exchanged);
    gnt_buf_fini(&s->header);
    gnt_scram_wipe(s, sizeof *s);
}
