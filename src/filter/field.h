/* The fields of an AMQP message by the names that selectors have for them: a table, and what a
 * lookup finds in gnt_filter_name.tag.
 *
 * A plain name is an application property.  JMS has names of its own for header fields (JMSType is
 * the subject [AMQP JMS Mapping 3.2]), all others may be called amqp.properties.NAME or
 * amqp.header.NAME, also without the section in between and with _ for -; message annotations are
 * amqp.annotation.NAME. */
#ifndef GNT_FILTER_FIELD_H
#define GNT_FILTER_FIELD_H

#include "filter/expression.h"

/*    field               name in AMQP            name in JMS, if any    what it is */
#define GNT_FIELDS(X)                                                                          \
    X(MESSAGE_ID, "message-id", "JMSMessageID") /* STRING, UNSIGNED, BINARY */                 \
    X(USER_ID, "user-id", "JMSXUserID")         /* STRING, though binary in AMQP */            \
    X(TO, "to", "")                                                                            \
    X(SUBJECT, "subject", "JMSType")                                                           \
    X(REPLY_TO, "reply-to", "")                                                                \
    X(CORRELATION_ID, "correlation-id", "JMSCorrelationID")                                    \
    X(CONTENT_TYPE, "content-type", "")                                                        \
    X(CONTENT_ENCODING, "content-encoding", "")                                                \
    X(ABSOLUTE_EXPIRY_TIME, "absolute-expiry-time", "") /* TIMESTAMP */                        \
    X(CREATION_TIME, "creation-time", "JMSTimestamp")   /* TIMESTAMP */                        \
    X(GROUP_ID, "group-id", "JMSXGroupID")                                                     \
    X(GROUP_SEQUENCE, "group-sequence", "JMSXGroupSeq") /* a number */                         \
    X(REPLY_TO_GROUP_ID, "reply-to-group-id", "")                                              \
    X(DURABLE, "durable", "") /* BOOLEAN; the section header from here on */                   \
    X(PRIORITY, "priority", "JMSPriority")                                                     \
    X(TTL, "ttl", "")                                                                          \
    X(FIRST_ACQUIRER, "first-acquirer", "")                                                    \
    X(DELIVERY_COUNT, "delivery-count", "")                                                    \
    X(DELIVERY_MODE, "", "JMSDeliveryMode") /* 'PERSISTENT' if durable, or 'NON_PERSISTENT' */ \
    X(DELIVERIES, "", "JMSXDeliveryCount")  /* delivery-count + 1 */

enum gnt_field {
    GNT_FIELD_APPLICATION_PROPERTY, /* the name says which */
    GNT_FIELD_ANNOTATION,           /* the same, without amqp.annotation. */
#define GNT_FIELD_ENUM(field, name, jms) GNT_FIELD_##field,
    GNT_FIELDS(GNT_FIELD_ENUM)
#undef GNT_FIELD_ENUM
};

/* A gnt_filter_resolve: sets `tag` to an enum gnt_field.  False: a name in "amqp." or of JMS's own
 * that does not exist.  (Names in JMSX and JMS_ may be anybody's.) */
bool gnt_field_resolve(struct gnt_filter_name *name);

/* The field of the section `properties` called NAME there, "group-id"; false: there is none.  For
 * properties-filter, which has these names as keys. */
bool gnt_field_of_properties(struct gnt_slice name, enum gnt_field *out);

/* The selectors of AMQP sources: those of JMS over the fields above. */
extern const struct gnt_dialect gnt_dialect_amqp;

#endif
