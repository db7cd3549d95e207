#include "broker/program.h"

#include <stdlib.h>

_Static_assert((int)GNATTER_LOGIN_REFUSE == (int)GNT_LOGIN_REFUSE &&
                   (int)GNATTER_LOGIN_ACCEPT == (int)GNT_LOGIN_ACCEPT &&
                   (int)GNATTER_LOGIN_USUAL == (int)GNT_LOGIN_USUAL &&
                   (int)GNATTER_USER_SIZE == (int)GNT_LOGIN_USER_SIZE,
               "answers go through unchanged");
_Static_assert((int)GNATTER_ACTION_PUBLISH == (int)GNT_VERB_PUBLISH &&
                   (int)GNATTER_ACTION_SUBSCRIBE == (int)GNT_VERB_SUBSCRIBE &&
                   (int)GNATTER_ACTION_RECEIVE == (int)GNT_VERB_RECEIVE &&
                   (int)GNATTER_ACTION_SEND == (int)GNT_VERB_SEND &&
                   (int)GNATTER_ACTION_LISTEN == (int)GNT_VERB_LISTEN &&
                   (int)GNATTER_ACTION_MANAGE == (int)GNT_VERB_MANAGE,
               "what is asked for goes through unchanged");

/* ---- Who may come */

static enum gnt_login_answer login(void *context, const struct gnt_login_question *q,
                                   char user[GNT_LOGIN_USER_SIZE])
{
    const struct gnt_program *p = context;
    struct gnatter_certificate certificate;
    struct gnatter_login told = {.client_id = q->client,
                                 .user = q->user,
                                 .password = q->password.data,
                                 .password_size = q->password.size,
                                 .address = q->address,
                                 .certificate_name = q->named,
                                 .protocol = q->protocol};
    if (q->certificate) {
        if (!gnt_callback_certificate(q->certificate, &certificate))
            return GNT_LOGIN_REFUSE; /* out of memory */
        told.certificate = &certificate;
    }
    enum gnatter_login_answer answer = p->options.authenticate(p->options.context, &told, user);
    if (q->certificate)
        gnt_callback_certificate_forget(&certificate);
    return (enum gnt_login_answer)answer;
}

static void came(void *context, const struct gnt_guest *guest)
{
    const struct gnt_program *p = context;
    const struct gnatter_guest told = {guest->client, guest->user, guest->address, guest->protocol};
    p->options.on_client_came(p->options.context, &told);
}

static void went(void *context, const struct gnt_guest *guest, const char *why)
{
    const struct gnt_program *p = context;
    const struct gnatter_guest told = {guest->client, guest->user, guest->address, guest->protocol};
    p->options.on_client_went(p->options.context, &told, why);
}

/* ---- What they may do */

/* TEXT with a zero byte behind it, at *room; what is left of it. */
static const char *put(char **room, struct gnt_slice text)
{
    char *at = *room;
    if (text.size)
        memcpy(at, text.data, text.size);
    at[text.size] = '\0';
    *room = at + text.size + 1;
    return at;
}

static bool ask(void *context, struct gnt_principal who, enum gnt_verb verb, struct gnt_slice topic)
{
    enum { USUALLY = 1024 };
    const struct gnt_program *p = context;
    size_t size = who.client.size + who.user.size + topic.size + 3;
    char usual[USUALLY], *texts = size <= sizeof usual ? usual : malloc(size), *room = texts;
    if (!texts)
        return false;
    const struct gnatter_wanted wanted = {
        .client_id = put(&room, who.client),
        .user = who.user.size ? put(&room, who.user) : NULL,
        .action = (enum gnatter_action)verb,
        .topic = put(&room, topic),
    };
    bool may = p->options.authorize(p->options.context, &wanted);
    if (texts != usual)
        free(texts);
    return may;
}

/* ---- All of it */

void gnt_program_init(struct gnt_program *p, const struct gnatter_broker_options *options)
{
    const struct gnatter_broker_options *o = &p->options;
    *p = (struct gnt_program){.options = *options};
    p->hooks = (struct gnt_hooks){.context = p,
                                  .login = o->authenticate ? login : NULL,
                                  .came = o->on_client_came ? came : NULL,
                                  .went = o->on_client_went ? went : NULL};
    p->tls =
        (struct gnt_callback_tls){.judge = o->judge, .choose = o->choose, .context = o->context};
    if (o->authenticate || o->on_client_came || o->on_client_went)
        p->broker.hooks = &p->hooks;
    if (o->authorize) {
        p->broker.ask = ask;
        p->broker.ask_context = p;
    }
    if (o->judge || o->choose)
        p->broker.tls = &p->tls;
}
