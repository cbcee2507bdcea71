<?php
// PHP's xmlrpc extension, which writes and reads the documents; PHP's own HTTP streams carry them.
const NAME = "naïve 名.txt";

function call($port, $method, ...$params) {
    $body = xmlrpc_encode_request($method, $params, ['encoding' => 'utf-8', 'escaping' => 'markup']);
    $http = ['method' => 'POST', 'header' => 'Content-Type: text/xml', 'content' => $body];
    $answer = file_get_contents("http://localhost:$port/RPC2", false, stream_context_create(['http' => $http]));
    return xmlrpc_decode($answer, 'utf-8');
}
function expect($is, $should) {
    if ($is !== $should) { fwrite(STDERR, var_export($is, true) . ' is not ' . var_export($should, true) . "\n"); exit(1); }
}

$ports = array_slice($argv, 1);
foreach ($ports as $port) { expect(call($port, 'surfstore.ping'), true); }
do {
    usleep(50000);
    $leaders = array_filter($ports, fn($port) => call($port, 'surfstore.isLeader'));
} while (!$leaders);
$leader = reset($leaders);
$follower = current(array_diff($ports, [$leader]));
$update = ['surfstore.updatefile', NAME, 1, ['h1', 2]];
expect(call($leader, ...$update), true);
expect(call($leader, ...$update), false);
expect(call($leader, 'surfstore.getfileinfomap'), [NAME => [1, ['h1', 2]]]);
expect(call($leader, 'surfstore.tester_getversion', NAME), 1);
expect(call($follower, ...$update)['faultCode'], 2);
expect(call($leader, 'surfstore.crash'), true);
expect(call($leader, ...$update)['faultCode'], 1);
expect(call($leader, 'surfstore.restore'), true);
expect(call($leader, 'surfstore.isCrashed'), false);
echo 'xmlrpc ', phpversion('xmlrpc'), ' of PHP ', PHP_VERSION, "\n";
