/* AMQP's composite types: performatives, SASL frames, delivery states, termini, transactions, and
 * the two sections of a message that are lists.  One field list each, which makes the struct, the
 * decoder, the encoder and the printer.
 *
 * A composite is a described list [AMQP 1.4]: 00, the descriptor, a list of the fields in the order
 * of the table.  A field that is null and one that the list is too short for are the same: absent.
 * `has` tells what was there and, for writing, says what is to be; a field that was absent has its
 * default. GNT_AMQP_SET gives a field a value together with its `has`.
 *
 *     struct gnt_amqp_flow flow = {0};
 *     GNT_AMQP_SET(&flow, handle, 0);
 *     GNT_AMQP_SET(&flow, link_credit, 100);
 *     gnt_amqp_put_flow(&w, &flow);
 *
 * Decoding allocates nothing; text and values borrow from the bytes.  A composite within another
 * one stays a value until it is decoded by its own table:
 *
 *     err = gnt_amqp_decode_source(attach.source.encoded, &source);
 *
 * and to be written it is encoded first, into memory of the caller's (gnt_amqp_encoded). */
#ifndef GNT_AMQP_CODEC_PERFORMATIVE_H
#define GNT_AMQP_CODEC_PERFORMATIVE_H

#include "amqp/codec/put.h"

/* ---- What a field can be: its type in C and on the wire (NULL: one of several), and, of a type
 * that the standard restricts, how many values from 0 on it has. */

/* clang-format off */
/*    KIND           in C                   on the wire choices */
#define GNT_AMQP_KINDS(X) \
    X(BOOLEAN,       bool,                  BOOLEAN,    2) \
    X(UBYTE,         uint8_t,               UBYTE,      0) \
    X(USHORT,        uint16_t,              USHORT,     0) \
    X(UINT,          uint32_t,              UINT,       0) \
    X(ULONG,         uint64_t,              ULONG,      0) \
    X(TIMESTAMP,     int64_t,               TIMESTAMP,  0) /* milliseconds since 1970 in UTC */ \
    X(BINARY,        struct gnt_slice,      BINARY,     0) \
    X(SECRET,        struct gnt_slice,      BINARY,     0) /* is not printed */ \
    X(STRING,        struct gnt_slice,      STRING,     0) /* UTF-8 */ \
    X(SYMBOL,        struct gnt_slice,      SYMBOL,     0) /* ASCII */ \
    X(SYMBOLS,       struct gnt_amqp_value, NULL,       0) /* "multiple": walk it by gnt_amqp_symbols */ \
    X(MAP,           struct gnt_amqp_value, MAP,        0) /* valid down to its leaves */ \
    X(ANY,           struct gnt_amqp_value, NULL,       0) /* valid down to its leaves */ \
    X(MESSAGE_ID,    struct gnt_amqp_value, NULL,       0) /* ulong, uuid, binary, string [AMQP 3.2.11] */ \
    X(COMPOSITE,     struct gnt_amqp_value, DESCRIBED,  0) /* to be decoded by its own table */ \
    X(ROLE,          bool,                  BOOLEAN,    2) /* enum gnt_amqp_role */ \
    X(SENDER_MODE,   uint8_t,               UBYTE,      3) /* enum gnt_amqp_sender_mode */ \
    X(RECEIVER_MODE, uint8_t,               UBYTE,      2) /* enum gnt_amqp_receiver_mode */ \
    X(DURABILITY,    uint8_t,               UINT,       3) /* enum gnt_amqp_durability */ \
    X(SASL_CODE,     uint8_t,               UBYTE,      5) /* enum gnt_amqp_sasl_code */
/* clang-format on */

/* [AMQP 2.8.1] */
enum gnt_amqp_role { GNT_AMQP_SENDER = 0, GNT_AMQP_RECEIVER = 1 };

/* [AMQP 2.8.2] */
enum gnt_amqp_sender_mode {
    GNT_AMQP_SENDER_UNSETTLED,
    GNT_AMQP_SENDER_SETTLED,
    GNT_AMQP_SENDER_MIXED,
};

