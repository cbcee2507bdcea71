// xmlrpc of npm.
const assert = require('assert');
const xmlrpc = require('xmlrpc');

const ports = process.argv.slice(2);
const name = 'naïve 名.txt';

const servers = ports.map(port => xmlrpc.createClient({ host: 'localhost', port, path: '/RPC2' }));
const call = (server, method, ...params) => new Promise((resolve, reject) =>
  server.methodCall('surfstore.' + method, params, (error, value) => error ? reject(error) : resolve(value)));

const findLeader = async () => {
  for (;;) for (const server of servers) if (await call(server, 'isLeader')) return server;
};

const expectFault = async (server, code, text) => {
  const fault = await call(server, 'updatefile', name, 2, []).then(() => assert.fail('no fault'), error => error);
  assert.strictEqual(fault.faultCode, code);
  assert(fault.faultString.startsWith(text), fault.faultString);
};

const main = async () => {
  const leader = await findLeader();
  assert.strictEqual(await call(leader, 'updatefile', name, 1, ['h1', 'h2']), true);
  assert.strictEqual(await call(leader, 'updatefile', name, 1, ['h1', 'h2']), false);
  assert.strictEqual(await call(leader, 'updatefile', 'ints', 1, [1, 2]), true);
  assert.deepStrictEqual(await call(leader, 'getfileinfomap'), { [name]: [1, ['h1', 'h2']], ints: [1, [1, 2]] });
  assert.strictEqual(await call(leader, 'tester_getversion', name), 1);
  await expectFault(servers.find(server => server !== leader), 2, 'not the leader');
  assert.strictEqual(await call(leader, 'crash'), true);
  await expectFault(leader, 1, 'isCrashed');
  for (const server of servers) assert.strictEqual(await call(server, 'ping'), true);
  assert.strictEqual(await call(leader, 'restore'), true);
  assert.strictEqual(await call(leader, 'isCrashed'), false);
  console.log('xmlrpc', require('xmlrpc/package.json').version, 'of Node', process.version);
};

main().catch(error => { console.error(error); process.exit(1); });
