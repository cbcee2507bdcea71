// xmlrpc of npm.
const assert = require('assert');
const path = process.env.INTEROP_NODE_MODULES + '/xmlrpc';
const xmlrpc = require(path);

const NAME = 'naïve 名.txt';
const servers = process.argv.slice(2).map(port => xmlrpc.createClient({ host: 'localhost', port: Number(port), path: '/RPC2' }));
const call = (server, method, ...params) => new Promise((resolve, reject) =>
  server.methodCall('surfstore.' + method, params, (error, value) => error ? reject(error) : resolve(value)));
const faultCode = promise => promise.then(() => assert.fail('no fault'), error => error.faultCode);

(async () => {
  for (const server of servers) assert.strictEqual(await call(server, 'ping'), true);
  let leader;
  while (!leader) for (const server of servers) if (await call(server, 'isLeader')) leader = server;
  const follower = servers.find(server => server !== leader);
  const update = ['updatefile', NAME, 1, ['h1', 2]];
  assert.strictEqual(await call(leader, ...update), true);
  assert.strictEqual(await call(leader, ...update), false);
  assert.deepStrictEqual(await call(leader, 'getfileinfomap'), { [NAME]: [1, ['h1', 2]] });
  assert.strictEqual(await call(leader, 'tester_getversion', NAME), 1);
  assert.strictEqual(await faultCode(call(follower, ...update)), 2);
  assert.strictEqual(await call(leader, 'crash'), true);
  assert.strictEqual(await faultCode(call(leader, ...update)), 1);
  assert.strictEqual(await call(leader, 'restore'), true);
  assert.strictEqual(await call(leader, 'isCrashed'), false);
  console.log('xmlrpc', require(path + '/package.json').version, 'of Node', process.version);
})().catch(error => { console.error(error); process.exit(1); });