/* [AMQP 2.8.3] */
enum gnt_amqp_receiver_mode { GNT_AMQP_RECEIVER_FIRST, GNT_AMQP_RECEIVER_SECOND };

/* [AMQP 3.5.5] */
enum gnt_amqp_durability {
    GNT_AMQP_DURABLE_NONE,
    GNT_AMQP_DURABLE_CONFIGURATION,
    GNT_AMQP_DURABLE_UNSETTLED_STATE,
};

/* [AMQP 5.3.3.6] */
enum gnt_amqp_sasl_code {
    GNT_AMQP_SASL_OK,
    GNT_AMQP_SASL_AUTH,     /* wrong credentials */
    GNT_AMQP_SASL_SYS,      /* a system error */
    GNT_AMQP_SASL_SYS_PERM, /* one that will not go away */
    GNT_AMQP_SASL_SYS_TEMP, /* one that may */
};

/* ---- Field lists.  MUST: mandatory.  The last column is the value of an absent field. */

/* clang-format off */
/*    KIND           field                       need  absent */

/* Connection [AMQP 2.7.1] */
#define GNT_AMQP_OPEN_FIELDS(F) \
    F(STRING,        container_id,               MUST, 0) \
    F(STRING,        hostname,                   MAY,  0) \
    F(UINT,          max_frame_size,             MAY,  UINT32_MAX) \
    F(USHORT,        channel_max,                MAY,  UINT16_MAX) \
    F(UINT,          idle_time_out,              MAY,  0) /* ms; 0: none */ \
    F(SYMBOLS,       outgoing_locales,           MAY,  0) \
    F(SYMBOLS,       incoming_locales,           MAY,  0) \
    F(SYMBOLS,       offered_capabilities,       MAY,  0) \
    F(SYMBOLS,       desired_capabilities,       MAY,  0) \
    F(MAP,           properties,                 MAY,  0)

/* Session [AMQP 2.7.2] */
#define GNT_AMQP_BEGIN_FIELDS(F) \
    F(USHORT,        remote_channel,             MAY,  0) /* only of who answers */ \
    F(UINT,          next_outgoing_id,           MUST, 0) \
    F(UINT,          incoming_window,            MUST, 0) \
    F(UINT,          outgoing_window,            MUST, 0) \
    F(UINT,          handle_max,                 MAY,  UINT32_MAX) \
    F(SYMBOLS,       offered_capabilities,       MAY,  0) \
    F(SYMBOLS,       desired_capabilities,       MAY,  0) \
    F(MAP,           properties,                 MAY,  0)

/* Link [AMQP 2.7.3] */
#define GNT_AMQP_ATTACH_FIELDS(F) \
    F(STRING,        name,                       MUST, 0) \
    F(UINT,          handle,                     MUST, 0) \
    F(ROLE,          role,                       MUST, 0) \
    F(SENDER_MODE,   snd_settle_mode,            MAY,  GNT_AMQP_SENDER_MIXED) \
    F(RECEIVER_MODE, rcv_settle_mode,            MAY,  GNT_AMQP_RECEIVER_FIRST) \
    F(COMPOSITE,     source,                     MAY,  0) \
    F(COMPOSITE,     target,                     MAY,  0) /* a target or a coordinator */ \
    F(MAP,           unsettled,                  MAY,  0) \
    F(BOOLEAN,       incomplete_unsettled,       MAY,  false) \
    F(UINT,          initial_delivery_count,     MAY,  0) /* mandatory from a sender */ \
    F(ULONG,         max_message_size,           MAY,  0) /* 0: no limit */ \
    F(SYMBOLS,       offered_capabilities,       MAY,  0) \
    F(SYMBOLS,       desired_capabilities,       MAY,  0) \
    F(MAP,           properties,                 MAY,  0)

