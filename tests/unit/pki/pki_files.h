/* A directory of its own for each test of the room pki, and keys and certificates in it. */
#ifndef GNT_TESTS_PKI_FILES_H
#define GNT_TESTS_PKI_FILES_H

#include "support/own_directory.h"
#include "support/unit.h"

#include "pki/certs.h"
#include "pki/identity.h"
#include "pki/issue.h"
#include "pki/key.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOW = 1800000000, YEAR = 365 * 86400 };

__attribute__((unused)) static int make_directory(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/gnatter-pki-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

__attribute__((unused)) static int remove_directory(void **state)
{
    (void)state;
    DIR *all = opendir(directory);
    for (struct dirent *entry = readdir(all); entry; entry = readdir(all)) {
        if (entry->d_name[0] != '.')
            (void)unlink(in_directory(entry->d_name));
    }
    closedir(all);
    return rmdir(directory);
}

/* How many files are in it. */
__attribute__((unused)) static int count_files(void)
{
    int count = -2; /* "." and ".." */
    DIR *all = opendir(directory);
    while (readdir(all))
        count++;
    closedir(all);
    return count;
}

__attribute__((unused)) static void put(const char *name, struct gnt_slice bytes)
{
    FILE *file = fopen(in_directory(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    assert_int_equal(fclose(file), 0);
}

__attribute__((unused)) static EVP_PKEY *new_key(void)
{
    struct gnt_pki_why why;
    EVP_PKEY *key = NULL;
    assert_int_equal(gnt_key_make("ec:P-256", &key, &why), GNT_OK);
    return key;
}

/* Valid for a year from NOW on; ISSUER NULL: signed by itself. */
__attribute__((unused)) static X509 *new_certificate(enum gnt_issue_role role, const char *subject,
                                                     EVP_PKEY *key, X509 *issuer,
                                                     EVP_PKEY *issuer_key)
{
    struct gnt_pki_why why = {""};
    X509 *certificate = NULL;
    struct gnt_issue plan = {
        .role = role, .subject = subject, .from = NOW, .until = NOW + YEAR, .path_length = -1};
    gnt_err err = gnt_issue(&plan, key, issuer, issuer_key, &certificate, &why);
    if (err)
        fail_msg("%s", why.text);
    return certificate;
}

/* A CA and a server of it. */
struct pair {
    EVP_PKEY *ca_key, *key;
    X509 *ca, *server;
};

__attribute__((unused)) static struct pair new_pair(void)
{
    struct pair p = {new_key(), new_key(), NULL, NULL};
    p.ca = new_certificate(GNT_ISSUE_CA, "CN=ca", p.ca_key, NULL, NULL);
    p.server = new_certificate(GNT_ISSUE_SERVER, "CN=server", p.key, p.ca, p.ca_key);
    return p;
}

__attribute__((unused)) static void free_pair(struct pair *p)
{
    X509_free(p->ca);
    X509_free(p->server);
    EVP_PKEY_free(p->ca_key);
    EVP_PKEY_free(p->key);
}

/* The certificates, and behind them KEY, in the file NAME; each may be NULL. */
__attribute__((unused)) static void put_pem(const char *name, X509 *first, X509 *second,
                                            EVP_PKEY *key, const char *passphrase)
{
    struct gnt_buf text = {NULL, 0, 0, 0};
    struct gnt_pki_why why;
    if (first)
        assert_int_equal(gnt_certs_write(first, &text), GNT_OK);
    if (second)
        assert_int_equal(gnt_certs_write(second, &text), GNT_OK);
    if (key)
        assert_int_equal(gnt_key_write(key, passphrase, &text, &why), GNT_OK);
    put(name, gnt_buf_slice(&text));
    gnt_buf_fini(&text);
}

#endif
