/* What the hasher's thread is asked to do, and the way back to the loop of who waits for it. */

#include "auth/users.h"
#include "front/base/lobby.h"
#include "net/post.h"
#include "net/tls.h"

#include <stdlib.h>
#include <unistd.h>

static void check_free(struct gnt_lobby_check *check)
{
    X509_free(check->told.certificate);
    gnt_scram_wipe(check, sizeof *check + check->size);
    free(check);
}

static void on_checked(const struct gnt_mail *mail)
{
    struct gnt_lobby_check *check = mail->object;
    if (check->owner)
        check->answer(check, check->owner);
    check_free(check);
}

/* On the hasher's thread: back to the loop's. */
static void on_hashed(struct gnt_hasher_job *job)
{
    enum { PAUSE_US = 1000 };
    struct gnt_lobby_check *check = GNT_CONTAINER(job, struct gnt_lobby_check, job);
    struct gnt_loop *loop = check->loop;
    const struct gnt_mail mail = {.run = on_checked, .to = loop, .object = check};
    while (gnt_post_send_outside(loop->post, loop->address, &mail))
        usleep(PAUSE_US); /* out of memory; a moment may help, and it has to be told */
}

/* With room for SIZE bytes of texts. */
static struct gnt_lobby_check *check_new(const struct gnt_visitor *v, size_t size, void *owner,
                                         gnt_lobby_answer *answer)
{
    struct gnt_lobby_check *check = calloc(1, sizeof *check + size);
    if (!check)
        return NULL;
    check->loop = v->loop;
    check->owner = owner;
    check->answer = answer;
    check->hooks = v->lobby->hooks;
    check->job.done = on_hashed;
    return check;
}

/* A broker that ends has no hasher any more, but answers that are still under way. */
static gnt_err submit(const struct gnt_visitor *v, struct gnt_lobby_check *check,
                      struct gnt_lobby_check **out)
{
    struct gnt_hasher *hasher = v->lobby->hasher;
    gnt_err err = hasher ? gnt_hasher_submit(hasher, &check->job) : GNT_FULL;
    if (err)
        check_free(check);
    else
        *out = check;
    return err == GNT_FULL ? GNT_BUSY : err;
}

void gnt_lobby_abandon(struct gnt_lobby_check **check)
{
    if (*check) {
        (*check)->owner = NULL;
        atomic_store(&(*check)->job.unwanted, true);
    }
    *check = NULL;
}

/* ---- A password */

gnt_err gnt_lobby_check_password(const struct gnt_visitor *v, const struct gnt_users *users,
                                 struct gnt_slice user, struct gnt_slice password, void *owner,
                                 gnt_lobby_answer *answer, struct gnt_lobby_check **out)
{
    if (!users || password.size > GNT_SCRAM_PASSWORD_MAX)
        return GNT_DENIED;
    struct gnt_lobby_check *check = check_new(v, 0, owner, answer);
    if (!check)
        return GNT_NOMEM;
    check->job.known = gnt_users_find(users, user, &check->job.verifier);
    check->job.password_size = password.size;
    if (password.size)
        memcpy(check->job.password, password.data, password.size);
    return submit(v, check, out);
}

/* ---- A program */

/* On the hasher's thread. */
static gnt_err ask(struct gnt_hasher_job *job)
{
    struct gnt_lobby_check *check = GNT_CONTAINER(job, struct gnt_lobby_check, job);
    check->said = check->hooks->login(check->hooks->context, &check->told, check->user);
    check->user[sizeof check->user - 1] = '\0';
    return GNT_OK;
}

/* Appends TEXT with a zero byte behind it; NULL: there is none. */
static const char *put(struct gnt_lobby_check *check, struct gnt_slice text)
{
    char *at = check->texts + check->size;
    if (!text.data)
        return NULL;
    if (text.size)
        memcpy(at, text.data, text.size);
    at[text.size] = '\0';
    check->size += text.size + 1;
    return at;
}

static void fill(struct gnt_lobby_check *check, const struct gnt_visitor *v,
                 const struct gnt_lobby_shown *shown)
{
    const struct gnt_stream *tls = gnt_tls_of(v->stream);
    struct gnt_login_question *told = &check->told;
    told->protocol = shown->protocol;
    told->client = shown->client.data ? put(check, shown->client) : "";
    told->user = put(check, shown->user);
    told->named = put(check, shown->named);
    told->password = gnt_slice(put(check, shown->password), shown->password.size);
    told->certificate = tls ? gnt_tls_peer_certificate(tls) : NULL;
    if (told->certificate)
        X509_up_ref(told->certificate);
    gnt_stream_peer(v->stream, check->address, sizeof check->address);
    told->address = check->address;
    const char *user = told->named ? told->named : told->user;
    if (user)
        memcpy(check->user, user, strlen(user) + 1);
}

gnt_err gnt_lobby_ask(const struct gnt_visitor *v, const struct gnt_lobby_shown *shown, void *owner,
                      gnt_lobby_answer *answer, struct gnt_lobby_check **out)
{
    enum { TEXTS = 4 };
    size_t size = shown->client.size + shown->user.size + shown->password.size + shown->named.size;
    if (shown->user.size >= GNT_LOGIN_USER_SIZE || shown->named.size >= GNT_LOGIN_USER_SIZE)
        return GNT_DENIED;
    struct gnt_lobby_check *check = check_new(v, size + TEXTS, owner, answer);
    if (!check)
        return GNT_NOMEM;
    check->asked = true;
    check->job.ask = ask;
    fill(check, v, shown);
    return submit(v, check, out);
}