/* Session and link [AMQP 2.7.4] */
#define GNT_AMQP_FLOW_FIELDS(F) \
    F(UINT,          next_incoming_id,           MAY,  0) \
    F(UINT,          incoming_window,            MUST, 0) \
    F(UINT,          next_outgoing_id,           MUST, 0) \
    F(UINT,          outgoing_window,            MUST, 0) \
    F(UINT,          handle,                     MAY,  0) /* absent: about the session only */ \
    F(UINT,          delivery_count,             MAY,  0) \
    F(UINT,          link_credit,                MAY,  0) \
    F(UINT,          available,                  MAY,  0) \
    F(BOOLEAN,       drain,                      MAY,  false) \
    F(BOOLEAN,       echo,                       MAY,  false) \
    F(MAP,           properties,                 MAY,  0)

/* A frame of a delivery [AMQP 2.7.5]; its payload is behind it in the frame. */
#define GNT_AMQP_TRANSFER_FIELDS(F) \
    F(UINT,          handle,                     MUST, 0) \
    F(UINT,          delivery_id,                MAY,  0) /* mandatory in the first of a delivery */ \
    F(BINARY,        delivery_tag,               MAY,  0) /* the same */ \
    F(UINT,          message_format,             MAY,  0) /* the same */ \
    F(BOOLEAN,       settled,                    MAY,  false) \
    F(BOOLEAN,       more,                       MAY,  false) \
    F(RECEIVER_MODE, rcv_settle_mode,            MAY,  GNT_AMQP_RECEIVER_FIRST) \
    F(COMPOSITE,     state,                      MAY,  0) \
    F(BOOLEAN,       resume,                     MAY,  false) \
    F(BOOLEAN,       aborted,                    MAY,  false) \
    F(BOOLEAN,       batchable,                  MAY,  false)

/* States of deliveries [AMQP 2.7.6] */
#define GNT_AMQP_DISPOSITION_FIELDS(F) \
    F(ROLE,          role,                       MUST, 0) \
    F(UINT,          first,                      MUST, 0) \
    F(UINT,          last,                       MAY,  0) /* absent: the same as first */ \
    F(BOOLEAN,       settled,                    MAY,  false) \
    F(COMPOSITE,     state,                      MAY,  0) \
    F(BOOLEAN,       batchable,                  MAY,  false)

/* [AMQP 2.7.7] */
#define GNT_AMQP_DETACH_FIELDS(F) \
    F(UINT,          handle,                     MUST, 0) \
    F(BOOLEAN,       closed,                     MAY,  false) \
    F(COMPOSITE,     error,                      MAY,  0)

/* [AMQP 2.7.8] */
#define GNT_AMQP_END_FIELDS(F) \
    F(COMPOSITE,     error,                      MAY,  0)

/* [AMQP 2.7.9] */
#define GNT_AMQP_CLOSE_FIELDS(F) \
    F(COMPOSITE,     error,                      MAY,  0)

/* What went wrong [AMQP 2.8.14]; conditions are in condition.h. */
#define GNT_AMQP_ERROR_FIELDS(F) \
    F(SYMBOL,        condition,                  MUST, 0) \
    F(STRING,        description,                MAY,  0) \
    F(MAP,           info,                       MAY,  0)

/* Delivery states [AMQP 3.4.1]; accepted and released [AMQP 3.4.2, 3.4.4] have no fields. */
#define GNT_AMQP_RECEIVED_FIELDS(F) \
    F(UINT,          section_number,             MUST, 0) \
    F(ULONG,         section_offset,             MUST, 0)

/* [AMQP 3.4.3] */
#define GNT_AMQP_REJECTED_FIELDS(F) \
    F(COMPOSITE,     error,                      MAY,  0)

/* [AMQP 3.4.5] */
#define GNT_AMQP_MODIFIED_FIELDS(F) \
    F(BOOLEAN,       delivery_failed,            MAY,  false) \
    F(BOOLEAN,       undeliverable_here,         MAY,  false) \
    F(MAP,           message_annotations,        MAY,  0)

/* Termini [AMQP 3.5.3].  An address is a string, the one kind that the standard has [AMQP 3.2.15].  An
 * absent expiry-policy means session-end, an absent distribution-mode is the source's to choose. */
