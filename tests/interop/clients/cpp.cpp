// xmlrpc-c's interface in C++.
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <unistd.h>
#include <vector>
#include <xmlrpc-c/base.h>
#include <xmlrpc-c/base.hpp>
#include <xmlrpc-c/client.hpp>
#include <xmlrpc-c/client_transport.hpp>

using namespace xmlrpc_c;

static const std::string name = "naïve 名.txt";

// Gives the outcome, which may be a fault.
static rpcOutcome call(const std::string &port, const std::string &method, const paramList &params = paramList()) {
    static clientXmlTransport_curl transport;
    static client_xml client(&transport);
    carriageParm_curl0 server("http://localhost:" + port + "/RPC2");
    rpcOutcome outcome;
    client.call(&server, "surfstore." + method, params, &outcome);
    return outcome;
}

static bool truth(const rpcOutcome &outcome) { return value_boolean(outcome.getResult()); }

static rpcOutcome update(const std::string &port, const std::string &name, int version, const carray &hashes) {
    paramList params;
    params.add(value_string(name)).add(value_int(version)).add(value_array(hashes));
    return call(port, "updatefile", params);
}

static std::string find_leader(const std::vector<std::string> &ports) {
    for (;; usleep(50000))
        for (auto &port : ports)
            if (truth(call(port, "isLeader"))) return port;
}

static void expect(bool holds, const char *what) {
    if (holds) return;
    std::cerr << what << std::endl;
    std::exit(1);
}

static void expect_fault(const rpcOutcome &outcome, int code, const std::string &text) {
    expect(!outcome.succeeded(), "fault");
    expect(outcome.getFault().getCode() == code, "fault code");
    expect(outcome.getFault().getDescription().rfind(text, 0) == 0, "fault string");
}

// The stored hashes of a file.
static carray hashes(const std::string &leader, const std::string &name) {
    cstruct map = value_struct(call(leader, "getfileinfomap").getResult()).cvalue();
    carray stored = value_array(map[name]).cvalue();
    expect(value_int(stored[0]) == 1, "version in the map");
    return value_array(stored[1]).cvalue();
}

static void expect_stored(const std::string &leader) {
    expect(value_string(hashes(leader, name)[1]).cvalue() == "h2", "string in the map");
    expect(value_int(hashes(leader, "ints")[1]) == 2, "int in the map");
    paramList params;
    expect(value_int(call(leader, "tester_getversion", params.add(value_string(name))).getResult()) == 1, "version");
}

// The map may be larger than the answers that the library takes unless it is told to take larger ones.
static void expect_large_map(const std::string &leader) {
    carray hashes(10000, value_string(std::string(64, 'a')));
    expect(truth(update(leader, "large", 1, hashes)), "large update");
    bool taken = true;
    try {
        call(leader, "getfileinfomap");
    } catch (const std::exception &) {
        taken = false;
    }
    expect(!taken, "the limit of 512 KiB");
    xmlrpc_limit_set(XMLRPC_XML_SIZE_LIMIT_ID, 256 << 20);
    expect_stored(leader);
}

int main(int count, char **arguments) {
    std::vector<std::string> ports(arguments + 1, arguments + count);
    std::string leader = find_leader(ports);
    carray strings{value_string("h1"), value_string("h2")};
    carray ints{value_int(1), value_int(2)};
    expect(truth(update(leader, name, 1, strings)), "update");
    expect(!truth(update(leader, name, 1, strings)), "the same update");
    expect(truth(update(leader, "ints", 1, ints)), "update of ints");
    expect_stored(leader);
    expect_large_map(leader);
    expect_fault(update(ports[leader == ports[0] ? 1 : 0], name, 2, ints), 2, "not the leader");
    expect(truth(call(leader, "crash")), "crash");
    expect_fault(update(leader, name, 2, ints), 1, "isCrashed");
    for (auto &port : ports) expect(truth(call(port, "ping")), "ping");
    expect(truth(call(leader, "restore")), "restore");
    expect(!truth(call(leader, "isCrashed")), "restored");
    unsigned int major, minor, point;
    xmlrpc_version(&major, &minor, &point);
    std::cout << "C++ of xmlrpc-c " << major << "." << minor << "." << point << std::endl;
}
