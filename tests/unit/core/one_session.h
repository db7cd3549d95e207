/* A world of one home with one client, which is subscribed to "t": for the tests of sessions. */
#ifndef GNT_TESTS_ONE_SESSION_H
#define GNT_TESTS_ONE_SESSION_H

#include "support/core_world.h"
#include "support/unit.h"

static inline void open_one(struct world *w, struct world_client *c, uint32_t expiry)
{
    world_init(w, 1, NULL);
    assert_true(world_connect(w, c, true, expiry));
    assert_int_equal(world_subscribe(c, "t", 2), GNT_DONE);
}

static inline void close_one(struct world *w, struct world_client *c)
{
    if (c->session) {
        world_settle(w);
        gnt_session_close(c->session, GNT_PARTING_CLEAN, 0);
    }
    world_client_fini(c);
    assert_counted(w, GNT_COUNT_QUEUED, 0);
    assert_counted(w, GNT_COUNT_QUEUED_BYTES, 0);
    assert_counted(w, GNT_COUNT_SUBSCRIPTIONS, 0);
    assert_counted(w, GNT_COUNT_CONNECTED, 0);
    world_fini(w);
}

static inline void publish(struct world *w, const char *payload, uint8_t qos)
{
    assert_int_equal(world_publish(w, 0, "t", payload, qos, false), GNT_DONE);
}

static inline void again(struct world *w, struct world_client *c)
{
    world_cut(c);
    assert_true(world_connect(w, c, false, 100));
    assert_true(c->present);
}

#endif
