// A C++ proxy that xml-rpc-api2cpp generated from a running server's system.* methods.
#include <cstdlib>
#include <iostream>
#include <string>
#include <unistd.h>
#include <vector>

#include "Surfstore.h"

static void expect(bool holds, const char *what) {
    if (!holds) {
        std::cerr << what << std::endl;
        std::exit(1);
    }
}

static XmlRpcValue hashes() {
    XmlRpcValue list = XmlRpcValue::makeArray();
    list.arrayAppendItem(XmlRpcValue::makeString("h1"));
    list.arrayAppendItem(XmlRpcValue::makeInt(2));
    return list;
}

static const std::string NAME = "naïve 名.txt";

static int fault_code(Surfstore &server) {
    try {
        server.updatefile(NAME, 1, hashes());
    } catch (XmlRpcFault &fault) {
        return fault.getFaultCode();
    }
    return 0;
}

int main(int count, char **ports) {
    XmlRpcClient::Initialize("interop", "1");
    std::vector<Surfstore> servers;
    for (int port = 1; port < count; port++)
        servers.push_back(Surfstore(std::string("http://localhost:") + ports[port] + "/RPC2"));
    size_t leader = servers.size();
    for (auto &server : servers) expect(server.ping(), "ping");
    while (leader == servers.size()) {
        usleep(50000);
        for (size_t id = 0; id < servers.size(); id++)
            if (servers[id].isLeader()) leader = id;
    }
    expect(servers[leader].updatefile(NAME, 1, hashes()), "update");
    expect(!servers[leader].updatefile(NAME, 1, hashes()), "the same update");
    XmlRpcValue stored = servers[leader].getfileinfomap().structGetValue(NAME);
    expect(stored.arrayGetItem(0).getInt() == 1, "version in the map");
    expect(stored.arrayGetItem(1).arrayGetItem(1).getInt() == 2, "hashes in the map");
    expect(servers[leader].tester_getversion(NAME) == 1, "version");
    expect(fault_code(servers[leader == 0 ? 1 : 0]) == 2, "fault of a follower");
    expect(servers[leader].crash(), "crash");
    expect(fault_code(servers[leader]) == 1, "fault of a crashed server");
    expect(servers[leader].restore(), "restore");
    expect(!servers[leader].isCrashed(), "restored");
    std::cout << "xmlrpc-c's generated C++ proxy" << std::endl;
}