#define GNT_AMQP_SOURCE_FIELDS(F) \
    F(STRING,        address,                    MAY,  0) \
    F(DURABILITY,    durable,                    MAY,  GNT_AMQP_DURABLE_NONE) \
    F(SYMBOL,        expiry_policy,              MAY,  0) \
    F(UINT,          timeout,                    MAY,  0) /* seconds */ \
    F(BOOLEAN,       dynamic,                    MAY,  false) \
    F(MAP,           dynamic_node_properties,    MAY,  0) \
    F(SYMBOL,        distribution_mode,          MAY,  0) /* move or copy */ \
    F(MAP,           filter,                     MAY,  0) \
    F(COMPOSITE,     default_outcome,            MAY,  0) \
    F(SYMBOLS,       outcomes,                   MAY,  0) \
    F(SYMBOLS,       capabilities,               MAY,  0)

/* [AMQP 3.5.4] */
#define GNT_AMQP_TARGET_FIELDS(F) \
    F(STRING,        address,                    MAY,  0) \
    F(DURABILITY,    durable,                    MAY,  GNT_AMQP_DURABLE_NONE) \
    F(SYMBOL,        expiry_policy,              MAY,  0) \
    F(UINT,          timeout,                    MAY,  0) /* seconds */ \
    F(BOOLEAN,       dynamic,                    MAY,  false) \
    F(MAP,           dynamic_node_properties,    MAY,  0) \
    F(SYMBOLS,       capabilities,               MAY,  0)

/* Transactions [AMQP 4.5.1] to [AMQP 4.5.6] */
#define GNT_AMQP_COORDINATOR_FIELDS(F) \
    F(SYMBOLS,       capabilities,               MAY,  0)

#define GNT_AMQP_DECLARE_FIELDS(F) \
    F(ANY,           global_id,                  MAY,  0)

#define GNT_AMQP_DISCHARGE_FIELDS(F) \
    F(BINARY,        txn_id,                     MUST, 0) \
    F(BOOLEAN,       fail,                       MAY,  false)

#define GNT_AMQP_DECLARED_FIELDS(F) \
    F(BINARY,        txn_id,                     MUST, 0)

#define GNT_AMQP_TRANSACTIONAL_STATE_FIELDS(F) \
    F(BINARY,        txn_id,                     MUST, 0) \
    F(COMPOSITE,     outcome,                    MAY,  0)

/* SASL frames [AMQP 5.3.3.1] to [AMQP 5.3.3.5] */
#define GNT_AMQP_SASL_MECHANISMS_FIELDS(F) \
    F(SYMBOLS,       sasl_server_mechanisms,     MUST, 0)

#define GNT_AMQP_SASL_INIT_FIELDS(F) \
    F(SYMBOL,        mechanism,                  MUST, 0) \
    F(SECRET,        initial_response,           MAY,  0) \
    F(STRING,        hostname,                   MAY,  0)

#define GNT_AMQP_SASL_CHALLENGE_FIELDS(F) \
    F(SECRET,        challenge,                  MUST, 0)

#define GNT_AMQP_SASL_RESPONSE_FIELDS(F) \
    F(SECRET,        response,                   MUST, 0)

#define GNT_AMQP_SASL_OUTCOME_FIELDS(F) \
    F(SASL_CODE,     code,                       MUST, 0) \
    F(SECRET,        additional_data,            MAY,  0)

/* Sections of a message that are lists [AMQP 3.2.1] */
#define GNT_AMQP_HEADER_FIELDS(F) \
    F(BOOLEAN,       durable,                    MAY,  false) \
    F(UBYTE,         priority,                   MAY,  4) \
    F(UINT,          ttl,                        MAY,  0) /* ms; absent: for ever */ \
    F(BOOLEAN,       first_acquirer,             MAY,  false) \
    F(UINT,          delivery_count,             MAY,  0)

