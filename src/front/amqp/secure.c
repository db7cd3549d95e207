/* TLS on a connection that has begun without: a peer asks for it by AMQP's header, and begins once
 * more behind the handshake [AMQP 5.2.1].  What it has sent behind its header is the handshake's.
 *
 * The time for the handshake is that of the whole way to `open`; the loop bounds how much of
 * handshakes a turn does (net/tls.h). */

#include "front/amqp/peer.h"
#include "net/tls.h"

static bool awaits_tls(const struct gnt_amqp_peer *p)
{
    return p->state == GNT_PEER_OPEN && p->engine.state == GNT_AMQP_AWAITS_TLS;
}

/* Only who comes without TLS is offered it. */
bool gnt_amqp_peer_shakes_hands(const struct gnt_amqp_peer *p)
{
    return awaits_tls(p) && gnt_tls_of(p->stream);
}

void gnt_amqp_peer_secure(struct gnt_amqp_peer *p)
{
    void (*on_ready)(struct gnt_stream *) = p->stream->on_ready;
    if (!awaits_tls(p) || gnt_amqp_peer_shakes_hands(p) || p->out.size)
        return;
    gnt_err err = gnt_tls_new(&p->stream, gnt_amqp_login_tls(p), NULL, &p->stream);
    if (err) {
        gnt_amqp_peer_unsecured(p, gnt_err_text(err));
        return;
    }
    gnt_tls_came(p->stream, &p->in);
    p->stream->owner = p;
    p->stream->on_ready = on_ready;
}

void gnt_amqp_peer_unsecured(struct gnt_amqp_peer *p, const char *reason)
{
    gnt_count(gnt_amqp_peer_counters(p), GNT_COUNT_TLS_FAILURES, 1);
    gnt_amqp_peer_lost(p, reason);
}

static void is_secured(struct gnt_amqp_peer *p)
{
    gnt_amqp_connection_secured(&p->engine);
    gnt_err err = gnt_amqp_login_offer_anew(p);
    if (err)
        gnt_amqp_peer_lost(p,
                           err == GNT_DENIED ? "its certificate names nobody" : gnt_err_text(err));
    else
        gnt_amqp_peer_want(p);
}

void gnt_amqp_peer_shook_hands(struct gnt_amqp_peer *p)
{
    char words[GNT_TLS_WORDS_MAX];
    gnt_err err = gnt_tls_handshake(p->stream);
    if (!err)
        is_secured(p);
    else if (err != GNT_MORE)
        gnt_amqp_peer_unsecured(p, *gnt_tls_words(p->stream, words) ? words : gnt_err_text(err));
}
