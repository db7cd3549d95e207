/* The words of AMQP 1.0 that gnatter/amqp.h speaks: values, and messages made of them.
 *
 * Ownership  what you hand in is copied before the call returns.  What you are handed is lent: as
 *            long as what it was taken from stays as it is.
 * Threads    a value is plain memory; a builder and a message belong to one thread at a time.
 * Text       UTF-8.  Text that you hand in as a char pointer ends with a zero byte; text that you
 *            are handed has a size instead, and no zero byte. */
#ifndef GNATTER_AMQP_TYPES_H
#define GNATTER_AMQP_TYPES_H

#include <gnatter/bytes.h>
#include <gnatter/error.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

GNATTER_BEGIN

/* ---- Values [AMQP 1.6] */

enum gnatter_amqp_type {
    GNATTER_AMQP_NULL,
    GNATTER_AMQP_BOOLEAN,
    GNATTER_AMQP_UBYTE, /* 8 bits without a sign; USHORT 16, UINT 32, ULONG 64 */
    GNATTER_AMQP_USHORT,
    GNATTER_AMQP_UINT,
    GNATTER_AMQP_ULONG,
    GNATTER_AMQP_BYTE, /* 8 bits with a sign; SHORT 16, INT 32, LONG 64 */
    GNATTER_AMQP_SHORT,
    GNATTER_AMQP_INT,
    GNATTER_AMQP_LONG,
    GNATTER_AMQP_FLOAT,
    GNATTER_AMQP_DOUBLE,
    GNATTER_AMQP_DECIMAL32, /* IEEE 754 decimals are handed through as their 4, 8 or 16 bytes */
    GNATTER_AMQP_DECIMAL64,
    GNATTER_AMQP_DECIMAL128,
    GNATTER_AMQP_CHAR,      /* one code point */
    GNATTER_AMQP_TIMESTAMP, /* milliseconds since 1970 in UTC */
    GNATTER_AMQP_UUID,      /* 16 bytes */
    GNATTER_AMQP_BINARY,
    GNATTER_AMQP_STRING,   /* UTF-8 */
    GNATTER_AMQP_SYMBOL,   /* ASCII */
    GNATTER_AMQP_LIST,     /* values of any type */
    GNATTER_AMQP_MAP,      /* keys and values */
    GNATTER_AMQP_ARRAY,    /* values of one type */
    GNATTER_AMQP_DESCRIBED /* a descriptor and the value that it describes */
};

/* One value.  A zeroed one is null.  The simple ones are made by the functions below, lists, maps,
 * arrays and described ones by a builder; `encoded` is those functions' affair. */
struct gnatter_amqp_value {
    enum gnatter_amqp_type type;
    uint32_t count; /* of a LIST or an ARRAY, its items; of a MAP, its keys and values together */
    union {
        uint64_t number;            /* BOOLEAN (0 or 1), UBYTE to ULONG, CHAR */
        int64_t integer;            /* BYTE to LONG, TIMESTAMP */
        double real;                /* FLOAT, DOUBLE */
        struct gnatter_bytes bytes; /* BINARY, STRING, SYMBOL, UUID, DECIMAL32 to DECIMAL128 */
    };
    struct gnatter_bytes encoded; /* LIST to DESCRIBED: the whole of it, as it is on the wire */
};

static inline struct gnatter_amqp_value gnatter_amqp_null(void)
{
    struct gnatter_amqp_value v;
    memset(&v, 0, sizeof v);
    return v;
}

/* TYPE is BOOLEAN, UBYTE to ULONG, or CHAR. */
static inline struct gnatter_amqp_value gnatter_amqp_number(enum gnatter_amqp_type type,
                                                            uint64_t number)
{
    struct gnatter_amqp_value v = gnatter_amqp_null();
    v.type = type;
    v.number = number;
    return v;
}

/* TYPE is BYTE to LONG, or TIMESTAMP. */
static inline struct gnatter_amqp_value gnatter_amqp_integer(enum gnatter_amqp_type type,
                                                             int64_t integer)
{
    struct gnatter_amqp_value v = gnatter_amqp_null();
    v.type = type;
    v.integer = integer;
    return v;
}

/* TYPE is FLOAT or DOUBLE. */
static inline struct gnatter_amqp_value gnatter_amqp_real(enum gnatter_amqp_type type, double real)
{
    struct gnatter_amqp_value v = gnatter_amqp_null();
    v.type = type;
    v.real = real;
    return v;
}