/* [AMQP 3.2.4] */
#define GNT_AMQP_PROPERTIES_FIELDS(F) \
    F(MESSAGE_ID,    message_id,                 MAY,  0) \
    F(BINARY,        user_id,                    MAY,  0) \
    F(STRING,        to,                         MAY,  0) \
    F(STRING,        subject,                    MAY,  0) \
    F(STRING,        reply_to,                   MAY,  0) \
    F(MESSAGE_ID,    correlation_id,             MAY,  0) \
    F(SYMBOL,        content_type,               MAY,  0) \
    F(SYMBOL,        content_encoding,           MAY,  0) \
    F(TIMESTAMP,     absolute_expiry_time,       MAY,  0) \
    F(TIMESTAMP,     creation_time,              MAY,  0) \
    F(STRING,        group_id,                   MAY,  0) \
    F(UINT,          group_sequence,             MAY,  0) \
    F(STRING,        reply_to_group_id,          MAY,  0)

/* ---- All composites: descriptor code (domain 0), symbolic descriptor, field list */

/*    NAME                 name                 code  symbol */
#define GNT_AMQP_COMPOSITES(C) \
    C(ERROR,               error,               0x1d, "amqp:error:list",               GNT_AMQP_ERROR_FIELDS) \
    C(OPEN,                open,                0x10, "amqp:open:list",                GNT_AMQP_OPEN_FIELDS) \
    C(BEGIN,               begin,               0x11, "amqp:begin:list",               GNT_AMQP_BEGIN_FIELDS) \
    C(ATTACH,              attach,              0x12, "amqp:attach:list",              GNT_AMQP_ATTACH_FIELDS) \
    C(FLOW,                flow,                0x13, "amqp:flow:list",                GNT_AMQP_FLOW_FIELDS) \
    C(TRANSFER,            transfer,            0x14, "amqp:transfer:list",            GNT_AMQP_TRANSFER_FIELDS) \
    C(DISPOSITION,         disposition,         0x15, "amqp:disposition:list",         GNT_AMQP_DISPOSITION_FIELDS) \
    C(DETACH,              detach,              0x16, "amqp:detach:list",              GNT_AMQP_DETACH_FIELDS) \
    C(END,                 end,                 0x17, "amqp:end:list",                 GNT_AMQP_END_FIELDS) \
    C(CLOSE,               close,               0x18, "amqp:close:list",               GNT_AMQP_CLOSE_FIELDS) \
    C(RECEIVED,            received,            0x23, "amqp:received:list",            GNT_AMQP_RECEIVED_FIELDS) \
    C(REJECTED,            rejected,            0x25, "amqp:rejected:list",            GNT_AMQP_REJECTED_FIELDS) \
    C(MODIFIED,            modified,            0x27, "amqp:modified:list",            GNT_AMQP_MODIFIED_FIELDS) \
    C(SOURCE,              source,              0x28, "amqp:source:list",              GNT_AMQP_SOURCE_FIELDS) \
    C(TARGET,              target,              0x29, "amqp:target:list",              GNT_AMQP_TARGET_FIELDS) \
    C(COORDINATOR,         coordinator,         0x30, "amqp:coordinator:list",         GNT_AMQP_COORDINATOR_FIELDS) \
    C(DECLARE,             declare,             0x31, "amqp:declare:list",             GNT_AMQP_DECLARE_FIELDS) \
    C(DISCHARGE,           discharge,           0x32, "amqp:discharge:list",           GNT_AMQP_DISCHARGE_FIELDS) \
    C(DECLARED,            declared,            0x33, "amqp:declared:list",            GNT_AMQP_DECLARED_FIELDS) \
    C(TRANSACTIONAL_STATE, transactional_state, 0x34, "amqp:transactional-state:list", GNT_AMQP_TRANSACTIONAL_STATE_FIELDS) \
    C(SASL_MECHANISMS,     sasl_mechanisms,     0x40, "amqp:sasl-mechanisms:list",     GNT_AMQP_SASL_MECHANISMS_FIELDS) \
    C(SASL_INIT,           sasl_init,           0x41, "amqp:sasl-init:list",           GNT_AMQP_SASL_INIT_FIELDS) \
    C(SASL_CHALLENGE,      sasl_challenge,      0x42, "amqp:sasl-challenge:list",      GNT_AMQP_SASL_CHALLENGE_FIELDS) \
    C(SASL_RESPONSE,       sasl_response,       0x43, "amqp:sasl-response:list",       GNT_AMQP_SASL_RESPONSE_FIELDS) \
    C(SASL_OUTCOME,        sasl_outcome,        0x44, "amqp:sasl-outcome:list",        GNT_AMQP_SASL_OUTCOME_FIELDS) \
    C(HEADER,              header,              0x70, "amqp:header:list",              GNT_AMQP_HEADER_FIELDS) \
    C(PROPERTIES,          properties,          0x73, "amqp:properties:list",          GNT_AMQP_PROPERTIES_FIELDS)

