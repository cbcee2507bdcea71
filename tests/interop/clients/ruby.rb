# Ruby's xmlrpc.
require 'xmlrpc'
require 'xmlrpc/client'

ports = ARGV
name = 'naïve 名.txt'

servers = ports.map { |port| XMLRPC::Client.new('localhost', '/RPC2', port.to_i) }
sleep 0.05 until (leading = servers.find { |server| server.call('surfstore.isLeader') })
leader = leading.proxy('surfstore')

def expect(is, should) = is == should || raise("#{is.inspect}, not #{should.inspect}")

expect leader.updatefile(name, 1, %w[h1 h2]), true
expect leader.updatefile(name, 1, %w[h1 h2]), false # The next version would be 2.
expect leader.updatefile('ints', 1, [1, 2]), true
# The names in a struct are bytes, and say so.
map = leader.getfileinfomap.transform_keys { |key| key.dup.force_encoding('UTF-8') }
expect map, { name => [1, %w[h1 h2]], 'ints' => [1, [1, 2]] }
expect leader.tester_getversion(name), 1

# Several calls in one; each has its own answer or fault.
updated, again, fault = leading.multicall(
  ['surfstore.updatefile', 'a', 1, ['h1']], ['surfstore.updatefile', 'a', 1, ['h1']], ['surfstore.nonsense']
)
expect [updated, again, fault.faultCode], [true, false, -32601]

def expect_fault(server, code, text)
  server.call('surfstore.updatefile', 'ints', 2, [])
  raise 'no fault'
rescue XMLRPC::FaultException => fault
  expect [fault.faultCode, fault.faultString[0, text.size]], [code, text]
end

expect_fault servers.find { |server| server != leading }, 2, 'not the leader'
expect leader.crash, true
expect_fault leading, 1, 'isCrashed'
servers.each { |server| expect server.call('surfstore.ping'), true }
expect leader.restore, true
expect leader.isCrashed, false
puts "xmlrpc #{XMLRPC::VERSION} of Ruby #{RUBY_VERSION}"
