// A C++ proxy that xmlrpc-c's xml-rpc-api2cpp generated from a running server's system.* methods.
#include <cstdlib>
#include <iostream>
#include <string>
#include <unistd.h>
#include <vector>

#include "Surfstore.h"

static const std::string name = "naïve 名.txt";

static XmlRpcValue array(const XmlRpcValue &first, const XmlRpcValue &second) {
    XmlRpcValue list = XmlRpcValue::makeArray();
    list.arrayAppendItem(first);
    list.arrayAppendItem(second);
    return list;
}

static Surfstore find_leader(std::vector<Surfstore> &servers) {
    for (;; usleep(50000))
        for (auto &server : servers)
            if (server.isLeader()) return server;
}

static void expect(bool holds, const char *what) {
    if (holds) return;
    std::cerr << what << std::endl;
    std::exit(1);
}

static void expect_fault(Surfstore &server, int code, const std::string &text) {
    try {
        server.updatefile(name, 2, XmlRpcValue::makeArray());
    } catch (XmlRpcFault &fault) {
        expect(fault.getFaultCode() == code, "fault code");
        // The library puts words of its own before it.
        expect(fault.getFaultString().find(text) != std::string::npos, "fault string");
        return;
    }
    expect(false, "fault");
}

int main(int count, char **ports) {
    XmlRpcClient::Initialize("interop", "1");
    std::vector<Surfstore> servers;
    for (int port = 1; port < count; port++)
        servers.push_back(Surfstore(std::string("http://localhost:") + ports[port] + "/RPC2"));
    Surfstore leader = find_leader(servers);

    XmlRpcValue strings = array(XmlRpcValue::makeString("h1"), XmlRpcValue::makeString("h2"));
    expect(leader.updatefile(name, 1, strings), "update");
    expect(!leader.updatefile(name, 1, strings), "the same update");
    XmlRpcValue ints = array(XmlRpcValue::makeInt(1), XmlRpcValue::makeInt(2));
    expect(leader.updatefile("ints", 1, ints), "update of ints");
    XmlRpcValue map = leader.getfileinfomap();
    expect(map.structGetValue(name).arrayGetItem(0).getInt() == 1, "version in the map");
    expect(map.structGetValue(name).arrayGetItem(1).arrayGetItem(1).getString() == "h2", "string in the map");
    expect(map.structGetValue("ints").arrayGetItem(1).arrayGetItem(1).getInt() == 2, "int in the map");
    expect(leader.tester_getversion(name) == 1, "version");
    for (auto &server : servers)
        if (!server.isLeader()) expect_fault(server, 2, "not the leader");
    expect(leader.crash(), "crash");
    expect_fault(leader, 1, "isCrashed");
    for (auto &server : servers) expect(server.ping(), "ping");
    expect(leader.restore(), "restore");
    expect(!leader.isCrashed(), "restored");
    std::cout << "xmlrpc-c's generated C++ proxy" << std::endl;
}