/* Those without a field: two outcomes, and lifetime policies of dynamic nodes [AMQP 3.5.10 to 3.5.13] */
#define GNT_AMQP_FIELDLESS(C) \
    C(ACCEPTED,                              accepted,                              0x24, "amqp:accepted:list") \
    C(RELEASED,                              released,                              0x26, "amqp:released:list") \
    C(DELETE_ON_CLOSE,                       delete_on_close,                       0x2b, "amqp:delete-on-close:list") \
    C(DELETE_ON_NO_LINKS,                    delete_on_no_links,                    0x2c, "amqp:delete-on-no-links:list") \
    C(DELETE_ON_NO_MESSAGES,                 delete_on_no_messages,                 0x2d, "amqp:delete-on-no-messages:list") \
    C(DELETE_ON_NO_LINKS_OR_MESSAGES,        delete_on_no_links_or_messages,        0x2e, "amqp:delete-on-no-links-or-messages:list")

/* Sections of a message that are no composites [AMQP 3.2]; message.h walks them. */
#define GNT_AMQP_SECTIONS(C) \
    C(DELIVERY_ANNOTATIONS,   delivery_annotations,   0x71, "amqp:delivery-annotations:map") \
    C(MESSAGE_ANNOTATIONS,    message_annotations,    0x72, "amqp:message-annotations:map") \
    C(APPLICATION_PROPERTIES, application_properties, 0x74, "amqp:application-properties:map") \
    C(DATA,                   data,                   0x75, "amqp:data:binary") \
    C(SEQUENCE,               amqp_sequence,          0x76, "amqp:amqp-sequence:list") \
    C(VALUE,                  amqp_value,             0x77, "amqp:amqp-value:*") \
    C(FOOTER,                 footer,                 0x78, "amqp:footer:map")
/* clang-format on */

/* clang-format off */

/* Descriptor codes; 0 is none of them. */
enum gnt_amqp_descriptor {
#define GNT_AMQP_CODE(NAME, name, code, ...) GNT_AMQP_##NAME = (code),
    GNT_AMQP_COMPOSITES(GNT_AMQP_CODE)
    GNT_AMQP_FIELDLESS(GNT_AMQP_CODE)
    GNT_AMQP_SECTIONS(GNT_AMQP_CODE)
#undef GNT_AMQP_CODE
    GNT_AMQP_DESCRIPTOR_END = 0x79
};

/* clang-format on */

#define GNT_AMQP_IN_C(KIND, in_c, type, choices) typedef in_c gnt_amqp_##KIND##_field;
GNT_AMQP_KINDS(GNT_AMQP_IN_C)
#undef GNT_AMQP_IN_C

/* struct gnt_amqp_open and the others: `has` with a bool for each field, then the fields. */
#define GNT_AMQP_HAS(kind, field, need, absent)    bool field;
#define GNT_AMQP_MEMBER(kind, field, need, absent) gnt_amqp_##kind##_field field;
#define GNT_AMQP_STRUCT(NAME, name, code, symbol, FIELDS) \
    struct gnt_amqp_##name {                              \
        struct {                                          \
            FIELDS(GNT_AMQP_HAS)                          \
        } has;                                            \
        FIELDS(GNT_AMQP_MEMBER)                           \
    };
GNT_AMQP_COMPOSITES(GNT_AMQP_STRUCT)
#undef GNT_AMQP_STRUCT
#undef GNT_AMQP_MEMBER
#undef GNT_AMQP_HAS

