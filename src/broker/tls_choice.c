#include "broker/tls_choice.h"

#include "base/file.h"
#include "base/list.h"
#include "base/log.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { FILES = 3 };

struct choice {
    struct gnt_list link; /* in choices->list, the newest last */
    char *file[FILES];    /* certificate, key, pfx; each may be NULL */
    char *passphrase;
    struct gnt_file_stamp stamps[FILES]; /* when they were read */
    struct gnt_identity identity;
};

struct gnt_tls_choices {
    const struct gnt_callback_tls *program;
    pthread_mutex_t lock; /* guards the rest, taken last, held while files are read */
    struct gnt_list list;
    unsigned count;
};

/* ---- One choice */

static void choice_free(struct choice *c)
{
    for (int i = 0; i < FILES; i++)
        free(c->file[i]);
    if (c->passphrase)
        OPENSSL_cleanse(c->passphrase, strlen(c->passphrase));
    free(c->passphrase);
    gnt_identity_fini(&c->identity);
    free(c);
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool copy(const char *from, char **to)
{
    *to = from ? strdup(from) : NULL;
    return !from == !*to;
}

static void look_at_files(const char *const file[FILES], struct gnt_file_stamp out[FILES])
{
    for (int i = 0; i < FILES; i++)
        gnt_file_stamp(file[i], &out[i]);
}

static gnt_err read_choice(const struct gnt_identity_source *source, struct choice **out,
                           struct gnt_pki_why *why)
{
    const char *const file[FILES] = {source->certificate, source->key, source->pfx};
    struct choice *c = calloc(1, sizeof *c);
    bool made = c && copy(source->passphrase, &c->passphrase);
    for (int i = 0; i < FILES && made; i++)
        made = copy(file[i], &c->file[i]);
    gnt_err err = GNT_NOMEM;
    if (made) {
        gnt_list_init(&c->link);
        look_at_files(file, c->stamps); /* what changes from here on is read the next time */
        err = gnt_identity_load(source, &c->identity, why);
    } else {
        err = gnt_pki_refuse(why, err, "%s", gnt_err_text(err));
    }
    if (!err)
        *out = c;
    else if (c)
        choice_free(c);
    return err;
}

/* ---- All of them */

gnt_err gnt_tls_choices_new(const struct gnt_callback_tls *program, struct gnt_tls_choices **out)
{
    struct gnt_tls_choices *all = calloc(1, sizeof *all);
    if (!all)
        return GNT_NOMEM;
    all->program = program;
    pthread_mutex_init(&all->lock, NULL);
    gnt_list_init(&all->list);
    *out = all;
    return GNT_OK;
}

static void forget(struct gnt_tls_choices *all, struct choice *c)
{
    gnt_list_remove(&c->link);
    all->count--;
    choice_free(c);
}

void gnt_tls_choices_free(struct gnt_tls_choices **choices)
{
    struct gnt_tls_choices *all = *choices;
    *choices = NULL;
    if (!all)
        return;
    while (!gnt_list_empty(&all->list))
        forget(all, GNT_CONTAINER(all->list.next, struct choice, link));
    pthread_mutex_destroy(&all->lock);
    free(all);
}

/* The one of SOURCE, if its files are as they were. */
static struct choice *find(struct gnt_tls_choices *all, const struct gnt_identity_source *source)
{
    const char *const file[FILES] = {source->certificate, source->key, source->pfx};
    gnt_list_each (link, &all->list) {
        struct choice *c = GNT_CONTAINER(link, struct choice, link);
        struct gnt_file_stamp stamps[FILES];
        bool it = same(c->passphrase, source->passphrase);
        for (int i = 0; i < FILES && it; i++)
            it = same(c->file[i], file[i]);
        if (!it)
            continue;
        look_at_files(file, stamps);
        if (memcmp(stamps, c->stamps, sizeof stamps) == 0)
            return c;
        forget(all, c);
        return NULL;
    }
    return NULL;
}

static gnt_err take(struct gnt_tls_choices *all, const struct gnt_identity_source *source,
                    struct gnt_identity *out, struct gnt_pki_why *why)
{
    struct choice *c = find(all, source);
    gnt_err err = c ? GNT_OK : read_choice(source, &c, why);
    if (err)
        return err;
    if (!gnt_list_linked(&c->link)) {
        if (all->count == GNT_TLS_CHOICES_MAX)
            forget(all, GNT_CONTAINER(all->list.next, struct choice, link));
        gnt_list_push_back(&all->list, &c->link);
        all->count++;
    }
    err = gnt_identity_share(&c->identity, out);
    return err ? gnt_pki_refuse(why, err, "%s", gnt_err_text(err)) : GNT_OK;
}

gnt_err gnt_tls_choices_make(struct gnt_tls_choices *all, const char *host,
                             struct gnt_identity *out)
{
    const struct gnatter_tls_wish wish = {.host = host};
    struct gnatter_tls_identity chosen = {NULL, NULL, NULL, NULL};
    struct gnt_identity_source source;
    struct gnt_pki_why why;
    all->program->choose(all->program->context, &wish, &chosen);
    if (!gnt_callback_identity(&chosen, &source))
        return GNT_NOTFOUND;
    pthread_mutex_lock(&all->lock);
    gnt_err err = take(all, &source, out, &why);
    pthread_mutex_unlock(&all->lock);
    if (err)
        gnt_log_limited(GNT_LOG_ERROR, NULL, "certificate", GNT_F_STR("problem", why.text));
    return err == GNT_NOTFOUND ? GNT_INVALID : err;
}