/* TYPE is BINARY, STRING, SYMBOL, UUID (16 bytes), or DECIMAL32 to DECIMAL128 (4, 8 or 16).  DATA
 * is borrowed. */
static inline struct gnatter_amqp_value gnatter_amqp_bytes(enum gnatter_amqp_type type,
                                                           const void *data, size_t size)
{
    struct gnatter_amqp_value v = gnatter_amqp_null();
    v.type = type;
    v.bytes.data = data;
    v.bytes.size = size;
    return v;
}

/* The most common ones. */
static inline struct gnatter_amqp_value gnatter_amqp_boolean(bool truth)
{
    return gnatter_amqp_number(GNATTER_AMQP_BOOLEAN, truth);
}

static inline struct gnatter_amqp_value gnatter_amqp_uint(uint32_t number)
{
    return gnatter_amqp_number(GNATTER_AMQP_UINT, number);
}

static inline struct gnatter_amqp_value gnatter_amqp_ulong(uint64_t number)
{
    return gnatter_amqp_number(GNATTER_AMQP_ULONG, number);
}

static inline struct gnatter_amqp_value gnatter_amqp_int(int32_t integer)
{
    return gnatter_amqp_integer(GNATTER_AMQP_INT, integer);
}

static inline struct gnatter_amqp_value gnatter_amqp_long(int64_t integer)
{
    return gnatter_amqp_integer(GNATTER_AMQP_LONG, integer);
}

static inline struct gnatter_amqp_value gnatter_amqp_timestamp(int64_t unix_ms)
{
    return gnatter_amqp_integer(GNATTER_AMQP_TIMESTAMP, unix_ms);
}

static inline struct gnatter_amqp_value gnatter_amqp_double(double real)
{
    return gnatter_amqp_real(GNATTER_AMQP_DOUBLE, real);
}

static inline struct gnatter_amqp_value gnatter_amqp_string(const char *utf8)
{
    return gnatter_amqp_bytes(GNATTER_AMQP_STRING, utf8, strlen(utf8));
}

static inline struct gnatter_amqp_value gnatter_amqp_symbol(const char *ascii)
{
    return gnatter_amqp_bytes(GNATTER_AMQP_SYMBOL, ascii, strlen(ascii));
}

static inline struct gnatter_amqp_value gnatter_amqp_binary(const void *data, size_t size)
{
    return gnatter_amqp_bytes(GNATTER_AMQP_BINARY, data, size);
}

/* "uint", "described", ...  Lives for ever. */
GNATTER_API const char *gnatter_amqp_type_name(enum gnatter_amqp_type type);

/* ---- Making lists, maps, arrays and described values
 *
 *     gnatter_amqp_builder *b;
 *     struct gnatter_amqp_value map;
 *     gnatter_amqp_builder_new(&b);
 *     gnatter_amqp_begin(b, GNATTER_AMQP_MAP);
 *     gnatter_amqp_add(b, gnatter_amqp_symbol("level")), gnatter_amqp_add(b, gnatter_amqp_int(3));
 *     gnatter_amqp_end(b);
 *     int error = gnatter_amqp_built(b, &map);
 *
 * Errors stick: look at them once, with the last call. */
typedef struct gnatter_amqp_builder gnatter_amqp_builder;

GNATTER_API int gnatter_amqp_builder_new(gnatter_amqp_builder **out); /* GNATTER_ENOMEM */
GNATTER_API void gnatter_amqp_builder_free(gnatter_amqp_builder *b);  /* NULL is fine */

/* TYPE is LIST, MAP, ARRAY or DESCRIBED (which takes a descriptor and a value).  What is added goes
 * into what was begun last, up to its end; they may be in one another 32 deep. */
GNATTER_API void gnatter_amqp_begin(gnatter_amqp_builder *b, enum gnatter_amqp_type type);
GNATTER_API void gnatter_amqp_add(gnatter_amqp_builder *b, struct gnatter_amqp_value value);
GNATTER_API void gnatter_amqp_end(gnatter_amqp_builder *b);

/* The one value that was added or ended; the builder is empty afterwards, and *out is lent until it
 * is used again.  GNATTER_EINVALID: not exactly one value, a map with a key too few, an array of
 * several types, text that is none, nested too deep.  GNATTER_ENOMEM, GNATTER_ETOOBIG. */
GNATTER_API int gnatter_amqp_built(gnatter_amqp_builder *b, struct gnatter_amqp_value *out);