#define GNT_AMQP_SET(composite, field, value) \
    ((void)((composite)->has.field = true, (composite)->field = (value)))

/* Any composite: `code` says which member is set, and is one of enum gnt_amqp_descriptor where the
 * standard has it; for one of GNT_AMQP_FIELDLESS there is none. */
struct gnt_amqp_composite {
    uint64_t code;
    union {
#define GNT_AMQP_IN_UNION(NAME, name, code, symbol, FIELDS) struct gnt_amqp_##name name;
        GNT_AMQP_COMPOSITES(GNT_AMQP_IN_UNION)
#undef GNT_AMQP_IN_UNION
    };
};

/* ---- Decoding
 *
 *   GNT_OK           *out filled.
 *   GNT_MALFORMED    no such composite: not a described list, a field of another type or beyond the
 *                    choices of its kind, text that is none, more fields than the table has, an
 *                    inside that does not fit its size (amqp:decode-error).
 *   GNT_PROTOCOL     well-formed, but a mandatory field is absent (amqp:invalid-field).
 *   GNT_UNSUPPORTED  a descriptor that is no composite's; out->code is the ulong, or 0 for a symbol
 *                    that the standard does not have.
 * On failure nothing else of *out is to be used.  Descriptors are known by code and by symbol. */

/* Takes a composite off the front of *in: the performative of a frame, behind which *in then
 * stands. Fails with in->bad. */
GNT_MUST gnt_err gnt_amqp_read_composite(struct gnt_reader *in, struct gnt_amqp_composite *out);

/* All of ENCODED as a composite: a delivery state, a target or coordinator. */
GNT_MUST gnt_err gnt_amqp_decode(struct gnt_slice encoded, struct gnt_amqp_composite *out);

/* All of ENCODED as the composite CODE, whose struct OUT is; GNT_MALFORMED for another one. */
GNT_MUST gnt_err gnt_amqp_decode_as(enum gnt_amqp_descriptor code, struct gnt_slice encoded,
                                    void *out);

/* The descriptor of the described value at the front of ENCODED, 0 if it is none of the standard's.
 */
enum gnt_amqp_descriptor gnt_amqp_code_of(struct gnt_slice encoded);

/* ---- Encoding, in the smallest form: absent fields at the end are left out. */

void gnt_amqp_put_as(struct gnt_amqp_writer *w, enum gnt_amqp_descriptor code,
                     const void *composite);
void gnt_amqp_put_composite(struct gnt_amqp_writer *w, const struct gnt_amqp_composite *composite);

/* gnt_amqp_decode_open, gnt_amqp_put_open and the others. */
#define GNT_AMQP_TYPED(NAME, name, code, symbol, FIELDS)                               \
    GNT_MUST static inline gnt_err gnt_amqp_decode_##name(struct gnt_slice encoded,    \
                                                          struct gnt_amqp_##name *out) \
    {                                                                                  \
        return gnt_amqp_decode_as(GNT_AMQP_##NAME, encoded, out);                      \
    }                                                                                  \
    static inline void gnt_amqp_put_##name(struct gnt_amqp_writer *w,                  \
                                           const struct gnt_amqp_##name *composite)    \
    {                                                                                  \
        gnt_amqp_put_as(w, GNT_AMQP_##NAME, composite);                                \
    }
GNT_AMQP_COMPOSITES(GNT_AMQP_TYPED)
#undef GNT_AMQP_TYPED

/* ENCODED, which is one whole value of our own making, as the value of a field. */
struct gnt_amqp_value gnt_amqp_encoded(struct gnt_slice encoded);

/* One of GNT_AMQP_FIELDLESS, as the value of a field; its bytes live for ever. */
struct gnt_amqp_value gnt_amqp_fieldless(enum gnt_amqp_descriptor code);

/* "open", "sasl-init", "amqp-value", ...; empty for a code that the standard does not have. */
struct gnt_slice gnt_amqp_descriptor_name(uint64_t code);

#endif
