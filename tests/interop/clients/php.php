<?php
// PHP's xmlrpc extension, which writes and reads the documents; PHP's own HTTP streams carry them.
$ports = array_slice($argv, 1);
$name = "naïve 名.txt";

function call($port, $method, ...$params) {
    $body = xmlrpc_encode_request("surfstore.$method", $params, ['encoding' => 'utf-8', 'escaping' => 'markup']);
    $http = ['method' => 'POST', 'header' => 'Content-Type: text/xml', 'content' => $body];
    $answer = file_get_contents("http://localhost:$port/RPC2", false, stream_context_create(['http' => $http]));
    return xmlrpc_decode($answer, 'utf-8');
}

do {
    usleep(50000);
    $leaders = array_filter($ports, fn($port) => call($port, 'isLeader'));
} while (!$leaders);
$leader = reset($leaders);

function expect($is, $should) {
    if ($is !== $should) { fwrite(STDERR, var_export($is, true) . ' is not ' . var_export($should, true) . "\n"); exit(1); }
}

expect(call($leader, 'updatefile', $name, 1, ['h1', 'h2']), true);
expect(call($leader, 'updatefile', $name, 1, ['h1', 'h2']), false); // The next version would be 2.
expect(call($leader, 'updatefile', 'ints', 1, [1, 2]), true);
$map = call($leader, 'getfileinfomap');
ksort($map);
expect($map, ['ints' => [1, [1, 2]], $name => [1, ['h1', 'h2']]]);
expect(call($leader, 'tester_getversion', $name), 1);

function expect_fault($port, $code, $text) {
    $answer = call($port, 'updatefile', 'ints', 2, []);
    expect(xmlrpc_is_fault($answer), true);
    expect($answer['faultCode'], $code);
    expect(str_starts_with($answer['faultString'], $text), true);
}

expect_fault(current(array_diff($ports, [$leader])), 2, 'not the leader');
expect(call($leader, 'crash'), true);
expect_fault($leader, 1, 'isCrashed');
foreach ($ports as $port) { expect(call($port, 'ping'), true); }
expect(call($leader, 'restore'), true);
expect(call($leader, 'isCrashed'), false);
echo 'xmlrpc ', phpversion('xmlrpc'), ' of PHP ', PHP_VERSION, "\n";
