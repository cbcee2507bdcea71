/* libsoup's soup_xmlrpc. */
#include <libsoup/soup.h>
#include <string.h>

static const char *name = "naïve 名.txt";
static SoupSession *session;

/* The value of the answer, which has to be of this type, or NULL and an error, which may be a fault. */
static GVariant *call(const char *port, const char *method, GVariant *params, const char *type, GError **error) {
    g_autofree char *uri = g_strdup_printf("http://localhost:%s/RPC2", port);
    g_autofree char *full_name = g_strconcat("surfstore.", method, NULL);
    g_autoptr(SoupMessage) message = soup_xmlrpc_message_new(uri, full_name, params, error);
    if (message == NULL) return NULL;
    guint status = soup_session_send_message(session, message);
    if (status != 200) g_error("%s: %u %s", method, status, message->reason_phrase);
    return soup_xmlrpc_parse_response(message->response_body->data, message->response_body->length, type, error);
}

static gboolean truth(const char *port, const char *method, GVariant *params) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) answer = call(port, method, params, "b", &error);
    g_assert_no_error(error);
    return g_variant_get_boolean(answer);
}

static const char *find_leader(char **ports) {
    for (;; g_usleep(50000))
        for (char **port = ports; *port != NULL; port++)
            if (truth(*port, "isLeader", g_variant_new("()"))) return *port;
}

static void expect_map(const char *leader) {
    g_autoptr(GError) error = NULL;
    /* A file has a version and a value, usually a list of values. */
    g_autoptr(GVariant) map = call(leader, "getfileinfomap", g_variant_new("()"), "a{s(iv)}", &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_variant_n_children(map), ==, 2);

    gint32 version;
    g_autoptr(GVariant) strings = NULL, ints = NULL;
    g_assert_true(g_variant_lookup(map, name, "(iv)", &version, &strings));
    g_assert_cmpint(version, ==, 1);
    g_autoptr(GVariant) sent_strings = g_variant_ref_sink(g_variant_new_parsed("[<'h1'>, <'h2'>]"));
    g_assert_cmpvariant(strings, sent_strings);

    g_assert_true(g_variant_lookup(map, "ints", "(iv)", &version, &ints));
    g_autoptr(GVariant) sent_ints = g_variant_ref_sink(g_variant_new_parsed("[<1>, <2>]"));
    g_assert_cmpvariant(ints, sent_ints);
}

static void expect_version(const char *leader) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) version = call(leader, "tester_getversion", g_variant_new("(s)", name), "i", &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_variant_get_int32(version), ==, 1);
}

static void expect_fault(const char *port, int code, const char *text) {
    g_autoptr(GError) error = NULL;
    GVariant *params = g_variant_new_parsed("(%s, 2, @as [])", name);
    g_autoptr(GVariant) answer = call(port, "updatefile", params, "b", &error);
    g_assert_null(answer);
    g_assert_error(error, SOUP_XMLRPC_FAULT, code);
    g_assert_true(g_str_has_prefix(error->message, text));
}

int main(int count, char **arguments) {
    (void)count;
    char **ports = arguments + 1;
    session = soup_session_new();
    guint seconds;
    g_object_get(session, SOUP_SESSION_TIMEOUT, &seconds, NULL);
    g_assert_cmpuint(seconds, ==, 60);
    /* Wait for a majority as long as it takes. */
    g_object_set(session, SOUP_SESSION_TIMEOUT, 0, NULL);
    const char *leader = find_leader(ports);
    const char *follower = ports[strcmp(leader, ports[0]) == 0];

    g_assert_true(truth(leader, "updatefile", g_variant_new_parsed("(%s, 1, ['h1', 'h2'])", name)));
    g_assert_false(truth(leader, "updatefile", g_variant_new_parsed("(%s, 1, ['h1', 'h2'])", name)));
    g_assert_true(truth(leader, "updatefile", g_variant_new_parsed("('ints', 1, [1, 2])")));
    expect_map(leader);
    expect_version(leader);
    expect_fault(follower, 2, "not the leader");
    g_assert_true(truth(leader, "crash", g_variant_new("()")));
    expect_fault(leader, 1, "isCrashed");
    for (char **port = ports; *port != NULL; port++) g_assert_true(truth(*port, "ping", g_variant_new("()")));
    g_assert_true(truth(leader, "restore", g_variant_new("()")));
    g_assert_false(truth(leader, "isCrashed", g_variant_new("()")));
    g_print("libsoup %u.%u.%u\n", soup_get_major_version(), soup_get_minor_version(), soup_get_micro_version());
}
