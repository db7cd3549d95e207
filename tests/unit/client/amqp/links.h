/* Links of a client, which are there. */
#ifndef GNT_TESTS_AMQP_LINKS_H
#define GNT_TESTS_AMQP_LINKS_H

#include "support/unit.h"

#include <gnatter/amqp.h>

static inline gnatter_amqp_sender *sender_to(gnatter_amqp *c, const char *address)
{
    gnatter_amqp_sender *s = NULL;
    assert_int_equal(
        gnatter_amqp_sender_new(c, &(struct gnatter_amqp_link){.address = address}, &s), 0);
    return s;
}

static inline gnatter_amqp_receiver *receiver_by(gnatter_amqp *c,
                                                 const struct gnatter_amqp_link *link)
{
    gnatter_amqp_receiver *r = NULL;
    assert_int_equal(gnatter_amqp_receiver_new(c, link, &r), 0);
    return r;
}

#endif