/* ---- Reading them
 *
 *     struct gnatter_amqp_walk items = gnatter_amqp_items(&map);
 *     struct gnatter_amqp_value key, item;
 *     while (gnatter_amqp_next(&items, &key) && gnatter_amqp_next(&items, &item))
 *         ...
 */
struct gnatter_amqp_walk {
    const uint8_t *at, *end; /* these are the functions' affair */
    struct gnatter_bytes descriptor;
    uint32_t left;
    uint8_t form;
};

/* Of a LIST or an ARRAY its items; of a MAP keys and values in turn; of a DESCRIBED its descriptor
 * and its value; of others none. */
GNATTER_API struct gnatter_amqp_walk gnatter_amqp_items(const struct gnatter_amqp_value *value);
GNATTER_API bool gnatter_amqp_next(struct gnatter_amqp_walk *items, struct gnatter_amqp_value *out);

/* The value in MAP under the symbol or string KEY; false and null if there is none. */
GNATTER_API bool gnatter_amqp_find(const struct gnatter_amqp_value *map, const char *key,
                                   struct gnatter_amqp_value *out);

/* Whether VALUE is a BINARY, STRING or SYMBOL that is the same as TEXT. */
GNATTER_API bool gnatter_amqp_is(const struct gnatter_amqp_value *value, const char *text);

/* VALUE for people, on one line: {'level': int 3}.  OUT has CAP bytes, at least 4; what does not
 * fit ends in "...".  Returns OUT. */
GNATTER_API char *gnatter_amqp_show(const struct gnatter_amqp_value *value, char *out, size_t cap);

/* ---- Messages [AMQP 3.2]
 *
 *     gnatter_amqp_message *m;
 *     gnatter_amqp_message_new(&m);
 *     gnatter_amqp_set(m, GNATTER_AMQP_SUBJECT, gnatter_amqp_string("reading"));
 *     gnatter_amqp_put(m, GNATTER_AMQP_APPLICATION_PROPERTIES, "unit", gnatter_amqp_string("C"));
 *     gnatter_amqp_add_data(m, "21.5", 4);
 *     ... send it, as often as you like ...
 *     gnatter_amqp_message_free(m);
 *
 * A message that was received is read and changed by the same functions, and what is not touched
 * stays as it came, bit for bit.
 *
 * Errors     the functions that change a message return 0, GNATTER_EINVALID or GNATTER_ENOMEM, and
 *            the message remembers the first failure: sending it returns that.  So it is enough to
 *            look there. */
typedef struct gnatter_amqp_message gnatter_amqp_message;

GNATTER_API int gnatter_amqp_message_new(gnatter_amqp_message **out);
GNATTER_API int gnatter_amqp_message_copy(const gnatter_amqp_message *m,
                                          gnatter_amqp_message **out);
GNATTER_API void gnatter_amqp_message_free(gnatter_amqp_message *m); /* NULL is fine */

/* The fields of header and properties, with their types and what holds where one is absent. */
enum gnatter_amqp_field {
    GNATTER_AMQP_DURABLE,        /* boolean: it is to survive its broker [false] */
    GNATTER_AMQP_PRIORITY,       /* ubyte: the higher the sooner [4] */
    GNATTER_AMQP_TTL,            /* uint: milliseconds that it is worth keeping [for ever] */
    GNATTER_AMQP_FIRST_ACQUIRER, /* boolean: nobody has had it before [false] */
    GNATTER_AMQP_DELIVERY_COUNT, /* uint: deliveries of it that failed [0] */

    GNATTER_AMQP_MESSAGE_ID,           /* ulong, uuid, binary or string */
    GNATTER_AMQP_USER_ID,              /* binary: who has made it */
    GNATTER_AMQP_TO,                   /* string: an address */
    GNATTER_AMQP_SUBJECT,              /* string */
    GNATTER_AMQP_REPLY_TO,             /* string: an address */
    GNATTER_AMQP_CORRELATION_ID,       /* as MESSAGE_ID */
    GNATTER_AMQP_CONTENT_TYPE,         /* symbol: of the data: "application/json" */
    GNATTER_AMQP_CONTENT_ENCODING,     /* symbol */
    GNATTER_AMQP_ABSOLUTE_EXPIRY_TIME, /* timestamp */
    GNATTER_AMQP_CREATION_TIME,        /* timestamp */
    GNATTER_AMQP_GROUP_ID,             /* string */
    GNATTER_AMQP_GROUP_SEQUENCE,       /* uint */
    GNATTER_AMQP_REPLY_TO_GROUP_ID     /* string */
};

