// Java's aXMLRPC.
import de.timroes.axmlrpc.XMLRPCClient;
import de.timroes.axmlrpc.XMLRPCServerException;
import java.net.URL;
import java.util.*;

public class Java {
    static final String NAME = "na\u00efve \u540d.txt";
    static final Object[] UPDATE = {NAME, 1, new Object[] {"h1", 2}};

    static void expect(Object is, Object should) {
        if (!should.equals(is)) throw new AssertionError(is + " is not " + should);
    }

    static int faultCode(XMLRPCClient server) throws Exception {
        try {
            server.call("surfstore.updatefile", UPDATE);
        } catch (XMLRPCServerException fault) {
            return fault.getErrorNr();
        }
        throw new AssertionError("no fault");
    }

    public static void main(String[] ports) throws Exception {
        List<XMLRPCClient> servers = new ArrayList<>();
        for (String port : ports) servers.add(new XMLRPCClient(new URL("http://localhost:" + port + "/RPC2")));
        XMLRPCClient leader = null;
        for (XMLRPCClient server : servers) expect(server.call("surfstore.ping"), true);
        while (leader == null)
            for (XMLRPCClient server : servers) if ((Boolean) server.call("surfstore.isLeader")) leader = server;
        XMLRPCClient follower = servers.get(servers.get(0) == leader ? 1 : 0);
        expect(leader.call("surfstore.updatefile", UPDATE), true);
        expect(leader.call("surfstore.updatefile", UPDATE), false);
        Object[] stored = (Object[]) ((Map<?, ?>) leader.call("surfstore.getfileinfomap")).get(NAME);
        expect(stored[0], 1);
        expect(Arrays.asList((Object[]) stored[1]), Arrays.asList("h1", 2));
        expect(leader.call("surfstore.tester_getversion", NAME), 1);
        expect(faultCode(follower), 2);
        expect(leader.call("surfstore.crash"), true);
        expect(faultCode(leader), 1);
        expect(leader.call("surfstore.restore"), true);
        expect(leader.call("surfstore.isCrashed"), false);
        System.out.println("aXMLRPC of Java " + System.getProperty("java.version"));
    }
}
