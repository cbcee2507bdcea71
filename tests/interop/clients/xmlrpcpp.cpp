// XmlRpc++, in the version of ROS.
#include <cstdlib>
#include <iostream>
#include <list>
#include <string>
#include <unistd.h>
#include <xmlrpcpp/XmlRpc.h>

using namespace XmlRpc;

static const std::string name = "naïve 名.txt";

static void expect(bool holds, const char *what) {
    if (holds) return;
    std::cerr << what << std::endl;
    std::exit(1);
}

// Gives the answer; of a fault, its members.
static XmlRpcValue call(XmlRpcClient &server, const std::string &method, const XmlRpcValue &params = XmlRpcValue()) {
    XmlRpcValue answer;
    expect(server.execute(("surfstore." + method).c_str(), params, answer), method.c_str());
    return answer;
}

static bool truth(XmlRpcValue answer) { return answer; }

template <typename Hash>
static XmlRpcValue update(XmlRpcClient &server, const std::string &name, int version, const std::list<Hash> &hashes) {
    XmlRpcValue params;
    params[0] = name;
    params[1] = version;
    params[2].setSize(0); // An array, even if it stays empty.
    for (auto &hash : hashes) params[2][params[2].size()] = hash;
    return call(server, "updatefile", params);
}

static XmlRpcClient &find_leader(std::list<XmlRpcClient> &servers) {
    for (;; usleep(50000))
        for (auto &server : servers)
            if (truth(call(server, "isLeader"))) return server;
}

static void expect_fault(XmlRpcClient &server, int code, const std::string &text) {
    XmlRpcValue answer = update<std::string>(server, name, 2, {});
    expect(server.isFault(), "fault");
    expect(int(answer["faultCode"]) == code, "fault code");
    expect(std::string(answer["faultString"]).rfind(text, 0) == 0, "fault string");
}

static void expect_stored(XmlRpcClient &leader) {
    XmlRpcValue map = call(leader, "getfileinfomap");
    expect(map.size() == 2, "files in the map");
    expect(int(map[name][0]) == 1, "version in the map");
    expect(std::string(map[name][1][1]) == "h2", "string in the map");
    expect(int(map["ints"][1][1]) == 2, "int in the map");
    expect(int(call(leader, "tester_getversion", name)) == 1, "version");
}

// The library decodes `&amp;` in strings, but not in names.
static void expect_encoded_names(XmlRpcClient &leader) {
    expect(truth(update<std::string>(leader, "a&b", 1, {"c&d"})), "update");
    XmlRpcValue map = call(leader, "getfileinfomap");
    expect(!map.hasMember("a&b"), "the name as it was sent");
    expect(std::string(map["a&amp;b"][1][0]) == "c&d", "the name as it is in the answer");
}

int main(int count, char **arguments) {
    std::list<XmlRpcClient> servers;
    for (int port = 1; port < count; port++) servers.emplace_back("localhost", std::atoi(arguments[port]), "/RPC2");
    XmlRpcClient &leader = find_leader(servers);
    XmlRpcClient &follower = &leader == &servers.front() ? servers.back() : servers.front();

    expect(truth(update<std::string>(leader, name, 1, {"h1", "h2"})), "update");
    expect(!truth(update<std::string>(leader, name, 1, {"h1", "h2"})), "the same update");
    expect(truth(update<int>(leader, "ints", 1, {1, 2})), "update of ints");
    expect_stored(leader);
    expect_encoded_names(leader);
    expect_fault(follower, 2, "not the leader");
    expect(truth(call(leader, "crash")), "crash");
    expect_fault(leader, 1, "isCrashed");
    for (auto &server : servers) expect(truth(call(server, "ping")), "ping");
    expect(truth(call(leader, "restore")), "restore");
    expect(!truth(call(leader, "isCrashed")), "restored");
    std::cout << XMLRPC_VERSION << std::endl;
}