/* Sets FIELD, or makes it absent if VALUE is null.  An integer of another type is taken if it is
 * within the field's range, and a string for a symbol; GNATTER_EINVALID: VALUE is none for it. */
GNATTER_API int gnatter_amqp_set(gnatter_amqp_message *m, enum gnatter_amqp_field field,
                                 struct gnatter_amqp_value value);

/* False and null if it is absent. */
GNATTER_API bool gnatter_amqp_get(const gnatter_amqp_message *m, enum gnatter_amqp_field field,
                                  struct gnatter_amqp_value *out);

/* The sections that are maps.  Keys are symbols in all but the application properties, which have
 * strings for keys and simple values. */
enum gnatter_amqp_section {
    GNATTER_AMQP_DELIVERY_ANNOTATIONS, /* for the peer alone */
    GNATTER_AMQP_MESSAGE_ANNOTATIONS,  /* for who passes it on */
    GNATTER_AMQP_APPLICATION_PROPERTIES,
    GNATTER_AMQP_FOOTER
};

/* Puts VALUE under KEY, in the place of what was there.  GNATTER_EINVALID: VALUE cannot be there.
 */
GNATTER_API int gnatter_amqp_put(gnatter_amqp_message *m, enum gnatter_amqp_section section,
                                 const char *key, struct gnatter_amqp_value value);
GNATTER_API int gnatter_amqp_remove(gnatter_amqp_message *m, enum gnatter_amqp_section section,
                                    const char *key);

/* All of a section at once: a map; null takes it away. */
GNATTER_API int gnatter_amqp_put_all(gnatter_amqp_message *m, enum gnatter_amqp_section section,
                                     struct gnatter_amqp_value map);

/* What is under KEY; false and null if nothing is. */
GNATTER_API bool gnatter_amqp_look(const gnatter_amqp_message *m, enum gnatter_amqp_section section,
                                   const char *key, struct gnatter_amqp_value *out);

/* All of it as a map; null if the message has no such section. */
GNATTER_API struct gnatter_amqp_value gnatter_amqp_all(const gnatter_amqp_message *m,
                                                       enum gnatter_amqp_section section);

/* The body: one value of any type, or binaries, or lists; of the latter two several may be added.
 * What is of another kind is taken away by it. */
enum gnatter_amqp_body {
    GNATTER_AMQP_NO_BODY, /* some peers send that */
    GNATTER_AMQP_DATA,
    GNATTER_AMQP_SEQUENCE,
    GNATTER_AMQP_VALUE
};
GNATTER_API int gnatter_amqp_add_data(gnatter_amqp_message *m, const void *data, size_t size);
GNATTER_API int gnatter_amqp_add_sequence(gnatter_amqp_message *m, struct gnatter_amqp_value list);
GNATTER_API int gnatter_amqp_set_value(gnatter_amqp_message *m, struct gnatter_amqp_value value);
GNATTER_API int gnatter_amqp_clear_body(gnatter_amqp_message *m);

/* What the body is, and its section INDEX (0 of a value): of DATA a BINARY, of SEQUENCE a LIST.
 * False and null past the last one. */
GNATTER_API enum gnatter_amqp_body gnatter_amqp_body(const gnatter_amqp_message *m);
GNATTER_API bool gnatter_amqp_body_at(const gnatter_amqp_message *m, size_t index,
                                      struct gnatter_amqp_value *out);

/* The body as bytes, for who does not care: its first data section, or a value that is BINARY,
 * STRING or SYMBOL; else none. */
GNATTER_API struct gnatter_bytes gnatter_amqp_body_bytes(const gnatter_amqp_message *m);

/* The format that goes with a message: 0 but for vendors' own [AMQP 2.8.11]. */
GNATTER_API uint32_t gnatter_amqp_format(const gnatter_amqp_message *m);
GNATTER_API int gnatter_amqp_set_format(gnatter_amqp_message *m, uint32_t format);

/* The message as it is on the wire: *size bytes, written to TO if it has that much room, else
 * GNATTER_ETOOBIG.  And back: GNATTER_EMALFORMED. */
GNATTER_API int gnatter_amqp_encode(const gnatter_amqp_message *m, void *to, size_t cap,
                                    size_t *size);
GNATTER_API int gnatter_amqp_decode(const void *bytes, size_t size, gnatter_amqp_message **out);

GNATTER_END

#endif
