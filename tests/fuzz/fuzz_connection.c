/* Any bytes as what clients send to a broker of two workers in this thread.  The input is a list of
 * pieces: a byte that says which of three clients sends it and how (below), a length, and that many
 * bytes.  What nobody sends says which access list there is from then on.  The last byte also says
 * what the broker does at full queues.  A bystander who is
 * connected all the time must stay unharmed: what it publishes to itself arrives, and nothing that
 * it has not asked for. */
#include "fuzz.h"

#include "../support/script_client.h"
#include "auth/access.h"
#include "base/assert.h"

#include <stdlib.h>

/*    bits of the first byte of a piece */
enum {
    CLIENT = 0x03,  /* 3: nobody; bytes are the number of an access list */
    SETTLE = 0x04,  /* the broker acts before the next piece comes */
    CLOSE = 0x08,   /* the client has gone after it */
    FINISH = 0x10,  /* the client writes no more after it */
    DEAF = 0x20,    /* the client does not read from now on */
    CONNECT = 0x40, /* it connects in good order before */
    PASS = 0x80,    /* 20 seconds go by */
};

/*    bits of the last byte */
enum {
    POLICY = 0x03, /* queue_full, 3 is 0 */
    QOS0_WAIT = 0x04,
    NO_WAIT = 0x08,  /* queue_full_wait is 0 */
    TINY = 0x10,     /* queues of one message */
    NARROW = 0x20,   /* a Receive Maximum of 2 */
    ONE_HOME = 0x40, /* a single worker */
    KEPT = 0x80,     /* what has to be is kept in a store */
};

enum { CLIENTS = 3 };

struct fuzz {
    struct script script;
    struct script_client *client[CLIENTS];
    struct script_client *bystander;
};

/* A slot is used again, so that any number of connections fits. */
static struct script_client *reopen(struct script *s, struct script_client *c, unsigned worker)
{
    size_t count = s->count;
    if (c) {
        script_close(c);
        free(c->in);
        s->count = (size_t)(c - s->client);
    }
    struct script_client *fresh = script_open(s, worker);
    if (c)
        s->count = count;
    return fresh;
}

static void check_bystander(struct fuzz *f)
{
    script_send(f->bystander, "30 | ['bystander'] 'here'; c000");
    script_expect(f->bystander, "30 | ['bystander'] 'here'; d000");
}

static void connect_in_order(struct script_client *c, unsigned which)
{
    static const char *const connects[CLIENTS] = {
        "10 | ['MQTT'] 05 00 0014 (11 00000010 22 0002 21 0003) ['a']",
        "10 | ['MQTT'] 04 00 0014 ['b']",
        "10 | ['MQIsdp'] 03 06 0014 ['c'] ['will'] ['w']",
    };
    script_send(c, connects[which]);
}

static void permit(struct gnt_access *list, bool permits, unsigned verbs, const char *on)
{
    const char *why;
    const struct gnt_access_rule rule = {.verbs = (uint8_t)verbs,
                                         .permits = permits,
                                         .on = gnt_slice_str(on)};
    gnt_err err = gnt_access_add(list, &rule, &why);
    GNT_ASSERT(!err);
}

/* A reload: none, one that leaves most as it is, one that leaves little.  The bystander may do what
 * it does with each. */
static void change_list(struct script *s, unsigned which)
{
    enum { LISTS = 3, READ = GNT_VERB_SUBSCRIBE | GNT_VERB_RECEIVE };
    struct gnt_access *list = NULL;
    gnt_err err = which % LISTS ? gnt_access_new(&list) : GNT_OK;
    if (list) {
        bool most = which % LISTS == 1;
        permit(list, true, GNT_VERB_PUBLISH | READ, most ? "#" : "${client}/#");
        permit(list, true, GNT_VERB_PUBLISH | READ, "bystander");
        permit(list, !most, most ? READ : GNT_VERB_RECEIVE, "t");
        permit(list, !most, READ, "+/a");
        err = gnt_access_seal(list);
    }
    if (!err)
        err = gnt_workers_mail_access(s->workers, list);
    GNT_ASSERT(!err);
    gnt_access_unref(&list);
}

static struct gnt_slice piece(struct fuzz *f, struct gnt_slice in)
{
    struct script *s = &f->script;
    unsigned how = in.data[0], which = how & CLIENT;
    size_t size = in.data[1];
    in = gnt_slice_skip(in, 2);
    size = size < in.size ? size : in.size;
    struct gnt_slice bytes = gnt_slice(in.data, size);
    if (which < CLIENTS) {
        struct script_client **c = &f->client[which];
        if (!*c || !(*c)->stream || (*c)->ended)
            *c = reopen(s, *c, which % s->workers->count);
        if (how & CONNECT)
            connect_in_order(*c, which);
        (*c)->deaf = (how & DEAF) != 0;
        (*c)->careless = true;
        script_send_bytes(*c, bytes);
        if (how & FINISH)
            gnt_stream_finish((*c)->stream);
        if (how & CLOSE)
            script_close(*c);
    } else if (bytes.size) {
        change_list(s, bytes.data[0]);
    }
    if (how & SETTLE)
        script_settle(s);
    if (how & PASS)
        script_pass(s, 20000);
    for (int i = 0; i < CLIENTS; i++)
        if (f->client[i])
            script_skip(f->client[i]);
    return gnt_slice_skip(in, size);
}

static void begin(struct script *s, unsigned how)
{
    static const char *const policies[] = {"queue_full=drop_newest", "queue_full=drop_oldest",
                                           "queue_full=disconnect", "queue_full=drop_newest"};
    script_init(s, how & ONE_HOME ? 1 : 2, "limits.packet=4KiB", "limits.topic_levels=8",
                "limits.subscriptions_per_session=8", "limits.output_per_connection=4KiB",
                policies[how & POLICY],
                how & QOS0_WAIT ? "queue_full_qos0=wait" : "queue_full_qos0=drop",
                how & NO_WAIT ? "queue_full_wait=0s" : "queue_full_wait=10s",
                how & TINY ? "limits.queued_per_session=1" : "limits.queued_per_session=8",
                how & NARROW ? "limits.receive_maximum=2" : "limits.receive_maximum=65535", NULL);
    if (how & KEPT)
        script_keep(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { INPUT_MAX = 16384, CAPACITY = 4096 };
    static struct fuzz f;
    struct gnt_slice in = gnt_slice(data, size < INPUT_MAX ? size : INPUT_MAX);
    unsigned how = in.size ? in.data[in.size - 1] : 0;
    f = (struct fuzz){0};
    begin(&f.script, how);
    f.script.capacity = CAPACITY;
    f.script.input_max = 64 * CAPACITY;
    f.script.hasty = true;
    f.bystander =
        script_connect(&f.script, 0, "10 | ['MQTT'] 04 02 0000 ['bystander']", "20 02 00 00");
    script_send(f.bystander, "82 | 0001 ['bystander'] 00");
    script_expect(f.bystander, "90 | 0001 00");
    while (in.size >= 2)
        in = piece(&f, in);
    if (!(how & QOS0_WAIT)) /* else it waits for whoever gets what it publishes */
        check_bystander(&f);
    for (int i = 0; i < CLIENTS; i++)
        if (f.client[i])
            script_close(f.client[i]);
    script_pass(&f.script, 20000);
    GNT_ASSERT(f.script.workers->lobby.connections == 1);
    GNT_ASSERT(script_counted(&f.script, GNT_COUNT_CONNECTED) == 1);
    check_bystander(&f);
    script_fini(&f.script);
    return 0;
}
