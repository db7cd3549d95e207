/* What an address of AMQP names.  The words say it, whatever there is: whether an entity of that
 * name exists, and what kind of thing it is, is the directory's to say (core/entity.h).
 *
 *     topic://FILTER                        MQTT topics; to send to, a topic name
 *     queue://NAME                          a queue; topic://$queue/NAME, as MQTT calls it
 *     $cbs                                  where tokens are put
 *     ENTITY/$management                    the entity's management; $management: the broker's
 *     HUB/Partitions/N                      one partition of a hub,
 *     HUB/ConsumerGroups/G/Partitions/N     for one of its consumer groups
 *     HUB/Publishers/P                      a hub, and who sends
 *     TOPIC/Subscriptions/S                 what one subscription of a topic has
 *     .../$DeadLetterQueue                  of a queue or a subscription: what could not be handled
 *     NAME                                  any entity
 *
 * A scheme with a host in front of it (amqp://HOST/NAME) is not part of a name, nor is one slash at
 * its beginning.  The words above compare without case, names as they are.
 *
 * Nothing is allocated, all slices borrow from the address; any thread. */
#ifndef GNT_MODEL_ADDRESS_H
#define GNT_MODEL_ADDRESS_H

#include "base/err.h"
#include "base/slice.h"

enum gnt_address_kind {
    GNT_ADDRESS_ENTITY,
    GNT_ADDRESS_QUEUE,
    GNT_ADDRESS_TOPIC,
    GNT_ADDRESS_CBS,
    GNT_ADDRESS_MANAGEMENT,
    GNT_ADDRESS_PARTITION,
    GNT_ADDRESS_PUBLISHER,
    GNT_ADDRESS_SUBSCRIPTION,
    /* What no address says: */
    GNT_ADDRESS_DYNAMIC,   /* a node is to be made */
    GNT_ADDRESS_ANONYMOUS, /* each message says where it goes */
};

struct gnt_address {
    enum gnt_address_kind kind;
    struct gnt_slice entity; /* its name, or the filter of a TOPIC; empty for the last two kinds,
                                $cbs, and the broker's management */
    struct gnt_slice group;  /* of a PARTITION; empty: none is named */
    struct gnt_slice part;   /* number of a PARTITION, name of a PUBLISHER or SUBSCRIPTION */
    bool dead_letter;        /* not the entity itself, but its dead-letter queue */
};

/* GNT_INVALID: it names nothing; *out unchanged. */
GNT_MUST gnt_err gnt_address_parse(struct gnt_slice text, struct gnt_address *out);

#endif
