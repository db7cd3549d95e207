#include "pki/name.h"
#include "base/utf8.h"
#include "pki/openssl.h"

#include <ctype.h>
#include <openssl/objects.h>
#include <stdio.h>
#include <stdlib.h>

struct reading {
    const char *at;
    X509_NAME *name;
    struct gnt_pki_why *why;
    bool joined; /* to the attribute before, by "+" */
    char type[64];
    char value[GNT_NAME_TEXT_MAX + 1];
};

static void skip_blanks(struct reading *r)
{
    while (*r->at == ' ')
        r->at++;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    int lower = tolower((unsigned char)c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* What Windows calls otherwise, and OpenSSL's own spelling for what RFC 4514 writes in capitals. */
static const struct {
    const char *word, *name;
} others[] = {{"E", "emailAddress"},
              {"S", "ST"},
              {"STREET", "street"},
              {"EMAILADDRESS", "emailAddress"},
              {"SERIALNUMBER", "serialNumber"}};

/* OpenSSL's spelling of the attribute in r->type. */
static bool recognise(struct reading *r)
{
    char capitals[sizeof r->type];
    size_t i;
    if (OBJ_txt2nid(r->type) != NID_undef)
        return true;
    for (i = 0; r->type[i]; i++)
        capitals[i] = (char)toupper((unsigned char)r->type[i]);
    capitals[i] = '\0';
    for (i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(capitals, others[i].word) == 0)
            (void)snprintf(capitals, sizeof capitals, "%s", others[i].name);
    }
    (void)snprintf(r->type, sizeof r->type, "%s", capitals);
    return OBJ_txt2nid(r->type) != NID_undef;
}

static gnt_err read_type(struct reading *r)
{
    char shown[64];
    size_t size = 0;
    const char *start = r->at;
    while (isalnum((unsigned char)*r->at) || *r->at == '.' || *r->at == '-')
        r->at++;
    size = (size_t)(r->at - start);
    skip_blanks(r);
    if (size == 0 || size >= sizeof r->type || *r->at != '=')
        return gnt_pki_refuse(r->why, GNT_INVALID,
                              "expected ATTRIBUTE=VALUE, such as CN=gnatter, at '%s'",
                              gnt_utf8_printable(gnt_slice_str(start), shown, sizeof shown));
    memcpy(r->type, start, size);
    r->type[size] = '\0';
    r->at++;
    char typed[sizeof r->type];
    memcpy(typed, r->type, sizeof typed);
    if (!recognise(r))
        return gnt_pki_refuse(r->why, GNT_INVALID, "unknown attribute '%s' in the name", typed);
    return GNT_OK;
}

/* What takes a backslash where it is meant as it is. */
static const char special[] = " ,+\"\\<>;=#";

/* The character behind a backslash; -1: none that can stand there. */
static int read_escaped(struct reading *r)
{
    int high = hex(r->at[0]), low = high < 0 ? -1 : hex(r->at[1]);
    if (low >= 0) {
        r->at += 2;
        return high << 4 | low;
    }
    return *r->at && strchr(special, *r->at) ? *r->at++ : -1;
}

/* What would be a value in hexadecimal, or in quotes.  A lone # is none: OpenSSL prints it so. */
static bool begins_otherwise(const char *value)
{
    const char *behind = value + 1;
    while (*value == '#' && *behind == ' ')
        behind++;
    return *value == '"' || (*value == '#' && !strchr(",+", *behind));
}

static gnt_err read_value(struct reading *r)
{
    size_t size = 0, kept = 0; /* up to the last character that is no bare blank */
    skip_blanks(r);
    if (begins_otherwise(r->at))
        return gnt_pki_refuse(r->why, GNT_INVALID,
                              "%s: a value begins with '\\%c' where that is part of it", r->type,
                              *r->at);
    while (*r->at && *r->at != ',' && *r->at != '+') {
        bool escaped = *r->at == '\\';
        r->at += escaped;
        int c = escaped ? read_escaped(r) : (unsigned char)*r->at++;
        if (c <= 0 || (!escaped && strchr("\"<>;", c)))
            return gnt_pki_refuse(r->why, GNT_INVALID,
                                  "%s: , + \" \\ < > ; take a backslash, and nothing else does",
                                  r->type);
        if (size == GNT_NAME_TEXT_MAX)
            return gnt_pki_refuse(r->why, GNT_INVALID, "%s: longer than %d bytes", r->type,
                                  (int)GNT_NAME_TEXT_MAX);
        r->value[size++] = (char)c;
        if (escaped || c != ' ')
            kept = size;
    }
    r->value[kept] = '\0';
    if (!gnt_utf8_valid(gnt_slice(r->value, kept)))
        return gnt_pki_refuse(r->why, GNT_INVALID, "%s: not UTF-8", r->type);
    return GNT_OK;
}

/* The first part of the text is the last one of the name [RFC 4514 2.1]. */
static gnt_err read_attribute(struct reading *r)
{
    skip_blanks(r);
    gnt_err err = read_type(r);
    if (!err)
        err = read_value(r);
    if (err)
        return err;
    if (!X509_NAME_add_entry_by_txt(r->name, r->type, MBSTRING_UTF8, (const uint8_t *)r->value, -1,
                                    0, r->joined))
        return gnt_pki_openssl_refuse(r->why, GNT_INVALID, "%s=%.64s", r->type, r->value);
    r->joined = *r->at == '+';
    return GNT_OK;
}

gnt_err gnt_name_parse(const char *text, X509_NAME **out, struct gnt_pki_why *why)
{
    struct reading *r = calloc(1, sizeof *r);
    X509_NAME *name = X509_NAME_new();
    gnt_err err =
        r && name ? GNT_OK : gnt_pki_refuse(why, GNT_NOMEM, "%s", gnt_err_text(GNT_NOMEM));
    if (!err) {
        *r = (struct reading){.at = text, .name = name, .why = why};
        err = read_attribute(r);
    }
    while (!err && *r->at) {
        r->at++;
        err = read_attribute(r);
    }
    free(r);
    if (!err)
        *out = name;
    else
        X509_NAME_free(name);
    return err;
}

/* Appends NAME in RFC 2253's form with a blank behind the commas.  GNT_INVALID: something in it has
 * no place on a terminal; OUT is as before. */
static gnt_err print(const X509_NAME *name, unsigned long escapes, struct gnt_buf *out)
{
    const unsigned long form =
        XN_FLAG_RFC2253 & ~(unsigned long)(XN_FLAG_SEP_MASK | ASN1_STRFLGS_ESC_MSB);
    BIO *text = BIO_new(BIO_s_mem());
    char *data = NULL, *safe = NULL;
    gnt_err err = GNT_NOMEM;
    if (text && X509_NAME_print_ex(text, name, 0, form | XN_FLAG_SEP_CPLUS_SPC | escapes) >= 0) {
        size_t size = (size_t)BIO_get_mem_data(text, &data), cap = 4 * size + 8;
        struct gnt_slice all = gnt_slice(data, size);
        safe = malloc(cap); /* where each byte is \xNN */
        if (safe && !gnt_slice_eq_str(all, gnt_utf8_printable(all, safe, cap)))
            err = GNT_INVALID;
        else if (safe)
            err = gnt_buf_put(out, all);
    }
    free(safe);
    BIO_free(text);
    return err;
}

gnt_err gnt_name_print(const X509_NAME *name, struct gnt_buf *out)
{
    gnt_err err = print(name, 0, out);
    return err == GNT_INVALID ? print(name, ASN1_STRFLGS_ESC_MSB, out) : err;
}

char *gnt_name_escape(const char *value, char *out, size_t cap)
{
    size_t used = 0;
    for (; *value && used + 3 <= cap; value++) {
        if (strchr(special, *value))
            out[used++] = '\\';
        out[used++] = *value;
    }
    out[used] = '\0';
    return out;
}

char *gnt_name_common(const X509_NAME *name, char *out, size_t cap)
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    unsigned char *text = NULL;
    int size =
        at < 0
            ? -1
            : ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    gnt_utf8_printable(gnt_slice(text, size < 0 ? 0 : (size_t)size), out, cap);
    OPENSSL_free(text);
    return out;
}
