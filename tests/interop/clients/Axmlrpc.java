// Java's aXMLRPC.
import de.timroes.axmlrpc.XMLRPCClient;
import de.timroes.axmlrpc.XMLRPCServerException;
import java.net.URL;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

public class Axmlrpc {
    static final String name = "na\u00efve \u540d.txt";

    public static void main(String[] ports) throws Exception {
        List<XMLRPCClient> servers = new ArrayList<>();
        for (String port : ports) servers.add(new XMLRPCClient(new URL("http://localhost:" + port + "/RPC2")));
        XMLRPCClient leader = findLeader(servers);

        expect(leader.call("surfstore.updatefile", name, 1, new Object[] {"h1", "h2"}), true);
        expect(leader.call("surfstore.updatefile", name, 1, new Object[] {"h1", "h2"}), false);
        expect(leader.call("surfstore.updatefile", "ints", 1, new Object[] {1, 2}), true);
        Map<?, ?> map = (Map<?, ?>) leader.call("surfstore.getfileinfomap");
        expectStored(map, name, "h1", "h2");
        expectStored(map, "ints", 1, 2);
        expect(leader.call("surfstore.tester_getversion", name), 1);
        expectFault(servers.get(servers.get(0) == leader ? 1 : 0), 2, "not the leader");
        expect(leader.call("surfstore.crash"), true);
        expectFault(leader, 1, "isCrashed");
        for (XMLRPCClient server : servers) expect(server.call("surfstore.ping"), true);
        expect(leader.call("surfstore.restore"), true);
        expect(leader.call("surfstore.isCrashed"), false);
        System.out.println("aXMLRPC of Java " + System.getProperty("java.version"));
    }

    static XMLRPCClient findLeader(List<XMLRPCClient> servers) throws Exception {
        while (true)
            for (XMLRPCClient server : servers) if ((Boolean) server.call("surfstore.isLeader")) return server;
    }

    static void expectStored(Map<?, ?> map, String name, Object... hashes) {
        Object[] stored = (Object[]) map.get(name);
        expect(stored[0], 1);
        expect(Arrays.asList((Object[]) stored[1]), Arrays.asList(hashes));
    }

    static void expectFault(XMLRPCClient server, int code, String text) throws Exception {
        try {
            server.call("surfstore.updatefile", name, 2, new Object[] {});
        } catch (XMLRPCServerException fault) {
            expect(fault.getErrorNr(), code);
            expect(fault.getMessage().startsWith(text), true);
            return;
        }
        throw new AssertionError("no fault");
    }

    static void expect(Object is, Object should) {
        if (!should.equals(is)) throw new AssertionError(is + " is not " + should);
    }
}
